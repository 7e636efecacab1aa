"""Rows of tables: every format, every way of being malformed, and what is said of it."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

import polars
import pytest

from sunhwan.data import delimited, lines
from sunhwan.data.rows import open_rows
from sunhwan.errors import DataError, SunhwanError, UsageError

DATA = os.environ.get("SUNHWAN_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="SUNHWAN_DATA names no folder")


def _file(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw, mtime=0) if name.endswith(".gz") else raw)
    return path


def _read(folder: Path, name: str, content: bytes | str):
    rows = open_rows(_file(folder, name, content))
    found = [(row.line, tuple(row.fields.values())) for row in rows]
    return found, [(r.place, r.reason) for r in rows.rejected], rows


# what is read


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_line_ends_and_mark_are_found(tmp_path, name, mark, end, delimiter):
    header, *rest = ["id|text|label", "1|so, so; yes|a", "2|가나다|b"]
    texts = [line.replace("|", delimiter) for line in (header, *rest)]
    if delimiter in ",;":
        texts[1] = delimiter.join(["1", '"so, so; yes"', "a"])
    found, rejected, rows = _read(tmp_path, name, mark + (end.join(texts) + end).encode())
    assert rows.columns == ("id", "text", "label")
    assert found == [(2, ("1", "so, so; yes", "a")), (3, ("2", "가나다", "b"))]
    assert not rejected


def test_quoted_fields_hold_line_feeds_and_count_from_their_first_line(tmp_path):
    text = 'text,label\n"one\ntwo, ""three""",a\nplain,b\n"x\r\ny",c\n'
    found, rejected, _ = _read(tmp_path, "a.csv", text)
    assert found == [(2, ('one\ntwo, "three"', "a")), (4, ("plain", "b")), (5, ("x\r\ny", "c"))]
    assert not rejected


def test_rows_can_be_gone_through_again_and_sample_leaves_rejected(tmp_path):
    rows = open_rows(_file(tmp_path, "a.csv", "a,b\n1,2\n3\n4,5\n"))
    first = list(rows)
    assert [row.place for row in rows.sample(1)] == ["a.csv, line 2"]
    assert len(rows.rejected) == 1
    assert list(rows) == first
    assert len(rows.rejected) == 1


def test_several_files_follow_one_another_in_the_order_of_the_first(tmp_path):
    one = _file(tmp_path, "one.csv", "a,b\n1,2\n")
    two = _file(tmp_path, "two.tsv.gz", "b\ta\n4\t3\n")
    (tmp_path / "in").mkdir()
    again = _file(tmp_path / "in", "one.csv", "a,b\n5,6\n")
    rows = open_rows([one, two, again])
    assert [row.fields["a"] for row in rows] == ["1", "3", "5"]
    assert [row.place for row in rows] == [
        f"{one}, line 2",
        "two.tsv.gz, line 2",
        f"{again}, line 2",
    ]
    other = _file(tmp_path, "other.csv", "a,c\n1,2\n")
    with pytest.raises(
        DataError, match=r"other.csv: expected the columns of one.csv \(a, b\).*a, c"
    ):
        open_rows([one, other])


def test_header_is_cleaned(tmp_path):
    _, _, rows = _read(tmp_path, "a.csv", "\n#id, text ,,\n1,x,2,3\n")
    assert rows.columns == ("id", "text", "column 3", "column 4")
    assert [row.line for row in rows] == [3]


def test_json_lines(tmp_path):
    text = '{"text": "좋다", "label": 1}\n\n{"label": null}\n{"text": [1, 2.5], "late": 3}\n'
    found, rejected, rows = _read(tmp_path, "a.jsonl.gz", text)
    assert rows.columns == ("text", "label", "late")
    assert found == [(1, ("좋다", 1, None)), (3, (None, None, None)), (4, ([1, 2.5], None, 3))]
    assert not rejected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": ', "not JSON: Expecting value at place 10"),
        ("[1, 2]", "not a JSON object"),
        ('{"text": NaN}', "not JSON that can be read: NaN is no JSON number"),
        ('{"text": 1, "text": 2}', "not JSON that can be read: a key occurs twice"),
        ('{"text": "\\ud800"}', "not JSON that can be read: 'utf-8' codec can't encode"),
        ('{"text": ' + "[" * 100_000, "not JSON that can be read: "),
        ('{"text": ' + "1" * 10_000 + "}", "not JSON that can be read: Exceeds the limit"),
    ],
)
def test_json_lines_that_are_malformed_are_rejected(tmp_path, line, reason):
    found, rejected, _ = _read(tmp_path, "a.jsonl", f'{{"text": "x"}}\n{line}\n{{"text": "y"}}\n')
    assert [fields for _, fields in found] == [("x",), ("y",)]
    assert rejected[0][0] == "a.jsonl, line 2"
    assert rejected[0][1].startswith(reason)


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz"])
def test_parquet_in_batches_with_rows_counted(tmp_path, name):
    import datetime

    count = 10_000
    frame = polars.DataFrame(
        {
            "text": [f"t{n}" for n in range(count)],
            "n": range(count),
            "day": [datetime.date(2020, 1, 2)] * count,
            "list": [[0.5, n] for n in range(count)],
        }
    )
    plain = tmp_path / "plain.parquet"
    frame.write_parquet(plain, row_group_size=3000)
    rows = open_rows(_file(tmp_path, name, plain.read_bytes()))
    assert rows.columns == ("text", "n", "day", "list")
    for number, row in enumerate(rows, 1):
        assert (row.line, row.fields["n"]) == (number, number - 1)
    assert row.place == f"{name}, row 10000"
    assert row.fields == {"text": "t9999", "n": 9999, "day": "2020-01-02", "list": [0.5, 9999]}


# quotes in tables parted by tabs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a field that only looks quoted, and one that shows that quotes are plain characters
        ('"Hear me roar."\t1\nsay "no" to it\t0\n', ['"Hear me roar."', 'say "no" to it']),
        ('"Hear me roar."\t1\nplain\t0\n', ['"Hear me roar."', "plain"]),
        ('"Are you?" "No, I\'m not."\t1\n5" pipe\t0\n', ['"Are you?" "No, I\'m not."', '5" pipe']),
        ('"a""b"\t1\n"c\td"\t0\n', ['a"b', "c\td"]),
        ('"one\ntwo"\t1\n"x"\t0\n', ["one\ntwo", "x"]),
        ('"one"" "\t1\nx "y\t0\n', ['"one"" "', 'x "y']),
    ],
)
def test_quotes_between_tabs_count_only_where_the_writer_used_them(tmp_path, text, expected):
    found, rejected, _ = _read(tmp_path, "a.tsv", "text\tlabel\n" + text)
    assert [fields[0] for _, fields in found] == expected
    assert not rejected


def test_a_file_of_one_column_is_not_parted(tmp_path):
    text = 'text\nso, so; a\tb|c\n"two\nlines, ""quoted"""\n\n"x"\n'
    found, rejected, rows = _read(tmp_path, "a.csv", text)
    texts = ["so, so; a\tb|c", 'two\nlines, "quoted"', "", "x"]
    assert [fields for _, fields in found] == [(text,) for text in texts]
    assert (rejected, rows.notes) == ([], ["a.csv: one field a line, quotes enclose fields"])
    assert _read(tmp_path, "a.tsv", 'text\n"x" y\n')[0] == [(2, ('"x" y',))]


def test_a_quoted_header_between_tabs_means_that_quotes_count(tmp_path):
    found, _, rows = _read(tmp_path, "a.tsv", '"text"\t"label"\n"fine"\t1\n')
    assert rows.columns == ("text", "label")
    assert found == [(2, ("fine", "1"))]
    assert rows.notes == ["a.tsv: fields between tabs, quotes enclose fields"]


@needs_data
@pytest.mark.parametrize(
    ("name", "count"),
    [("nsmc/test", 25_000), ("reuters/train", 8_982), ("tatoeba-en-ko/train", 3_029)],
)
def test_real_tables_are_read_as_they_stand(name, count):
    path = Path(DATA) / f"{name}.tsv.gz"
    rows = open_rows(path)
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        header, *rest = file.read().removesuffix("\n").split("\n")
    assert rows.columns == tuple(header.split("\t"))
    assert [tuple(row.fields.values()) for row in rows] == [tuple(r.split("\t")) for r in rest]
    assert (len(rest), rows.rejected) == (count, [])


# what is rejected


def test_malformed_rows_are_rejected_with_their_place_and_cost_no_other(tmp_path):
    content = (
        b"text,label\ngood,1\nfew\ncaf\xe9,0\n\nmany,1,2\n"
        b'"never closed,1\nafter,0\n"not "doubled",1\nnul\0,1\n"ok, ok",1\n'
    )
    found, rejected, rows = _read(tmp_path, "a.csv", content)
    assert found == [(2, ("good", "1")), (8, ("after", "0")), (11, ("ok, ok", "1"))]
    assert [place for place, _ in rejected] == [f"a.csv, line {n}" for n in (3, 4, 6, 7, 9, 10)]
    reasons = [reason for _, reason in rejected]
    assert reasons[0] == "expected 2 fields (text, label), received 1"
    assert reasons[1] == "not UTF-8: byte 0xe9 at place 4 of the line"
    assert reasons[2] == "expected 2 fields (text, label), received 3"
    assert reasons[3].startswith("a quote is opened and never closed")
    assert reasons[4].startswith("a quote is opened and never closed, or not doubled")
    assert reasons[5] == "holds a NUL byte"
    assert len(list(rows)) + len(rows.rejected) == 9


def test_a_quote_that_is_never_closed_takes_no_more_than_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "_MOST_LINES", 10)
    text = "a,b\n" + '"open,1\n' + "x,2\n" * 50
    found, rejected, _ = _read(tmp_path, "a.csv", text)
    assert len(found) == 50
    assert [place for place, _ in rejected] == ["a.csv, line 2"]


# what is refused


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "a.csv: expected a table, but the file is empty"),
        ("a.csv", b"\n \r\n", "a.csv: expected a table, but the file is empty"),
        ("a.csv", b"a,b,a\n1,2,3\n", "a.csv, line 1: more than one column is called 'a'"),
        ("a.csv", b"47,100,27\n1,2,3\n", "line 1: expected the names.*'47', which looks like data"),
        ("a.csv", b"a fine film,1\nbad,0\n", "line 1: expected the names.*'1', which looks like"),
        (
            "a.csv",
            "글,라벨\n".encode("cp949"),
            "line 1: expected the names.*not UTF-8.*\nhint.*cp949",
        ),
        ("a.csv", b"a,b\r1,2\r", "a.csv, line 1: .*carriage return stands alone"),
        ("a.csv", b'"a,b\n1,2\n', "a.csv, line 1: a quote is opened and never closed"),
        ("a.csv", b"PK\x03\x04rest", "a.csv: expected UTF-8 text.*Excel workbook"),
        ("a.csv", "a,b\n".encode("utf-16"), "a.csv: expected UTF-8 text.*UTF-16"),
        (
            "a.jsonl",
            b"text,label\nx,1\n",
            "a.jsonl, line 1: expected JSON lines, received 'text,label'",
        ),
        ("a.jsonl", b'[\n{"a": 1},\n{"a": 2}\n]', "line 1: expected JSON lines.*\nhint.*jq"),
        ("a.jsonl", b"{}\n{}\n", "a.jsonl, line 1: expected JSON lines"),
        ("a.parquet", b"PAR1 nothing PAR1", "a.parquet: not a Parquet file"),
        ("a.xlsx", b"PK", "a.xlsx: the ending '.xlsx' names no format"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path, name, content, says):
    with pytest.raises(SunhwanError, match=says):
        list(open_rows(_file(tmp_path, name, content)))


def test_numbered_columns_are_a_header_all_the_same(tmp_path):
    _, _, rows = _read(tmp_path, "a.csv", "0,1,2,label\n5,5,5,a\n")
    assert rows.columns == ("0", "1", "2", "label")


def test_missing_folder_pipe_format_and_no_file(tmp_path):
    with pytest.raises(DataError, match=r"none.csv: expected a file, but there is none"):
        open_rows(tmp_path / "none.csv")
    with pytest.raises(DataError, match="expected a file, received a folder"):
        open_rows(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="received a pipe or device"):
        open_rows(tmp_path / "pipe.csv")
    with pytest.raises(UsageError, match="at least one data file"):
        open_rows([])
    with pytest.raises(UsageError, match=r"`format` must be one of 'csv'.*received 'excel'"):
        open_rows(_file(tmp_path, "a.txt", "a,b\n"), format="excel")
    assert open_rows(_file(tmp_path, "a.txt", "a,b\n"), format="csv").columns == ("a", "b")


@pytest.mark.parametrize("cut", [3, 20, 200])
def test_gzip_that_is_cut_off_or_none(tmp_path, cut):
    whole = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(500)))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[:cut])
    with pytest.raises(DataError, match=r"a.csv.gz, line \d+: the gzip data is cut off"):
        list(open_rows(path))
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match=r"a.csv.gz: the file cannot be read as gzip data"):
        open_rows(path)


def test_bombs_are_refused_while_they_are_read(tmp_path, monkeypatch):
    path = _file(tmp_path, "long.csv.gz", b"a,b\n" + b"x" * (lines.LONGEST_LINE + 1))
    with pytest.raises(DataError, match=r"long.csv.gz, line 2: longer than 16 MiB"):
        open_rows(path)
    monkeypatch.setattr(lines, "_HARMLESS", 2**20)
    path = _file(tmp_path, "wide.csv.gz", b"a,b\n" + (b"x" * 10_000 + b",1\n") * 1000)
    with pytest.raises(DataError, match=r"wide.csv.gz: the gzip data grows more than 200 times"):
        list(open_rows(path))


def test_damaged_files_never_raise_anything_but_our_own_errors(tmp_path):
    source = random.Random(3)
    plain = 'id,text,label\n1,"a, ""b""",x\n2,가나,y\n3,"two\nlines",x\n' * 4
    objects = "".join(json.dumps({"t": "가", "n": n}) + "\n" for n in range(9))
    frame = tmp_path / "whole.parquet"
    polars.DataFrame({"t": ["a", "b"] * 50, "n": range(100)}).write_parquet(frame)
    cases = [
        ("f.csv", plain.encode()),
        ("f.tsv", plain.replace(",", "\t").encode()),
        ("f.csv.gz", gzip.compress(plain.encode(), mtime=0)),
        ("f.jsonl", objects.encode()),
        ("f.parquet", frame.read_bytes()),
    ]
    for name, whole in cases:
        for _ in range(40):
            content = bytearray(whole)
            for _ in range(source.randrange(1, 6)):
                content[source.randrange(len(content))] = source.randrange(256)
            path = tmp_path / name
            path.write_bytes(content[: source.randrange(1, len(content) + 1)])
            message = "f."
            try:
                rows = open_rows(path)
                assert all(set(row.fields) == set(rows.columns) for row in rows)
            except SunhwanError as error:
                message = error.message
            assert "f." in message
