"""The options of a run that learns to translate, and what is chosen where nobody did."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sunhwan.data.written import WHOLE_TOKENS
from sunhwan.errors import UsageError
from sunhwan.tasks.generate_config import Written
from sunhwan.tasks.pairs_config import PairsOptions


class TranslateConfig(PairsOptions):
    """All options of a translation from texts to texts; None means that it is chosen by the pairs.

    Examples
    --------
    >>> config = TranslateConfig(units=32).settled("characters", "jamo", 3_000)
    >>> config.units, config.cell, config.batch_size, config.epochs
    (32, 'lstm', 16, 40)
    """

    task: Literal["translate"] = "translate"

    source_tokens: Written = Field("auto", description="what a source is split into")
    target_tokens: Written = Field("auto", description="what a target is split into")
    shared_vocabulary: bool = Field(False, description="one vocabulary for both sides")
    token_dropout: float = Field(
        0.1, ge=0, lt=1, description="share of the tokens that are hidden while training"
    )

    copy_unknown: bool = Field(
        False, description="write the source's token where the answer's is unknown"
    )

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
            One vocabulary for both sides, which are split into different things; unknown tokens
            to be copied without attention, or from sub-words.
        """
        self._check_copy(source_tokens)
        if self.shared_vocabulary and source_tokens != target_tokens:
            raise UsageError(
                "`shared_vocabulary` needs both sides split alike, but `source_tokens` is "
                f"{source_tokens} and `target_tokens` is {target_tokens}",
                hint="give both the same, or leave `shared_vocabulary` out",
            )
        has_letters = {source_tokens, target_tokens} & _LETTERS
        has_words = {source_tokens, target_tokens} - _LETTERS
        chosen = {
            **_DEFAULTS,
            "embedding": 192 if has_words else 64,
            "max_length": 500 if has_letters else 200,
            **_by_count(pairs, self.epochs),
        }
        tokens: dict[str, Any] = {"source_tokens": source_tokens, "target_tokens": target_tokens}
        open_ones = {name: v for name, v in chosen.items() if getattr(self, name) is None}
        return self.model_copy(update=tokens | open_ones)

    def _check_copy(self, source_tokens: str) -> None:
        if self.copy_unknown and self.attention == "none":
            raise UsageError(
                "`copy_unknown` needs attention, which tells what to copy, but `attention` is none",
                hint="choose additive or multiplicative, or leave `copy_unknown` out",
            )
        if self.copy_unknown and source_tokens not in WHOLE_TOKENS:
            raise UsageError(
                f"`copy_unknown` needs sources of {' or '.join(WHOLE_TOKENS)}, but "
                f"`source_tokens` is {source_tokens}",
                hint="choose one of these, or leave `copy_unknown` out",
            )


_DEFAULTS: dict[str, Any] = {
    "cell": "lstm",
    "num_layers": 1,
    "dropout": 0.25,
    "schedule": "cosine",
    "learning_rate": 1.5e-3,
}
_LETTERS = {"characters", "jamo"}
#: pairs that are read in all epochs together, and the bounds of their number
_READ, _FEWEST_EPOCHS, _MOST_EPOCHS = 120_000, 10, 100
#: so many pairs need no more than a small network, or a middling one
_SMALL, _MIDDLING = 2_000, 100_000
#: pairs from which on batches are larger, and batches that an epoch should have at the least
_MANY, _BATCHES = 10_000, 20


def _by_count(pairs: int, epochs: int | None) -> dict[str, Any]:
    epochs = epochs or min(max(_READ // max(pairs, 1), _FEWEST_EPOCHS), _MOST_EPOCHS)
    return {
        "units": 128 if pairs < _SMALL else 256 if pairs < _MIDDLING else 512,
        "batch_size": min(16 if pairs < _MANY else 64, max(pairs // _BATCHES, 1)),
        "epochs": epochs,
        "patience": max(5, epochs // 3),
        # it is often best by then, and what follows learns from the full share
        "own_epochs": max(1, epochs // 2),
    }
