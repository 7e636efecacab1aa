"""The options of a run that learns to translate, and what is chosen where nobody did."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sunhwan.errors import UsageError
from sunhwan.tasks.generate_config import Written
from sunhwan.tasks.options import Options

Attention = Literal["none", "multiplicative", "additive"]


class TranslateConfig(Options):
    """All options of a translation from texts to texts; None means that it is chosen by the pairs.

    Examples
    --------
    >>> config = TranslateConfig(units=32).settled("characters", "jamo", 3_000)
    >>> config.units, config.cell, config.batch_size, config.epochs
    (32, 'lstm', 32, 100)
    """

    task: Literal["translate"] = "translate"
    cell: Literal["lstm", "gru"] | None = Field(None, description="recurrent cell")

    attention: Attention = Field(
        "multiplicative", description="how the source is looked at in each step of the target"
    )
    source_tokens: Written = Field("auto", description="what a source is split into")
    target_tokens: Written = Field("auto", description="what a target is split into")
    shared_vocabulary: bool = Field(False, description="one vocabulary for both sides")
    vocabulary: int | None = Field(None, ge=3, le=1_000_000, description="most ids of a side")
    embedding: int | None = Field(None, ge=1, le=4096, description="width of an id's vector")
    max_length: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="most tokens of a side; longer pairs are not learnt from",
    )
    own_words: float = Field(
        0.0, ge=0, le=1, description="share of its own words that is fed back in the end"
    )
    own_epochs: int | None = Field(
        None, ge=1, description="epochs over which that share grows from 0"
    )
    width: int = Field(5, ge=1, le=1000, description="beginnings that the search keeps")
    length_penalty: float = Field(0.6, ge=0, le=10, description="above 0 long answers are favoured")
    test: float = Field(0.1, ge=0, lt=1, description="share held out to judge, without test data")

    def settled(self, source_tokens: str, target_tokens: str, pairs: int) -> TranslateConfig:
        """The options with every None replaced, but for `vocabulary`, which encoders choose.

        Parameters
        ----------
        source_tokens, target_tokens
            What sources and targets are split into; no longer ``auto``.
        pairs
            How many there are to learn from.

        Raises
        ------
        UsageError
            One vocabulary for both sides, which are split into different things.
        """
        if self.shared_vocabulary and source_tokens != target_tokens:
            raise UsageError(
                "`shared_vocabulary` needs both sides split alike, but `source_tokens` is "
                f"{source_tokens} and `target_tokens` is {target_tokens}",
                hint="give both the same, or leave `shared_vocabulary` out",
            )
        has_letters = {source_tokens, target_tokens} & {"characters", "jamo"}
        chosen = {
            **_DEFAULTS["all"],
            **_DEFAULTS["letters" if has_letters else "words"],
            **_by_count(pairs, self.epochs),
        }
        tokens: dict[str, Any] = {"source_tokens": source_tokens, "target_tokens": target_tokens}
        open_ones = {name: v for name, v in chosen.items() if getattr(self, name) is None}
        return self.model_copy(update=tokens | open_ones)


_DEFAULTS: dict[str, dict[str, Any]] = {
    "all": {"cell": "lstm", "num_layers": 1, "dropout": 0.4, "schedule": "cosine",
            "learning_rate": 2e-3},
    "letters": {"embedding": 64, "max_length": 500},
    "words": {"embedding": 128, "max_length": 200},
}  # fmt: skip
#: pairs that are read in all epochs together, and the bounds of their number
_READ, _FEWEST_EPOCHS, _MOST_EPOCHS = 300_000, 10, 100
#: so many pairs need no more than a small network, or a middling one
_SMALL, _MIDDLING = 2_000, 100_000
#: pairs from which on batches are larger, and batches that an epoch should have at the least
_MANY, _BATCHES = 10_000, 20


def _by_count(pairs: int, epochs: int | None) -> dict[str, Any]:
    epochs = epochs or min(max(_READ // max(pairs, 1), _FEWEST_EPOCHS), _MOST_EPOCHS)
    return {
        "units": 128 if pairs < _SMALL else 256 if pairs < _MIDDLING else 512,
        "batch_size": min(32 if pairs < _MANY else 64, max(pairs // _BATCHES, 1)),
        "epochs": epochs,
        "patience": max(5, epochs // 5),
        # it is often best by then, and what follows learns from the full share
        "own_epochs": max(1, epochs // 2),
    }
