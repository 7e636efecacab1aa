"""What captions images, together with what turns captions into ids and ids into captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.pictures import Pictures
from sunhwan.data.written import (
    guess_written,
    split_written,
    written_encoder,
    written_encoder_from_config,
)
from sunhwan.errors import DataError
from sunhwan.tasks.caption_config import CaptionConfig
from sunhwan.tasks.caption_network import CaptionNetwork, CaptionStepper, filters_for
from sunhwan.tasks.caption_sources import Captions
from sunhwan.tasks.pairs_learner import PairsLearner
from sunhwan.tasks.translate_batches import PairBatches
from sunhwan.tasks.translate_parts import Pairs

#: captions that tell what they are split into
_SAMPLE = 2_000
#: share of the words of captions that must come again often enough to be learnt as wholes, and how
#: often that is
_COVERED, _OFTEN = 0.95, 5


@dataclass(frozen=True)
class Sides:
    """What images are brought to, and the encoder of captions.

    Attributes
    ----------
    size
        Height and width.
    target
        Of the captions.
    """

    size: tuple[int, int]
    target: Any

    def config(self) -> dict[str, Any]:
        """Plain JSON, from which `from_config` makes them again."""
        return {"size": list(self.size), "target": self.target.config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sides:
        """Those whose `config` gave this.

        Raises
        ------
        DataError
            They are not as they were written.
        """
        if set(config) != {"size", "target"}:
            raise DataError("the encoders of captions must be `size` and `target`")
        size = config["size"]
        sides = size if isinstance(size, list) and len(size) == 2 else [0, 0]
        if not all(type(side) is int and 1 <= side <= 512 for side in sides):
            raise DataError(f"`size` must be a height and a width up to 512, received {size!r:.50}")
        return cls((sides[0], sides[1]), written_encoder_from_config(config["target"]))


class CaptionBatches:
    """Batches of images and their captions, as `sunhwan.tasks.steps.EpochBatches` says.

    They are those of pairs in which each image is a number, which is replaced by the image.

    Parameters
    ----------
    pictures
        The images.
    numbers
        ``int64[N]``: the image of each caption.
    targets, options
        As of `sunhwan.tasks.translate_batches.PairBatches`.
    """

    def __init__(
        self,
        pictures: Pictures,
        numbers: NDArray[np.int64],
        targets: Sequence[NDArray[np.int32]],
        **options: Any,
    ) -> None:
        # 0 is padding
        rows = np.array(numbers + 1, np.int32)[:, None]
        self._pairs = PairBatches(list(rows), targets, **options)
        self._pictures = pictures
        self.seed, self.batch_size = self._pairs.seed, self._pairs.batch_size
        self.shapes = self._pairs.shapes

    @property
    def weight(self) -> float:
        """How many tokens are foretold in an epoch, ends counted."""
        return self._pairs.weight

    def __len__(self) -> int:
        """Return the number of batches, the same in each epoch."""
        return len(self._pairs)

    def start(self, epoch: int) -> None:
        """Turn to `epoch`, counted from 0."""
        self._pairs.start(epoch)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return ``((images, read, own), wanted, weights)``; images are ``uint8[B, H, W, 3]``."""
        (numbers, *read), wanted, weights = self._pairs[index]
        images = np.stack(self._pictures.take(numbers[:, 0] - 1))
        return (images, *read), wanted, weights


class CaptionLearner(PairsLearner[CaptionConfig]):
    """Learns what is said of images."""

    task, kind, roles = "caption", "image", ("image", "caption")
    shape = CaptionNetwork
    shaping = ("cell", "units", "num_layers", "embedding", "dropout", "token_dropout", "attention")
    stepping = CaptionStepper

    def prepare(self, pairs: Pairs) -> list[str]:
        """Learn the tokens of training captions, choose what is open, and build the network.

        Returns
        -------
        list of str
            Why captions are split as they are.
        """
        name: str = self.config.tokens
        notes = []
        if name == "auto":
            name, why = guess_tokens(pairs.targets)
            notes.append(f"tokens: {name} ({why})")
        self.config = self.config.settled(name, len(pairs))
        target = written_encoder(name, self.config.vocabulary).fit(pairs.targets)
        self.encoder = Sides(cast(Captions, pairs).pictures.size, target)
        self._build()
        return notes

    @property
    def grid(self) -> tuple[int, int]:
        """Positions that attention looks at: down, and across."""
        return cast(CaptionNetwork, self._network()).grid

    def describe(self, pairs: Pairs) -> list[str]:
        """Lines on how the encoder fits captions."""
        found: list[str] = self.encoder.target.describe(pairs.targets)
        return found

    def _sizes(self) -> dict[str, Any]:
        height, width = self.encoder.size
        return {"height": height, "width": width, "filters": filters_for(height, width)}

    def _numbers(self, sources: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.uint8]]:
        return sources

    def _source_tokens(self, pairs: Pairs) -> NDArray[np.int64]:
        return np.zeros(len(pairs), np.int64)

    def _batches(self, pairs: Pairs, **options: Any) -> CaptionBatches:
        pictures = cast(Captions, pairs).pictures
        return CaptionBatches(
            pictures,
            pictures.numbers(pairs.sources),
            self.encoder.target.encode_all(pairs.targets),
            end=self.end,
            batch_size=self.config.batch_size or 1,
            **options,
        )

    @classmethod
    def _encoder_from(cls, config: dict[str, Any]) -> Sides:
        return Sides.from_config(config)


def guess_tokens(captions: Sequence[str]) -> tuple[str, str]:
    """What captions are split into, and why: words, if these come again and again, else characters.

    Reads at most 2,000 captions, evenly spread.

    Examples
    --------
    >>> guess_tokens(["a red circle", "a blue circle"] * 9)
    ('words', '4 different ones, which come again and again')
    >>> guess_tokens(["a red circle", "something blue"])[0]
    'characters'
    """
    some = captions[:: max(1, len(captions) // _SAMPLE)][:_SAMPLE]
    counts = Counter(word for caption in some for word in split_written(caption))
    often = sum(count for count in counts.values() if count >= _OFTEN)
    if often < _COVERED * counts.total():
        return guess_written(captions)
    return "words", f"{len(counts):,} different ones, which come again and again"
