"""Images of one size, kept by name, and how they are found and read."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.images import IMAGE_ENDINGS, natural_order, read_image
from sunhwan.data.spool import Spool, Spooled, take
from sunhwan.errors import DataError

Image = NDArray[np.uint8]
Size = tuple[int, int]

#: images that the size is chosen by, and pixels of the longer side, where nobody chose them
_SAMPLE, _LONGEST, _SHORTEST = 20, 64, 8


class Pictures:
    """Different images of one size, by the names of their files.

    They lie in memory, and beyond 128 MiB on disk; see `sunhwan.data.spool`. Files that show the
    same are one image, with the name of the first.

    Parameters
    ----------
    size
        Height and width that images are brought to.

    Examples
    --------
    >>> pictures = Pictures((2, 3))
    >>> pictures.add("a.png", np.zeros((2, 3, 3), np.uint8))
    'a.png'
    >>> pictures.add("copy.png", np.zeros((2, 3, 3), np.uint8)), len(pictures)
    ('a.png', 1)
    """

    def __init__(self, size: Size) -> None:
        self.size = size
        self._spool: Spool[Image] = Spool()
        self._names: dict[bytes, str] = {}
        self._numbers: dict[str, int] = {}
        self._images: Sequence[Image] = []

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str, image: Image) -> str:
        """Keep an image, and return the name that it has here."""
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest not in self._names:
            self._numbers[name] = len(self._names)
            self._names[digest] = name
            self._spool.add(image)
        return self._names[digest]

    def numbers(self, names: Sequence[str]) -> NDArray[np.int64]:
        """``int64[N]``: which image each name is."""
        return np.fromiter((self._numbers[name] for name in names), np.int64, len(names))

    def take(self, numbers: Sequence[int] | NDArray[Any]) -> Sequence[Image]:
        """Some of the images, ``uint8[H, W, 3]`` each."""
        if len(self._images) < len(self):
            self._images = self._spool.items()
        return take(self._images, numbers)

    def checksum(self) -> str:
        """SHA-256 of all images in their order."""
        return hashlib.sha256(b"".join(self._names)).hexdigest()

    def describe(self) -> str:
        """How many images there are, of what size, and where they are kept."""
        height, width = self.size
        place = "on disk" if isinstance(self.take([]), Spooled) else "in memory"
        mib = len(self) * height * width * 3 / 2**20
        return f"images: {len(self):,} of {width} x {height} pixels, {mib:,.1f} MiB {place}"


def image_or_reason(name: str, folders: Sequence[Path], size: Size | None) -> Image | str:
    """An image ``uint8[H, W, 3]``, or why there is none.

    Parameters
    ----------
    name
        Of the file, from one of `folders` on.
    size
        As of `sunhwan.data.images.read_image`.
    """
    path = _place(name, folders)
    try:
        return read_image(path, size=size)
    except DataError as error:
        return error.message.removeprefix(f"{path}: ")


def images_of(path: Path) -> list[Path]:
    """A file itself, or the images of a folder and its folders, in the order of their numbers.

    Raises
    ------
    DataError
        A folder has none.
    """
    if not path.is_dir():
        return [path]
    found = {
        str(file.relative_to(path))
        for file in path.rglob("*")
        if file.suffix.lower() in IMAGE_ENDINGS and file.is_file()
    }
    if not found:
        raise DataError(f"{path}: expected a folder of images, but there is none in it")
    return [path / name for name in natural_order(list(found))]


def choose_size(names: Sequence[str], folders: Sequence[Path], longest: int | None) -> Size:
    """The size for images by `size_for`, from some of them."""
    sizes = []
    for name in some_of(list(dict.fromkeys(names))):
        image = image_or_reason(name, folders, None)
        if not isinstance(image, str):  # told where all images are read
            sizes.append((image.shape[0], image.shape[1]))
    return size_for(sizes, longest)


def some_of(items: Sequence[Any]) -> Sequence[Any]:
    """At most 20 of the items, evenly spread, by which the size is chosen."""
    return items[:: max(1, -(-len(items) // _SAMPLE))]


def size_for(sizes: Sequence[Size], longest: int | None) -> Size:
    """Height and width of the middle one of some images, brought to a longer side.

    Parameters
    ----------
    longest
        Pixels of that side; None is that of the image, 64 at most.

    Examples
    --------
    >>> size_for([(300, 400), (30, 40), (60, 80)], None), size_for([(30, 40)], 100)
    ((48, 64), (75, 100))
    """
    height, width = np.median(sizes or [(_LONGEST, _LONGEST)], axis=0).tolist()
    scale = (longest or min(max(height, width), _LONGEST)) / max(height, width)
    return max(round(height * scale), _SHORTEST), max(round(width * scale), _SHORTEST)


def _place(name: str, folders: Sequence[Path]) -> Path:
    """Where an image lies; some systems write the letters of names in another form of Unicode."""
    forms = [name, unicodedata.normalize("NFD", name)]
    places = [folder / form for folder in folders for form in forms]
    return next((place for place in places if place.exists()), places[0])
