"""Clips as sequences of frames: told by their names, read to one size, encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.images import IMAGE_ENDINGS, clip_of_array, read_clip
from sunhwan.data.number_encoder import check_number
from sunhwan.errors import DataError, UsageError

#: pixels of the longer side of a frame; larger ones are reduced
LARGEST_SIDE = 96
#: how the name of a clip ends; that of a folder of numbered images, with a slash
_ENDINGS = (*IMAGE_ENDINGS, ".apng", ".npy", "/")
#: rows and columns of a frame as the baselines see it
_THUMBNAIL = 4


def is_clip_name(value: Any) -> bool:
    """Whether a field names a clip: by its ending, or a slash at the end for a folder of frames.

    Examples
    --------
    >>> is_clip_name("clips/7.GIF"), is_clip_name("frames/7/"), is_clip_name("a fine film")
    (True, True, False)
    """
    return isinstance(value, str) and value.strip().lower().endswith(_ENDINGS)


def load_clip(path: Path | str, like: tuple[int, ...] = ()) -> NDArray[np.uint8]:
    """The frames of a clip, the longer side at most 96 pixels.

    Parameters
    ----------
    path
        See `sunhwan.data.images.read_clip`.
    like
        ``(height, width, channels)`` that it must have; nothing for any.

    Returns
    -------
    ndarray
        ``uint8[T, H, W, 3]``.

    Raises
    ------
    DataError
        It cannot be read, or is of another size.
    """
    frames = read_clip(path, most=LARGEST_SIDE)
    check_frames(frames, like, f"{path}: ")
    return frames


def array_clip(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same of frames ``uint8[T, H, W]`` or ``uint8[T, H, W, C]`` that are in memory.

    Raises
    ------
    DataError
        The array has another type or shape.

    Examples
    --------
    >>> array_clip(np.zeros((5, 192, 96), np.uint8)).shape
    (5, 96, 48, 3)
    """
    return clip_of_array(array, most=LARGEST_SIDE)


def check_frames(frames: NDArray[Any], like: tuple[int, ...], where: str = "") -> None:
    """See that frames are of a size.

    Raises
    ------
    DataError
        They are of another; `where` begins the message.
    """
    if like and frames.shape[1:] != like:
        raise DataError(
            f"{where}expected frames of {like[1]} x {like[0]} pixels as in the clips before, "
            f"received {frames.shape[2]} x {frames.shape[1]}",
            hint="bring all clips to one size",
        )


def thumbnails(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``float32[T, 16]``: each frame as 4 x 4 greys from 0 to 1, as simple methods read it.

    Examples
    --------
    >>> thumbnails(np.full((5, 32, 48, 3), 255, np.uint8)).shape
    (5, 16)
    """
    grey = frames.mean(axis=-1, dtype=np.float32) / 255
    for axis in (1, 2):
        size = grey.shape[axis]
        starts = np.arange(_THUMBNAIL) * size // _THUMBNAIL
        # frames of fewer rows than this repeat some
        ends = np.maximum((np.arange(_THUMBNAIL) + 1) * size // _THUMBNAIL, starts + 1)
        parts = [grey.take(range(*ends_), axis=axis).mean(axis=axis, keepdims=True)
                 for ends_ in zip(starts, ends, strict=True)]  # fmt: skip
        grey = np.concatenate(parts, axis=axis)
    return grey.reshape(len(grey), -1)


class Frames:
    """Clips to what `sunhwan.layers.images.FrameEncoder` reads: their frames as they are.

    Parameters
    ----------
    max_length
        Longer clips are cut to so many frames from the start; None keeps all.

    Attributes
    ----------
    frame
        ``(height, width, channels)`` of all clips; empty before `fit`.

    Examples
    --------
    >>> clips = [np.zeros((5, 32, 24, 3), np.uint8)]
    >>> Frames().fit(clips).describe(clips)[0]
    'frames of 24 x 32 pixels'
    """

    name = "frames"
    vocabulary = 0
    features = 0

    def __init__(self, max_length: int | None = None) -> None:
        if max_length is not None:
            check_number("max_length", max_length, 1, 1_000_000, whole=True)
        self.max_length = max_length
        self.frame: tuple[int, ...] = ()

    def fit(self, inputs: Sequence[NDArray[np.uint8]]) -> Self:
        """Learn the size of the frames; returns itself.

        Raises
        ------
        DataError
            There are no clips.
        """
        if not len(inputs):
            raise DataError(f"the `{self.name}` encoder expected training inputs, received none")
        self.frame = tuple(inputs[0].shape[1:])
        return self

    def encode(self, value: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``uint8[T, H, W, C]``.

        Raises
        ------
        DataError
            The frames are of another size than in training.
        """
        if not self.frame:
            raise UsageError("the `frames` encoder knows no size yet", hint="call `fit` first")
        check_frames(value, self.frame)
        return value[: self.max_length]

    def config(self) -> dict[str, Any]:
        """All that `from_config` needs, as plain JSON."""
        return {"name": self.name, "frame": list(self.frame), "max_length": self.max_length}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The encoder that `config` describes.

        Raises
        ------
        DataError
            It lacks a part, has one that is not known, or one of a wrong type or size.
        """
        if set(config) != {"name", "frame", "max_length"} or config["name"] != cls.name:
            raise DataError(
                f"the configuration of a `{cls.name}` encoder must have the parts name, frame, "
                f"max_length; received {str(dict(config))[:200]}"
            )
        frame = config["frame"]
        try:
            encoder = cls(config["max_length"])
            if not isinstance(frame, list) or len(frame) != 3:
                raise UsageError(f"`frame` must be three numbers, received {str(frame)[:50]!r}")
            sides = [check_number("frame", side, 1, LARGEST_SIDE, whole=True) for side in frame]
        except UsageError as error:
            raise DataError(
                f"the configuration of a `{cls.name}` encoder: {error.message}"
            ) from error
        encoder.frame = tuple(sides)
        return encoder

    def describe(self, inputs: Sequence[NDArray[np.uint8]]) -> list[str]:
        """Lines on the size of the frames, and on what the baselines see of them."""
        height, width, _ = self.frame
        lines = [
            f"frames of {width} x {height} pixels",
            f"the simple methods read each frame as {_THUMBNAIL} x {_THUMBNAIL} greys",
        ]
        if self.max_length is not None:
            cut = sum(len(clip) > self.max_length for clip in inputs)
            lines.append(
                f"{cut:,} of {len(inputs):,} sequences are cut to their first "
                f"{self.max_length:,} steps"
            )
        return lines
