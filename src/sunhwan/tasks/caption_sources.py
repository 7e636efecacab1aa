"""From what a person names as data to images and their captions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Rejected
from sunhwan.data.images import IMAGE_ENDINGS
from sunhwan.data.pictures import (
    Image,
    Pictures,
    Size,
    choose_size,
    image_or_reason,
    images_of,
)
from sunhwan.data.rows import TABLE_ENDINGS, Row, open_rows
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.sources import find_data
from sunhwan.tasks.translate_parts import Pairs, repetitions
from sunhwan.tasks.translate_sources import (
    PairSource,
    called,
    columns_again,
    finder_of,
    read_table,
    texts_left,
)

if TYPE_CHECKING:
    from sunhwan.data.column_finder import Finder
    from sunhwan.data.rows import Rows

ROLES = ("image", "caption")
#: share of the values of a column of images that must end as names of images do
_MOST = 0.5


@dataclass
class Captions(Pairs):
    """Names of images and their captions.

    Attributes
    ----------
    pictures
        The images.
    """

    pictures: Pictures

    def read(self) -> Sequence[Image]:
        """What a network sees for each caption: its image."""
        return self.pictures.take(self.pictures.numbers(self.sources))

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Captions:
        """Some of the captions, in the order of ``rows``."""
        some = super().take(rows)
        return Captions(some.sources, some.targets, some.places, self.pictures)


@dataclass
class CaptionSource(PairSource):
    """Captions and how they were read, as in `PairSource`."""

    pictures: Pictures = field(kw_only=True)

    def read(self) -> Sequence[Image]:
        """What a network sees for each caption: its image."""
        return self.take(range(len(self))).read()

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Captions:
        """Some of the captions, in the order of ``rows``."""
        return Captions(self.sources, self.targets, self.places, self.pictures).take(rows)


class Asked(NamedTuple):
    """An image to caption: what the data says of it, and the image or why there is none."""

    place: str
    fields: dict[str, Any]
    image: Image | None
    reason: str = ""


def read_captions(
    paths: Sequence[Path | str],
    named: Mapping[str, Any] | None = None,
    image_size: int | None = None,
) -> CaptionSource:
    r"""Read images and their captions, one a row of a table.

    Parameters
    ----------
    paths
        Tables of the same columns, or a folder that holds one table. Images are named from the
        folder of their table on.
    named
        What the user said of the columns: ``image`` and ``caption``. What is left out goes by what
        the columns hold.
    image_size
        Pixels of the longer side of images; None is that of the middle one of some, 64 at most.

    Raises
    ------
    UsageError
        Nothing is named, or a column is not clear.
    DataError
        No such file, a file that is no table, or no row that can be used.
    """
    given = {role: column for role, column in (named or {}).items() if column is not None}
    if unknown := [role for role in given if role not in ROLES]:
        raise UsageError(
            f"`{unknown[0]}` has no meaning for `caption`, whose columns are `image` and `caption`"
        )
    files = _tables(paths)
    rows = open_rows(files)
    finder = find_columns(rows, given)
    columns = {role: finder.roles[role][0] for role in ROLES}
    found = _with_pictures(read_table(files, rows, columns, answers=True), files, image_size)
    found.notes += [f"{role}: {columns[role]} ({finder.reasons[role]})" for role in ROLES]
    found.notes += [found.pictures.describe(), *repetitions(found, ("images", "captions"))]
    return found


def read_captions_again(reader: Mapping[str, Any], paths: Sequence[Path | str]) -> CaptionSource:
    """Read other captions the way a source was read, whose `reader` is given.

    Raises
    ------
    UsageError
        Nothing is named.
    DataError
        As for `read_captions`; a table lacks a column; or `reader` is no such mapping.
    """
    columns, size = _reader(reader)
    files = _tables(paths)
    found = read_table(files, open_rows(files), columns, answers=True)
    return _with_pictures(found, files, size)


def read_images(
    reader: Mapping[str, Any], paths: Sequence[Path | str], size: Size
) -> Iterator[Asked]:
    """Images to caption, one after the other; none is left out.

    Parameters
    ----------
    reader
        Of a run.
    paths
        Image files, and folders of them; or tables with the column of images of the run.
    size
        Height and width to bring them to.

    Raises
    ------
    UsageError
        Nothing is named, or tables beside images.
    DataError
        There is no such file or column, or a folder without images.
    """
    files = [find_data(path) for path in paths]
    tables = [file for file in files if file.name.lower().endswith(TABLE_ENDINGS)]
    if not files:
        raise UsageError("`caption` needs images: files, folders of them, or a table")
    if tables and len(tables) < len(files):
        raise UsageError(
            f"tables cannot be given together with images, received {tables[0].name} and "
            f"{next(file for file in files if file not in tables).name}"
        )
    if not tables:
        for path in (path for file in files for path in images_of(file)):
            yield _asked_file(path, size)
        return
    column = _reader(reader)[0]["image"]
    rows, folders = open_rows(tables), _folders(tables)
    if column not in rows.columns:
        raise DataError(
            f"{rows.name}: expected a column `{column}` of images among {', '.join(rows.columns)}"
        )
    yield from (_asked_row(row, column, folders, size) for row in rows)
    yield from (Asked(bad.place, {}, None, bad.reason) for bad in rows.rejected)


def _asked_row(row: Row, column: str, folders: Sequence[Path], size: Size) -> Asked:
    name = str(row.fields[column] or "").strip()
    if not name:
        return Asked(row.place, row.fields, None, f"`{column}` is empty")
    found = image_or_reason(name, folders, size)
    if isinstance(found, str):
        return Asked(row.place, row.fields, None, f"{name}: {found}")
    return Asked(row.place, row.fields, found)


def _asked_file(path: Path, size: Size) -> Asked:
    found, fields = image_or_reason(str(path), [Path()], size), {"image": str(path)}
    if isinstance(found, str):
        return Asked(str(path), fields, None, found)
    return Asked(str(path), fields, found)


def _tables(paths: Sequence[Path | str]) -> list[Path]:
    """The tables that are named, and the one that a folder holds."""
    if not paths:
        raise UsageError("`caption` needs a table of images and captions, or a folder that has one")
    files = []
    for path in map(find_data, paths):
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(f for f in path.iterdir() if f.name.lower().endswith(TABLE_ENDINGS))
        if len(inside) != 1:
            names = ", ".join(file.name for file in inside) or "none"
            raise UsageError(
                f"{path}: expected one table of captions in the folder, received {names}",
                hint="name the table instead of the folder",
            )
        files += inside
    return files


def _folders(files: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(file.parent for file in files))


def find_columns(rows: Rows, given: Mapping[str, str]) -> Finder:
    """The columns of both sides, each with the reason for it: named, by what it holds, or left.

    Raises
    ------
    DataError
        There is no row.
    UsageError
        A column is not clear.
    """
    finder = finder_of(rows, given)
    images = [
        name
        for name in finder.where("text")
        if np.mean([str(v).strip().lower().endswith(IMAGE_ENDINGS)
                    for v in finder.facts[name].filled]) > _MOST
    ]  # fmt: skip
    finder.need("image", images, "its values name images")
    finder.choose("caption", called(finder, "caption"), "its name says so")
    finder.need("caption", texts_left(finder, 1), "the only column of texts left")
    return finder


def _reader(reader: Mapping[str, Any]) -> tuple[dict[str, str], Size]:
    """Columns and size, from the `PairSource.reader` of a run."""
    given = dict(reader) if isinstance(reader, Mapping) else {}
    size = given.pop("size", None)
    if not isinstance(size, list) or len(size) != 2 or not all(type(s) is int for s in size):
        raise DataError(f"expected how the images of a run are read, received {reader!r:.200}")
    return columns_again(given, ROLES), (size[0], size[1])


def _with_pictures(
    found: PairSource, files: Sequence[Path], size: Size | int | None
) -> CaptionSource:
    """The pairs whose image can be read; the others are rejected by name."""
    folders = _folders(files)
    chosen = size if isinstance(size, tuple) else choose_size(found.sources, folders, size)
    pictures = Pictures(chosen)
    known: dict[str, str] = {}
    faults: dict[str, str] = {}
    kept: list[int] = []
    for row, name in enumerate(found.sources):
        if name not in known and name not in faults:
            image = image_or_reason(name, folders, chosen)
            if isinstance(image, str):
                faults[name] = f"{name}: {image}"
            else:
                known[name] = pictures.add(name, image)
        if name in known:
            kept.append(row)
        else:
            found.rejected.append(Rejected(found.places[row], faults[name]))
    if not kept:
        first = found.rejected[0]
        raise DataError(
            f"none of the {len(found.rejected):,} rows can be used; {first.place}: {first.reason}",
            hint="images are named from the folder of the table on",
        )
    twice = len(known) - len(pictures)
    notes = [f"files that show the same image as one before: {twice:,}"] if twice else []
    some = found.take(kept)
    names = [known[name] for name in some.sources]
    return CaptionSource(
        names, some.targets, some.places, {**found.reader, "size": list(chosen)}, found.columns,
        [*found.notes, *notes],
        [*found.files, {"name": f"{len(pictures):,} images", "sha256": pictures.checksum()}],
        found.rejected, pictures=pictures,
    )  # fmt: skip
