"""Still images and short clips, read to ``uint8`` arrays by Pillow."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import DataError, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

#: endings of the files that are read
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
#: pixels of the largest image; and bytes of the longest clip, as it is in memory
_MOST_PIXELS, _MOST_BYTES = 64_000_000, 1 << 28
#: what Pillow raises for files that are not what they say
_BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError),
    *(OverflowError, MemoryError, NotImplementedError, struct.error, zlib.error),
)
#: pixels of the longest side that can be asked for
_LARGEST_SIDE = 4096
_MODES = {1: "L", 3: "RGB"}
_AGAIN = "copy or export the file again"


def read_image(
    path: Path | str,
    *,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    content: bytes | None = None,
) -> NDArray[np.uint8]:
    """A still image: PNG, JPEG, GIF, WebP, BMP, TIFF, PPM or PGM.

    It is turned the way its EXIF data says, and transparency is laid on white.

    Parameters
    ----------
    path
        The file.
    size
        ``(height, width)`` to bring it to, by antialiased bicubic resampling: its sides keep their
        ratio, it stands in the middle, and the rest is white. None leaves it as it is.
    channels
        3 for red, green and blue; 1 for grey.
    content
        The bytes of the file where it is not on disk; `path` then is what messages call it.

    Returns
    -------
    ndarray
        ``uint8[H, W, channels]``.

    Raises
    ------
    DataError
        There is no such file; it is empty, broken, cut off, of another kind, of more than
        64 million pixels or of values that 8 or 16 bits do not hold, or it has several frames.
    UsageError
        `size` or `channels` cannot be.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> from PIL import Image
    >>> Image.new("RGB", (4, 2), "red").save(file, "PNG")
    >>> read_image("red.png", size=(4, 4), content=file.getvalue())[:, 0].tolist()
    [[255, 255, 255], [255, 0, 0], [255, 0, 0], [255, 255, 255]]
    """
    return _still(path, content, _Form.of(size, channels))


def read_clip(
    path: Path | str,
    *,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    content: bytes | None = None,
    most: int | None = None,
) -> NDArray[np.uint8]:
    """The frames of a clip, in their order.

    Parameters
    ----------
    path
        An animated GIF, WebP or PNG, or a TIFF of several pages (an image alone is a clip of one
        frame); a folder of images, whose frames are in the order of the numbers in their names
        (``2.png`` before ``10.png``); or a ``.npy`` of ``uint8[T, H, W]`` or ``uint8[T, H, W, C]``,
        C being 1, 3 or 4 with transparency.
    size, channels, content
        As of `read_image`.
    most
        Where `size` is None, frames with a longer side than so many pixels are reduced to it.

    Returns
    -------
    ndarray
        ``uint8[T, H, W, channels]``, T at least 1.

    Raises
    ------
    DataError
        As of `read_image`, for any frame; a folder without images; frames of different sizes
        where `size` is None; an array of another type or shape; more than 256 MiB of frames.
    UsageError
        `size` or `channels` cannot be.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> np.save(file, np.zeros((5, 4, 6), np.uint8))
    >>> read_clip("dark.npy", content=file.getvalue()).shape
    (5, 4, 6, 3)
    """
    form = _Form.of(size, channels, most)
    if content is None and Path(path).is_dir():
        frames = _folder_frames(Path(path), form)
    elif Path(path).suffix.lower() == ".npy":
        frames = _array_frames(path, _array(path, content), form)
    else:
        frames = _image_frames(path, content, form)
    return _stacked(path, frames)


def clip_of_array(
    array: NDArray[Any], *, most: int | None = None, name: str = "the array"
) -> NDArray[np.uint8]:
    """The frames of a clip ``uint8[T, H, W, 3]`` that is an array in memory; see `read_clip`."""
    form = _Form.of(None, 3, most)
    return _stacked(name, _array_frames(name, array, form))


def natural_order(names: Sequence[str]) -> list[str]:
    """Names in the order of the numbers in them.

    Examples
    --------
    >>> natural_order(["b1", "a10", "a2"])
    ['a2', 'a10', 'b1']
    """

    def key(name: str) -> tuple[list[tuple[int, str]], str]:
        parts = re.split(r"([0-9]+)", name.casefold())
        return [(int(part), "") if n % 2 else (0, part) for n, part in enumerate(parts)], name

    return sorted(names, key=key)


class _Form(NamedTuple):
    """What an image is brought to."""

    size: tuple[int, int] | None
    channels: int
    most: int | None = None

    @classmethod
    def of(cls, size: tuple[int, int] | None, channels: int, most: int | None = None) -> _Form:
        """The same, checked."""
        if channels not in _MODES:
            raise UsageError(f"`channels` must be 1 or 3, received {channels!r}")
        sides = [side for side in (*(size or ()), most) if side is not None]
        if len(size or (1, 1)) != 2 or not all(
            type(side) is int and 1 <= side <= _LARGEST_SIDE for side in sides
        ):
            raise UsageError(
                f"`size` must be height and width, whole numbers from 1 to {_LARGEST_SIDE:,}, "
                f"received {size if most is None else most!r}"
            )
        return cls(size, channels, most)

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to which an image of these is brought."""
        if self.size is not None or self.most is None or max(height, width) <= self.most:
            return self.size or (height, width)
        share = self.most / max(height, width)
        return max(1, round(height * share)), max(1, round(width * share))


def _still(path: Path | str, content: bytes | None, form: _Form) -> NDArray[np.uint8]:
    with _opened(path, content) as image:
        # a camera's MPO is a photograph with others beside it
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":
            raise DataError(
                f"{path}: expected one still image, received {frames:,} frames",
                hint="save the frame that is meant as an image of its own",
            )
        return _pixels(image, path, form)


@contextmanager
def _opened(path: Path | str, content: bytes | None) -> Iterator[Image]:
    """The open image; whatever goes wrong while it is open becomes a DataError."""
    from PIL import Image, UnidentifiedImageError

    source = _source(path, content)
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, which nobody reads here; sizes are checked below
            warnings.simplefilter("ignore")
            with Image.open(source, formats=_FORMATS) as image:
                _check_pixels(path, image.width * image.height)
                yield image
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path}: expected an image (PNG, JPEG, GIF, WebP, BMP, TIFF or PPM), received a file "
            f"that begins with {_beginning(path, content)!r}",
            hint="open it in an image program and save it as PNG",
        ) from error
    except _BROKEN as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: the image is broken or cut off ({reason})", hint=_AGAIN
        ) from error


def _source(path: Path | str, content: bytes | None) -> io.BytesIO | Path:
    if content is None and not Path(path).is_file():
        came = "a folder" if Path(path).is_dir() else "there is none"
        raise DataError(f"{path}: expected an image file, but {came}")
    try:
        empty = not content if content is not None else not Path(path).stat().st_size
    except OSError as error:
        raise DataError(f"{path}: the image cannot be read ({error.strerror})") from error
    if empty:
        raise DataError(f"{path}: expected an image, received an empty file", hint=_AGAIN)
    return Path(path) if content is None else io.BytesIO(content)


def _beginning(path: Path | str, content: bytes | None) -> bytes:
    if content is not None:
        return content[:8]
    with Path(path).open("rb") as file:
        return file.read(8)


def _check_pixels(path: Path | str, pixels: int) -> None:
    if pixels > _MOST_PIXELS:
        raise _too_large(path)


def _too_large(path: Path | str) -> DataError:
    return DataError(
        f"{path}: expected at most {_MOST_PIXELS:,} pixels, received an image of more",
        hint="save it smaller",
    )


def _pixels(image: Image, path: Path | str, form: _Form) -> NDArray[np.uint8]:
    """``uint8[H, W, C]`` of an open image's present frame."""
    import PIL.Image
    import PIL.ImageOps

    upright = PIL.ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        upright = PIL.Image.fromarray((np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8))
    elif upright.mode in ("I", "F"):
        raise DataError(
            f"{path}: expected 8 or 16 bits a channel, received 32-bit values",
            hint="save it as an 8-bit PNG",
        )
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        white = PIL.Image.new("RGBA", upright.size, "white")
        upright = PIL.Image.alpha_composite(white, upright)
    plain = upright.convert(_MODES[form.channels])
    size = form.target(plain.height, plain.width)
    if (plain.height, plain.width) != size:
        plain = PIL.ImageOps.pad(plain, size[::-1], PIL.Image.Resampling.BICUBIC, color="white")
    return np.asarray(plain, np.uint8).reshape(*size, form.channels)


def _image_frames(
    path: Path | str, content: bytes | None, form: _Form
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    with _opened(path, content) as image:
        count = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        for frame in range(count):
            image.seek(frame)
            _check_pixels(path, image.width * image.height)
            yield f"frame {frame + 1}", _pixels(image, path, form)


def _folder_frames(folder: Path, form: _Form) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    found = [file.name for file in folder.iterdir() if not file.name.startswith(".")]
    names = [name for name in found if name.lower().endswith(IMAGE_ENDINGS)]
    if not names:
        raise DataError(
            f"{folder}: expected a folder of numbered images, received one without any image "
            f"({len(found):,} other files)"
        )
    for name in natural_order(names):
        if not re.search("[0-9]", name):
            raise DataError(
                f"{folder}: expected a number in the name of each frame, received {name}",
                hint="number the frames, such as 001.png, 002.png",
            )
        yield name, _still(folder / name, None, form)


def _array_frames(
    path: Path | str, array: NDArray[Any], form: _Form
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    from PIL import Image

    is_frames = array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (1, 3, 4))
    if array.dtype != np.uint8 or not is_frames or not array.size:
        raise DataError(
            f"{path}: expected uint8[T, H, W] or uint8[T, H, W, C] with C of 1, 3 or 4 and at "
            f"least one frame, received {array.dtype}{list(array.shape)}",
            hint="np.save(path, frames.astype(np.uint8)), with values from 0 to 255",
        )
    _check_pixels(path, array.shape[1] * array.shape[2])
    is_grey = array.ndim == 4 and array.shape[3] == 1
    for number, frame in enumerate(array[..., 0] if is_grey else array, 1):
        yield f"frame {number}", _pixels(Image.fromarray(frame), path, form)


def _array(path: Path | str, content: bytes | None) -> Any:
    source = _source(path, content)
    try:
        if isinstance(source, Path):
            # not read before type and shape are known to be right
            return np.load(source, mmap_mode="r", allow_pickle=False)
        return np.load(source, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, OverflowError) as error:
        raise DataError(
            f"{path}: expected an array as `np.save` writes it, but it cannot be read "
            f"({str(error).splitlines()[0][:200]})",
            hint=_AGAIN,
        ) from error


def _stacked(
    path: Path | str, frames: Iterator[tuple[str, NDArray[np.uint8]]]
) -> NDArray[np.uint8]:
    found: list[NDArray[np.uint8]] = []
    for name, frame in frames:
        if found and frame.shape != found[0].shape:
            raise DataError(
                f"{path}, {name}: expected {_sides(found[0])} pixels as in the first frame, "
                f"received {_sides(frame)}",
                hint="bring all frames to one size",
            )
        found.append(frame)
        if len(found) * frame.nbytes > _MOST_BYTES:
            raise DataError(
                f"{path}: expected at most {_MOST_BYTES >> 20} MiB of frames, received more than "
                f"{len(found) - 1:,} frames of {_sides(frame)} pixels",
                hint="cut it into pieces, or make its frames smaller",
            )
    return np.stack(found)


def _sides(frame: NDArray[np.uint8]) -> str:
    return f"{frame.shape[1]} x {frame.shape[0]}"
