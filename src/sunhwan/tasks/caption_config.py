"""The options of a run that learns to caption images, and what is chosen where nobody did."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sunhwan.tasks.generate_config import Written
from sunhwan.tasks.pairs_config import PairsOptions


class CaptionConfig(PairsOptions):
    """All options of captions for images; None means that it is chosen by the pairs.

    Examples
    --------
    >>> config = CaptionConfig(units=32).settled("words", 3_000)
    >>> config.units, config.cell, config.tokens, config.epochs
    (32, 'lstm', 'words', 36)
    """

    task: Literal["caption"] = "caption"

    tokens: Written = Field("auto", description="what a text is split into")
    image_size: int | None = Field(
        None, ge=8, le=512, description="pixels of the longer side that images are brought to"
    )

    def settled(self, tokens: str, pairs: int) -> CaptionConfig:
        """The options with every None replaced, but for `vocabulary` and `image_size`.

        Parameters
        ----------
        tokens
            What captions are split into; no longer ``auto``.
        pairs
            How many there are to learn from.
        """
        kind = "letters" if tokens in ("characters", "jamo") else "words"
        chosen = {**_DEFAULTS["all"], **_DEFAULTS[kind], **_by_count(pairs, self.epochs)}
        open_ones = {name: v for name, v in chosen.items() if getattr(self, name) is None}
        return self.model_copy(update={"tokens": tokens, **open_ones})


_DEFAULTS: dict[str, dict[str, Any]] = {
    "all": {"cell": "lstm", "units": 128, "num_layers": 1, "embedding": 64, "dropout": 0.1,
            "schedule": "cosine", "learning_rate": 3e-3},
    "letters": {"max_length": 500},
    "words": {"max_length": 100},
}  # fmt: skip
#: pairs that are read in all epochs together, and the bounds of their number
_READ, _FEWEST_EPOCHS, _MOST_EPOCHS = 110_000, 10, 100
#: the most rows of a batch, and batches that an epoch should have at the least
_ROWS, _BATCHES = 16, 20


def _by_count(pairs: int, epochs: int | None) -> dict[str, Any]:
    epochs = epochs or min(max(_READ // max(pairs, 1), _FEWEST_EPOCHS), _MOST_EPOCHS)
    return {
        "batch_size": min(_ROWS, max(pairs // _BATCHES, 1)),
        "epochs": epochs,
        "patience": max(5, epochs // 3),
        "own_epochs": max(1, epochs // 2),
    }
