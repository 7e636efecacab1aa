"""Texts to learn to write from: files, folders, zips, tables; what is refused and what is named."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import unicodedata
import zipfile
from pathlib import Path

import polars
import pytest

from sunhwan.data import lines
from sunhwan.data.spool import Spooled
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks import generate_sources
from sunhwan.tasks.generate_sources import read_texts, read_texts_again


def _fill(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def _said(source) -> list[tuple[str, str]]:
    return [(one.place, one.reason) for one in source.rejected]


def _again(source, paths):
    return read_texts_again(json.loads(json.dumps(source.reader)), paths)


# text files


def test_a_text_file_is_one_text(tmp_path):
    content = "\ufeff국민대학\r\n\tto be\r\n\r\n  or not\rstill 😀 \n\n"
    path = _fill(tmp_path, {"novel.md": content}) / "novel.md"
    source = read_texts([path])
    assert source.texts == ["국민대학\n\tto be\n\n  or not\rstill 😀 \n\n"]
    assert (source.places, source.rejected, source.notes) == (["novel.md"], [], [])
    assert source.reader == {"kind": "texts"}
    assert source.columns == {"layout": "novel.md"}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.files == [{"name": "novel.md", "sha256": digest}]
    assert _again(source, [path]).texts == source.texts


def test_files_of_any_ending_and_gzip_in_the_order_given(tmp_path):
    packed = gzip.compress("둘\r\n".encode())
    _fill(tmp_path, {"b.txt": "one", "a.txt.gz": packed, "code": "x = 1\n", "two/b.txt": "four"})
    paths = [tmp_path / name for name in ("b.txt", "a.txt.gz", "code", "two/b.txt")]
    source = read_texts(paths)
    assert source.texts == ["one", "둘\n", "x = 1\n", "four"]
    assert source.places == [str(paths[0]), "a.txt.gz", "code", str(paths[3])]
    assert [file["name"] for file in source.files] == ["b.txt", "a.txt.gz", "code", "b.txt"]
    assert source.columns == {"layout": "b.txt, a.txt.gz, code, ..."}


def test_texts_come_in_nfc(tmp_path):
    path = _fill(tmp_path, {"d.txt": unicodedata.normalize("NFD", "각 é\n")}) / "d.txt"
    assert read_texts([path]).texts == ["각 é\n"]


def test_very_long_lines(tmp_path, monkeypatch):
    path = _fill(tmp_path, {"one.txt": "가 나" * 500_000}) / "one.txt"
    assert read_texts([path]).texts == ["가 나" * 500_000]
    monkeypatch.setattr(lines, "LONGEST_LINE", 2**20)
    with pytest.raises(DataError, match=r"one\.txt, line 1: longer than 1 MiB"):
        read_texts([path])


def test_a_text_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(generate_sources, "LARGEST_MEMBER", 2**20)
    path = _fill(tmp_path, {"long.txt": "tale\n" * 300_000}) / "long.txt"
    with pytest.raises(DataError, match=r"long\.txt: longer than 1 Mi characters\nhint: divide"):
        read_texts([path])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "w.txt",
            "좋다\n싫다\n".encode("cp949"),
            r"w\.txt, line 1: .* \(not UTF-8: .*\nhint.*cp949",
        ),
        ("w.txt", b"so\nso\xe9\n", r"w\.txt, line 2: expected a line of text in UTF-8 \(not UTF-8"),
        ("w.txt", "so".encode("utf-16"), "UTF-16"),
        ("w.txt", b"\x01\x02\n\x00", r"w\.txt, line 2: .*NUL byte"),
        ("w.pdf", b"%PDF-1.7\n", "begins like a PDF"),
        ("w.txt", b"PK\x03\x04aaaa", "a zip archive"),
        ("w.zip", b"PK\x03\x04aaaa", "cannot be read as one"),
        ("w.txt.gz", b"plain", "does not begin like it"),
        ("w.txt.gz", gzip.compress(b"a long text" * 99, mtime=0)[:-9], "cut off"),
        ("w.txt", b"", r"none of the 1 texts can be used; w\.txt: the text is empty"),
        ("w.txt", b"\xef\xbb\xbf \n\n\t", "the text is empty"),
    ],
)
def test_files_that_are_no_text(tmp_path, name, content, says):
    with pytest.raises(DataError, match=rf"(?s){says}"):
        read_texts([_fill(tmp_path, {name: content}) / name])


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "_HARMLESS", 2**20)
    bomb = gzip.compress(b"\n" * 2**23, mtime=0)
    _fill(tmp_path, {"bomb.txt": bomb, "folder/bomb.txt": bomb, "folder/fine.txt": "fine"})
    with pytest.raises(DataError, match="grows more than 200 times"):
        read_texts([tmp_path / "bomb.txt"])
    source = read_texts([tmp_path / "folder"])
    assert source.texts == ["fine"]
    assert "grows more than 200 times" in source.rejected[0].reason


def test_pipes_and_what_is_not_there(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DataError, match="a pipe or device"):
        read_texts([tmp_path / "pipe.txt"])
    with pytest.raises(DataError, match="there is none"):
        read_texts([tmp_path / "absent.txt"])
    with pytest.raises(UsageError, match="`generate` needs texts"):
        read_texts([])


def test_an_empty_file_among_others_is_named(tmp_path):
    _fill(tmp_path, {"a.txt": "so", "b.txt": "\n"})
    source = read_texts([tmp_path / "a.txt", tmp_path / "b.txt"])
    assert (source.texts, _said(source)) == (["so"], [("b.txt", "the text is empty")])


# folders

FOLDER = {
    "b.txt": "second",
    "a/z.md": "first\r\n",
    "a/.hidden.txt": "no",
    ".git/config": "no",
    "c.txt.gz": gzip.compress("셋째".encode()),
    "d/wrong.txt": b"caf\xe9",
    "d/image.png": b"\x89PNG\r\n\x1a\n\0\0",
    "d/empty.txt": "",
    "d/rows.csv": "text\nso\n",
}


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_texts(tmp_path, packed):
    path = tmp_path / ("t.zip" if packed else "t")
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in FOLDER.items():
                archive.writestr(name, content)
    else:
        _fill(path, FOLDER)
    source = read_texts([path])
    assert source.texts == ["first\n", "second", "셋째"]
    assert source.places == [f"{path.name}/{name}" for name in ("a/z.md", "b.txt", "c.txt.gz")]
    assert _said(source) == [
        (f"{path.name}/d/empty.txt", "the text is empty"),
        (
            f"{path.name}/d/image.png, line 1",
            "not UTF-8: byte 0x89 at place 1 of the line",
        ),
        (
            f"{path.name}/d/rows.csv",
            "is a table; tables are read where they are named themselves",
        ),
        (f"{path.name}/d/wrong.txt, line 1", "not UTF-8: byte 0xe9 at place 4 of the line"),
    ]
    assert [file["name"] for file in source.files] == [path.name]
    assert _again(source, [path]).files == source.files


def test_the_checksum_of_a_folder_tells_names_and_contents(tmp_path):
    texts = [{"x.txt": "one", "y.txt": "two"}, {"x.txt": "two", "y.txt": "one"}, {"x.txt": "one"}]
    sums = set()
    for number, files in enumerate(texts):
        folder = _fill(tmp_path / str(number) / "t", files)
        sums.add(read_texts([folder]).files[0]["sha256"])
    assert len(sums) == 3


def test_links_out_of_a_folder_are_left_out(tmp_path):
    _fill(tmp_path, {"secret.txt": "secret", "t/fine.txt": "fine", "t/in/more.txt": "more"})
    (tmp_path / "t/out.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "t/same.txt").symlink_to(tmp_path / "t/fine.txt")
    (tmp_path / "t/loop").symlink_to(tmp_path / "t")
    source = read_texts([tmp_path / "t"])
    assert source.texts == ["fine", "more", "fine"]
    assert _said(source) == [
        ("t/out.txt", "is a link that leads out of the folder"),
        ("t/loop", "is a link to a folder"),
    ]


def test_a_folder_without_texts(tmp_path):
    (tmp_path / "t").mkdir()
    with pytest.raises(DataError, match="expected texts, received none\nhint: name text files"):
        read_texts([tmp_path / "t"])
    _fill(tmp_path, {"t/rows.csv": "a,b\n"})
    with pytest.raises(
        DataError, match=r"none of the 1 texts can be used; t/rows\.csv: is a table"
    ):
        read_texts([tmp_path / "t"])


def test_a_zip_that_leads_out_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("../x.txt", "x")
    with pytest.raises(DataError, match="could lead out"):
        read_texts([tmp_path / "t.zip"])


# tables


def _write_table(path: Path, rows: list[dict[str, object]]) -> Path:
    frame, file = polars.DataFrame(rows), io.BytesIO()
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        frame.write_parquet(file)
    elif name.endswith(".jsonl"):
        frame.write_ndjson(file)
    else:
        frame.write_csv(file, separator="\t" if name.endswith(".tsv") else ",")
    content = file.getvalue()
    path.write_bytes(gzip.compress(content, mtime=0) if path.name != name else content)
    return path


ROWS: list[dict[str, object]] = [
    {"nr": 1, "review": "정말  좋은 영화\r\n또 보고 싶다 ", "stars": 5},
    {"nr": 2, "review": "  \n", "stars": 1},
    {"nr": 3, "review": "so,\tso", "stars": 3},
]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.gz"])
def test_each_row_of_a_table_is_a_text(tmp_path, ending):
    path = _write_table(tmp_path / f"r.{ending}", ROWS)
    source = read_texts([path], {"text": None})
    assert source.texts == ["정말  좋은 영화\n또 보고 싶다 ", "so,\tso"]
    assert source.places[0].startswith(f"{path.name}, ")
    assert [one.reason for one in source.rejected] == ["`review` is empty"]
    assert source.reader == {"kind": "table", "text": "review"}
    assert source.columns == {"text": "review"}
    assert source.notes[-1] == "text: review (its name says so)"
    assert source.files[0]["name"] == path.name
    assert _again(source, [path, path]).texts == source.texts * 2


def test_the_column_is_named_or_has_the_longest_texts(tmp_path):
    rows = [{"who": "kim", "said": f"a rather long line, number {n}"} for n in range(9)]
    path = _write_table(tmp_path / "s.csv", rows)
    assert read_texts([path]).notes[-1] == "text: said (holds the longest texts)"
    named = read_texts([path], {"text": "who"})
    assert (named.texts[:1], named.notes[-1]) == (["kim"], "text: who (--text)")
    short = _write_table(tmp_path / "t.csv", [{"n": n, "w": word} for n, word in enumerate("abc")])
    assert read_texts([short]).texts == ["a", "b", "c"]


def test_columns_that_are_not_clear(tmp_path):
    path = _write_table(tmp_path / "q.csv", [{"one": "a long line", "two": "one more line"}] * 3)
    with pytest.raises(UsageError, match="could be any of one, two\nhint: give --text NAME"):
        read_texts([path])
    with pytest.raises(UsageError, match="there is no column 'tow', did you mean 'two'"):
        read_texts([path], {"text": "tow"})
    with pytest.raises(UsageError, match="`label` has no meaning for `generate`"):
        read_texts([path], {"label": "one"})
    numbers = _write_table(tmp_path / "n.csv", [{"a": 1, "b": 2}] * 3)
    with pytest.raises(UsageError, match="no column is left for the text among a, b"):
        read_texts([numbers])


def test_a_table_without_a_header(tmp_path):
    path = _fill(tmp_path, {"h.csv": "the first of the lines\nthe second of the lines\n"}) / "h.csv"
    with pytest.raises(UsageError, match="seems to be a text and not the name"):
        read_texts([path])
    assert len(read_texts([path], {"text": "the first of the lines"}).texts) == 1


def test_rows_that_are_malformed_or_in_another_encoding(tmp_path):
    good = "fine so far\n" * 300
    _fill(tmp_path, {"a.csv": f"text,n\nx,1,2\n{good.replace(chr(10), ',1' + chr(10))}"})
    source = read_texts([tmp_path / "a.csv"])
    assert len(source.texts) == 300
    assert _said(source) == [("a.csv, line 2", "expected 2 fields (text, n), received 3")]
    korean = "text\n" + "좋은 영화\nfine\n" * 20
    _fill(tmp_path, {"k.csv": korean.encode("cp949")})
    with pytest.raises(DataError, match=r"k\.csv, line 2: not UTF-8.*20 of 40 rows\nhint.*cp949"):
        read_texts([tmp_path / "k.csv"])


def test_tables_and_texts_do_not_mix(tmp_path):
    _fill(tmp_path, {"a.csv": "text\nso so\n", "b.txt": "so"})
    with pytest.raises(UsageError, match=r"a\.csv is a table and b\.txt is none"):
        read_texts([tmp_path / "b.txt", tmp_path / "a.csv"])
    with pytest.raises(UsageError, match="text files have none"):
        read_texts([tmp_path / "b.txt"], {"text": "text"})
    with pytest.raises(UsageError, match=r"expected text files, as the run learnt from.*a\.csv"):
        read_texts_again({"kind": "texts"}, [tmp_path / "a.csv"])
    with pytest.raises(UsageError, match=r"expected tables with the column 'text'.*b\.txt"):
        read_texts_again({"kind": "table", "text": "text"}, [tmp_path / "b.txt"])
    with pytest.raises(DataError, match="'other' is missing"):
        read_texts_again({"kind": "table", "text": "other"}, [tmp_path / "a.csv"])


@pytest.mark.parametrize(
    "reader",
    [{}, [], None, {"kind": "table"}, {"kind": "texts", "text": "a"}, {"kind": ["table"]},
     {"kind": "table", "text": 1}, {"kind": "pickle", "text": "a"}],
)  # fmt: skip
def test_hostile_readers_are_refused(tmp_path, reader):
    _fill(tmp_path, {"a.txt": "so"})
    with pytest.raises(DataError, match="expected how the texts of a run are read"):
        read_texts_again(reader, [tmp_path / "a.txt"])


def test_large_texts_lie_on_disk(tmp_path, monkeypatch):
    _fill(tmp_path, {f"t/{n:02}.txt": f"{n} 가나다\n" * 3000 for n in range(20)})
    here = read_texts([tmp_path / "t"])
    monkeypatch.setenv("SUNHWAN_SPOOL_MB", "0.1")
    there = read_texts([tmp_path / "t"])
    assert isinstance(there.texts, Spooled)
    assert list(there.texts) == here.texts
    assert there.files == here.files


DATA = os.environ.get("SUNHWAN_DATA")


@pytest.mark.skipif(not DATA, reason="SUNHWAN_DATA names no folder")
def test_shakespeare_is_found_below_the_data_folder():
    source = read_texts(["tinyshakespeare/input.txt.gz"])
    assert source.places == ["input.txt.gz"]
    assert len(source.texts[0]) == 1_115_394
    assert source.texts[0].startswith("First Citizen:\nBefore we proceed")
    assert read_texts(["tinyshakespeare"]).texts == source.texts
