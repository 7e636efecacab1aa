"""Shapes on a noisy background, and files that are whole or not there: what drawn data share."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

SHAPES = ("circle", "square", "triangle", "diamond")
#: of a colour: red, green, blue
RGB = {
    "red": (208, 32, 40),
    "blue": (40, 72, 208),
    "green": (32, 152, 64),
    "yellow": (232, 196, 24),
    "black": (28, 28, 32),
}
#: drawn so many times larger, then reduced, for smooth edges
FINER = 4


def canvas(random: np.random.Generator, size: int) -> tuple[Image, ImageDraw]:
    """A light grey square of `size` pixels, `FINER` times enlarged, and the pen to draw on it."""
    from PIL import Image, ImageDraw

    grey = int(random.integers(190, 241))
    image = Image.new("RGB", (size * FINER,) * 2, (grey, grey, grey))
    return image, ImageDraw.Draw(image)


def draw_shape(pen: ImageDraw, shape: str, fill: Any, x: float, y: float, half: float) -> None:
    """Draw one of `SHAPES` round a point; `half` a side, in pixels of the finished image."""
    x, y, half = x * FINER, y * FINER, half * FINER
    if shape == "circle":
        pen.ellipse((x - half, y - half, x + half, y + half), fill)
    elif shape == "square":
        side = half * 0.9
        pen.rectangle((x - side, y - side, x + side, y + side), fill)
    elif shape == "triangle":
        pen.polygon([(x, y - half), (x + half, y + half), (x - half, y + half)], fill)
    else:
        pen.polygon([(x, y - half), (x + half, y), (x, y + half), (x - half, y)], fill)


def noisy(image: Image, random: np.random.Generator) -> NDArray[np.uint8]:
    """``uint8[size, size, 3]`` of a finished canvas, with noise in brightness and colour."""
    values = np.asarray(image.reduce(FINER), np.float64)
    values = values + random.normal(0, 6, (*values.shape[:2], 1))
    values += random.normal(0, 3, values.shape)
    return values.round().clip(0, 255).astype(np.uint8)


def png(*frames: NDArray[np.uint8]) -> bytes:
    r"""The bytes of a PNG file; an animated one of several frames.

    Examples
    --------
    >>> png(np.zeros((2, 2, 3), np.uint8))[:4]
    b'\x89PNG'
    """
    from PIL import Image

    first, *others = map(Image.fromarray, frames)
    file = io.BytesIO()
    more: dict[str, Any] = {"save_all": True, "append_images": others} if others else {}
    first.save(file, "PNG", **more)
    return file.getvalue()


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file beside and rename it, so that no reader sees a part; returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def write_table(path: Path, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a CSV file with a heading; see `write_whole`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return write_whole(path, text.getvalue().encode())
