"""The files of a folder or of a zip archive, which is read without being extracted."""

from __future__ import annotations

import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sunhwan.data.examples import Rejected
from sunhwan.errors import DataError

MOST_MEMBERS = 200_000
#: bytes of one file, and of all files of an archive together
LARGEST_MEMBER, LARGEST_TOTAL = 256 * 2**20, 4 * 2**30
#: an archive that grows by more than this, and to more than `_HARMLESS` bytes, is refused
LARGEST_RATIO = 200
_HARMLESS = 64 * 2**20
_ENCRYPTED = 0x1
#: what systems leave behind beside the files of people
_LEFT_BEHIND = {"__MACOSX", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Member:
    """A file of a folder or an archive.

    Attributes
    ----------
    name
        Its path within, with ``/``.
    place
        The folder or archive and the name, for messages.
    size
        Bytes.
    load
        Gives them; see `read`.
    """

    name: str
    place: str
    size: int
    load: Callable[[], bytes]

    @property
    def stem(self) -> str:
        """The path without the ending."""
        return str(PurePosixPath(self.name).with_suffix(""))

    @property
    def ending(self) -> str:
        """Such as ``.wav``, in lower case."""
        return PurePosixPath(self.name).suffix.lower()

    def read(self) -> bytes:
        """The bytes.

        Raises
        ------
        DataError
            It cannot be read, is damaged or larger than `LARGEST_MEMBER`.
        """
        if self.size > LARGEST_MEMBER:
            raise DataError(f"{self.place}: larger than {LARGEST_MEMBER >> 20} MiB")
        damage = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
        try:
            return self.load()
        except (OSError, *damage) as error:
            raise DataError(f"{self.place}: cannot be read ({error})") from error


@dataclass(frozen=True)
class Members:
    """Files in the order of their names, and what was left out and why."""

    files: list[Member]
    rejected: list[Rejected]


@contextmanager
def open_members(path: Path | str) -> Iterator[Members]:
    """The files of a folder and its folders, or of a zip archive; hidden files are left out.

    In a folder, links that lead out of it are left out and named. An archive is refused as a whole
    where it holds anything that no archive of data holds.

    Raises
    ------
    DataError
        There is neither; or an archive is damaged, encrypted, too large, grows too much, or has
        links, paths that lead out of it, or one name twice.
    """
    path = Path(path)
    if path.is_dir():
        yield _of_folder(path)
        return
    if not path.is_file():
        raise DataError(f"{path}: expected a folder or a zip archive, but there is none")
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(
            f"{path}: expected a folder or a zip archive, but it cannot be read as one ({error})"
        ) from error
    with archive:
        yield _of_archive(archive, path)


def _is_hidden(name: PurePosixPath) -> bool:
    return any(part.startswith(".") or part in _LEFT_BEHIND for part in name.parts)


def _of_folder(root: Path) -> Members:
    files: list[Member] = []
    rejected: list[Rejected] = []
    true_root = os.path.realpath(root)

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for folder, folders, names in os.walk(root, onerror=refuse):
        for name in [*names, *(name for name in folders if (Path(folder) / name).is_symlink())]:
            path = Path(folder) / name
            inner = PurePosixPath(path.relative_to(root).as_posix())
            place = f"{root.name}/{inner}"
            if _is_hidden(inner):
                continue
            if not Path(os.path.realpath(path)).is_relative_to(true_root):
                rejected.append(Rejected(place, "is a link that leads out of the folder"))
            elif not path.is_file():
                kind = "a link to a folder" if path.is_dir() else "no file that can be read"
                rejected.append(Rejected(place, f"is {kind}"))
            else:
                files.append(Member(str(inner), place, path.stat().st_size, path.read_bytes))
            if len(files) > MOST_MEMBERS:
                raise DataError(f"{root}: holds more than {MOST_MEMBERS} files")
    return Members(sorted(files, key=lambda member: member.name), rejected)


def _of_archive(archive: zipfile.ZipFile, path: Path) -> Members:
    infos = archive.infolist()
    _check_archive(infos, path)
    files = [
        # the default argument binds this entry, not the last of the loop
        Member(
            info.filename,
            f"{path.name}/{info.filename}",
            info.file_size,
            lambda info=info: archive.read(info),  # type: ignore[misc]
        )
        for info in sorted(infos, key=lambda info: info.filename)
        if not info.is_dir() and not _is_hidden(PurePosixPath(info.filename))
    ]
    return Members(files, [])


def _check_archive(infos: list[zipfile.ZipInfo], path: Path) -> None:
    if len(infos) > MOST_MEMBERS:
        raise DataError(f"{path}: holds more than {MOST_MEMBERS} files")
    seen = set()
    for info in infos:
        if fault := _fault(info) or ("occurs twice" if info.filename in seen else None):
            raise DataError(
                f"{path}: the entry {info.filename!r} {fault}, so the archive is refused",
                hint="pack the files anew: plain files, no links, no password",
            )
        seen.add(info.filename)
    size, total = path.stat().st_size, sum(info.file_size for info in infos)
    if total > max(_HARMLESS, LARGEST_RATIO * size) or total > LARGEST_TOTAL:
        raise DataError(
            f"{path}: {size} bytes that expand to {total}; more than {LARGEST_TOTAL} bytes or "
            f"{LARGEST_RATIO} times as much are refused",
            hint="if you trust the archive, extract it and give the folder",
        )
    if sum(info.compress_size for info in infos) > size:
        raise DataError(f"{path}: entries of the archive overlap, so it is refused")


def _fault(info: zipfile.ZipInfo) -> str | None:
    """What is wrong with an entry, as the end of a sentence."""
    # zipfile cuts names at a NUL byte; the name as stored is kept beside it
    name, stored = info.filename, info.orig_filename
    parts = PurePosixPath(name).parts
    drive = stored[1:2] == ":"
    if name.startswith("/") or ".." in parts or "\\" in stored or drive or "\0" in stored:
        return "has a path that could lead out of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return None
