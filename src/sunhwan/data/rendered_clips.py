"""Clips of moving shapes with a label for each frame, drawn rather than collected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.number_encoder import check_number
from sunhwan.data.shapes import (
    RGB,
    SHAPES,
    canvas,
    draw_shape,
    noisy,
    png,
    write_table,
    write_whole,
)
from sunhwan.errors import UsageError

#: what a frame of a clip is labelled with: how the shape has moved since the frame before
DIRECTIONS = ("left", "right", "up", "down", "still")

#: one step right and down
_STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "still": (0, 0)}
#: where it goes from the edge
_BACK = {"left": "right", "right": "left", "up": "down", "down": "up", "still": "still"}


def draw_clip(
    random: np.random.Generator, steps: int, size: int = 32
) -> tuple[NDArray[np.uint8], list[str]]:
    """A clip of one moving shape, and what it does in each frame.

    The shape goes one way for 3 to 8 frames, 2 or 3 pixels a frame, or rests, then goes another
    way. The label of a frame says how it has moved since the frame before; no frame alone tells,
    nor are later ones needed. Before the first frame nothing has moved: it is `still`.

    Parameters
    ----------
    random
        Where everything is drawn from.
    steps
        T, from 2 to 1,000.
    size
        Height and width in pixels, from 32 to 256.

    Returns
    -------
    frames
        ``uint8[T, size, size, 3]``.
    labels
        T of `DIRECTIONS`.

    Examples
    --------
    >>> frames, labels = draw_clip(np.random.default_rng(5), 12)
    >>> frames.shape, labels[:6]
    ((12, 32, 32, 3), ['still', 'left', 'left', 'left', 'left', 'right'])
    """
    check_number("steps", steps, 2, 1000, whole=True)
    check_number("size", size, 32, 256, whole=True)
    half = random.uniform(0.1, 0.16) * size
    shape = SHAPES[random.integers(len(SHAPES))]
    colour = list(RGB)[random.integers(len(RGB))]
    at = random.uniform(half + 1, size - half - 1, 2)
    frames, labels, left, way, pace = [], [], 0, "still", 0
    for step in range(steps):
        if step and not left:
            others = [name for name in DIRECTIONS if name != way]
            way, left = others[random.integers(len(others))], int(random.integers(3, 9))
            pace = int(random.integers(2, 4))
        moved = at + np.array(_STEPS[way]) * pace
        if ((moved < half) | (moved > size - half)).any():
            # at the edge it turns back
            way = _BACK[way]
            moved = at + np.array(_STEPS[way]) * pace
        at, left = moved, max(0, left - 1)
        image, pen = canvas(random, size)
        draw_shape(pen, shape, RGB[colour], at[0], at[1], half)
        frames.append(noisy(image, random))
        labels.append(way)
    return np.stack(frames), labels


def write_clips(
    folder: Path | str,
    *,
    train: int = 500,
    test: int = 100,
    lengths: tuple[int, int] = (12, 40),
    size: int = 32,
    seed: int = 0,
) -> tuple[Path, Path]:
    """Draw clips of moving shapes and write them with a label for each frame.

    The folder gets ``clips/`` (animated PNG) and the tables ``train.csv`` and ``test.csv`` with the
    columns ``clip`` (path from the folder on) and ``motion``, the labels with spaces between.

    Parameters
    ----------
    folder
        Made if missing.
    train, test
        How many clips.
    lengths
        The fewest and the most frames.
    size, seed
        As of `write_captions`.

    Returns
    -------
    tuple of Path
        ``train.csv`` and ``test.csv``.

    Raises
    ------
    UsageError
        A number is out of its range.
    """
    for name, count in (("train", train), ("test", test)):
        check_number(name, count, 1, 1_000_000, whole=True)
    low, high = lengths
    if not 2 <= low <= high <= 1000:
        raise UsageError(
            f"`lengths` must be the fewest and the most frames, from 2 to 1,000, received {lengths}"
        )
    folder, random = Path(folder), np.random.default_rng(seed)
    parts = []
    for name, count in (("train", train), ("test", test)):
        rows = []
        for number in range(count):
            frames, labels = draw_clip(random, int(random.integers(low, high + 1)), size)
            file = f"clips/{name}-{number + 1:05d}.png"
            write_whole(folder / file, png(*frames))
            rows.append((file, " ".join(labels)))
        parts.append(write_table(folder / f"{name}.csv", ("clip", "motion"), rows))
    return parts[0], parts[1]
