"""Captions that need no network: what `caption` must beat to be worth its cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.spool import take
from sunhwan.tasks.baselines_translate import Baseline

#: pixels of each side of the images that are compared
_SIDE = 16
#: more training captions are not needed to see what likeness can do; of more, a random part
MOST_ROWS = 20_000
#: likenesses that are in memory at a time
_AT_ONCE = 1 << 22


def baselines(
    images: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
    asked: Sequence[NDArray[np.uint8]],
    *,
    seed: int,
    on_start: Callable[[str], None],
) -> list[Baseline]:
    """Answer with the caption that is most common, and with that of the image most alike.

    Parameters
    ----------
    images, captions
        As many of each, to learn from: ``uint8[H, W, 3]`` and its caption.
    asked
        Images to caption.
    seed
        Of the images that are drawn from a very large training part; `Baseline.detail` says how
        many.
    on_start
        Called with the name of each baseline as it begins.

    Examples
    --------
    >>> dark, light = np.zeros((20, 16, 3), np.uint8), np.full((20, 16, 3), 200, np.uint8)
    >>> common, nearest = baselines([dark, light, light], ["night", "day", "day"], [dark + 9],
    ...                             seed=1, on_start=lambda name: None)
    >>> common.hypotheses, nearest.hypotheses
    (['day'], ['night'])
    """

    def common() -> tuple[list[str], str]:
        [(caption, count)] = Counter(captions).most_common(1)
        detail = f"the same caption for all: the one that {count:,} of {len(captions):,} have"
        return [caption] * len(asked), detail

    def nearest() -> tuple[list[str], str]:
        rows = np.arange(len(images))
        if len(rows) > MOST_ROWS:
            drawn = np.random.default_rng(seed).choice(len(rows), MOST_ROWS, replace=False)
            rows = np.sort(drawn)
        found = rows[_most_alike(_small(take(images, rows)), _small(asked))]
        part = f", from {len(rows):,} of {len(images):,} training rows"
        detail = (
            "the caption of the training image that is most alike: squared difference of "
            f"{_SIDE} x {_SIDE} pixels in colour"
        )
        return list(take(captions, found)), detail + (part if len(rows) < len(images) else "")

    found = []
    for name, answer in (("most common caption", common), ("nearest neighbour", nearest)):
        on_start(name)
        start = time.perf_counter()
        hypotheses, detail = answer()
        found.append(Baseline(name, hypotheses, time.perf_counter() - start, detail))
    return found


def _small(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """``float32[N, D]``: the pixels of small images."""
    from PIL import Image

    resized = (
        Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX) for image in images
    )
    return np.stack([np.asarray(image, np.float32).ravel() / 255 for image in resized])


def _most_alike(known: NDArray[np.float32], asked: NDArray[np.float32]) -> NDArray[np.int64]:
    """``int64[N]``: the row of `known` that is nearest to each of `asked`; of equals the first."""
    lengths = (known**2).sum(axis=1)
    size = max(1, _AT_ONCE // len(known))
    blocks = [asked[start : start + size] for start in range(0, len(asked), size)]
    return np.concatenate([(lengths - 2 * (some @ known.T)).argmin(axis=1) for some in blocks])
