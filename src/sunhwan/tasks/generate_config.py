"""The options of a run that learns to write, and what is chosen where nobody did."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sunhwan.tasks.options import Options

Written = Literal["auto", "characters", "jamo", "words", "bpe", "unigram"]


class GenerateConfig(Options):
    """All options of a language model; None means that it is chosen by the texts.

    Examples
    --------
    >>> config = GenerateConfig(units=32).settled("characters", 1_000_000)
    >>> config.units, config.cell, config.sequence_length, config.epochs
    (32, 'lstm', 64, 15)
    """

    task: Literal["generate"] = "generate"

    tokens: Written = Field("auto", description="what a text is split into")
    vocabulary: int | None = Field(None, ge=3, le=1_000_000, description="most ids of a text")
    embedding: int | None = Field(None, ge=1, le=4096, description="width of an id's vector")
    weight_dropout: float | None = Field(
        None, ge=0, lt=1, description="share of recurrent weights dropped in a batch"
    )
    sequence_length: int | None = Field(
        None, ge=1, le=100_000, description="steps that gradients go back; states go on behind them"
    )
    validation: float = Field(0.05, gt=0, lt=1, description="share held out to stop in time")
    test: float = Field(0.1, ge=0, lt=1, description="share held out to judge, without test data")

    def settled(self, tokens: str, count: int) -> GenerateConfig:
        """The options with every None replaced.

        Parameters
        ----------
        tokens
            What the texts are split into.
        count
            How many of these there are to learn from.
        """
        kind = "letters" if tokens in ("characters", "jamo") else "words"
        chosen = {**_DEFAULTS["all"], **_DEFAULTS[kind], **_by_count(count)}
        length = self.sequence_length or chosen["sequence_length"]
        rows = count // (length * _BATCHES)
        chosen["batch_size"] = min(max(rows, 1), chosen["batch_size"])
        return self.model_copy(
            update={name: value for name, value in chosen.items() if getattr(self, name) is None}
        )


#: chosen on the validation part of tinyshakespeare; see docs/workbench.md
_DEFAULTS: dict[str, dict[str, Any]] = {
    "all": {"cell": "lstm", "num_layers": 1, "schedule": "cosine", "learning_rate": 2e-3,
            "batch_size": 32, "sequence_length": 64, "weight_dropout": 0.0},
    "letters": {"embedding": 64, "dropout": 0.4},
    "words": {"embedding": 128, "dropout": 0.5, "sequence_length": 32},
}  # fmt: skip
#: batches that an epoch should have at the least
_BATCHES = 20
#: tokens that are read in all epochs together, and the bounds of their number
_READ, _FEWEST_EPOCHS, _MOST_EPOCHS = 15_000_000, 5, 100
#: tokens of a text that needs no more than a small network, and of one that a middling one does for
_SMALL, _MIDDLING = 20_000, 200_000


def _by_count(count: int) -> dict[str, Any]:
    units = 128 if count < _SMALL else 256 if count < _MIDDLING else 512
    epochs = min(max(_READ // max(count, 1), _FEWEST_EPOCHS), _MOST_EPOCHS)
    return {"units": units, "epochs": epochs, "patience": max(3, epochs // 3)}
