"""Lines of text files, plain or gzip, one at a time and with limits that a bomb runs into."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sunhwan.errors import DataError

#: bytes of the longest line that is still a row
LONGEST_LINE = 16 * 2**20
#: how the fault of a line in another encoding begins; the byte follows
NOT_UTF8 = "not UTF-8: byte 0x"
#: gzip data that grows by more than this, and to more than `_HARMLESS` bytes, is refused
LARGEST_RATIO = 200
_HARMLESS = 64 * 2**20
_GZIP = b"\x1f\x8b"
#: how files begin that are often taken for text
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"%PDF": "a PDF",
    b"RIFF": "a sound",
    b"fLaC": "a sound",
}


class Line(NamedTuple):
    """A line with its end: its number from 1, its text, and why it is none (or None)."""

    number: int
    text: str
    fault: str | None

    @property
    def content(self) -> str:
        """The text without its line end."""
        return self.text.removesuffix("\n").removesuffix("\r")


@dataclass(frozen=True)
class Source:
    """Bytes that can be read again and again.

    Attributes
    ----------
    name
        For messages.
    open
        Gives the bytes from their beginning; seekable.
    path
        Where they lie, if they are a file of their own.
    """

    name: str
    open: Callable[[], BinaryIO]
    path: Path | None = None

    @classmethod
    def from_path(cls, path: Path | str, name: str | None = None) -> Source:
        """A file; `name` stands for it in messages.

        Raises
        ------
        DataError
            There is no such file, or it is a folder, a pipe or a device.
        """
        path = Path(path)
        if not path.exists():
            raise DataError(f"{path}: expected a file, but there is none")
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "a pipe or device, which cannot be read twice"
            raise DataError(f"{path}: expected a file, received {kind}")
        return cls(str(path) if name is None else name, lambda: path.open("rb"), path)


class _Expanding(io.RawIOBase):
    """Gzip data as it is expanded, refused once it grows out of all proportion."""

    def __init__(self, raw: BinaryIO, name: str) -> None:
        self._raw, self._name, self._grown = raw, name, 0
        self._expanded = gzip.GzipFile(fileobj=raw, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        count = self._expanded.readinto(buffer)
        self._grown += count
        if self._grown > max(_HARMLESS, LARGEST_RATIO * self._raw.tell()):
            raise DataError(
                f"{self._name}: the gzip data grows more than {LARGEST_RATIO} times when it is "
                "expanded, as no text does",
                hint="if you trust the file, expand it first: gzip -d",
            )
        return count

    def close(self) -> None:
        self._expanded.close()
        self._raw.close()
        super().close()


def open_bytes(source: Source) -> BinaryIO:
    """The bytes of `source`, expanded where they are gzip data.

    Raises
    ------
    DataError
        The file cannot be opened, or its name ends in `.gz` but it is no gzip data.
    """
    try:
        raw = source.open()
    except OSError as error:
        raise DataError(f"{source.name}: cannot be opened ({error.strerror})") from error
    packed = raw.read(2) == _GZIP
    raw.seek(0)
    if packed:
        return io.BufferedReader(_Expanding(raw, source.name), 2**20)
    if source.name.lower().endswith(".gz"):
        raw.close()
        raise DataError(
            f"{source.name}: the file cannot be read as gzip data, for it does not begin like it",
            hint="if it is not compressed, take `.gz` off its name",
        )
    return raw


def read_lines(source: Source) -> Iterator[Line]:
    r"""The lines of a file, split at line feeds alone and without a byte order mark.

    A line that is no UTF-8 or holds a NUL byte is given with its fault, so that the reader can
    name it and go on.

    Raises
    ------
    DataError
        The file is no text, is cut off, or has a line of more than `LONGEST_LINE` bytes.

    Examples
    --------
    >>> source = Source("tiny.txt", lambda: io.BytesIO(b"a\r\nb"))
    >>> [line.content for line in read_lines(source)]
    ['a', 'b']
    """
    number = 0
    with open_bytes(source) as stream:
        try:
            while raw := stream.readline(LONGEST_LINE + 1):
                number += 1
                if number == 1:
                    raw = without_mark(raw, source.name)
                if len(raw) > LONGEST_LINE:
                    raise DataError(
                        f"{source.name}, line {number}: longer than {LONGEST_LINE >> 20} MiB, "
                        "which is no row of a table"
                    )
                yield decoded(raw, number)
        except EOFError as error:
            raise DataError(
                f"{source.name}, line {number + 1}: the gzip data is cut off",
                hint="copy the file again",
            ) from error
        except (OSError, zlib.error) as error:
            raise DataError(
                f"{source.name}, line {number + 1}: the file cannot be read ({error})"
            ) from error


def without_mark(raw: bytes, name: str) -> bytes:
    """How a file begins, without its byte order mark.

    Raises
    ------
    DataError
        It begins like no text in UTF-8.
    """
    for start, kind in _FOREIGN.items():
        if raw.startswith(start):
            raise DataError(
                f"{name}: expected UTF-8 text, but the file begins like {kind}",
                hint="save the table as CSV in UTF-8",
            )
    return raw.removeprefix(b"\xef\xbb\xbf")


def decoded(raw: bytes, number: int) -> Line:
    """A line from its bytes; see `read_lines`."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        fault = f"{NOT_UTF8}{raw[error.start]:02x} at place {error.start + 1} of the line"
        return Line(number, raw.decode("utf-8", errors="replace"), fault)
    return Line(number, text, "holds a NUL byte" if "\0" in text else None)
