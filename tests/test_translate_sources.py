"""Pairs of texts: columns that are guessed, rows refused by name, parts that share no text."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import polars
import pytest

from sunhwan.data.lines import LONGEST_LINE
from sunhwan.data.spool import Spooled
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.options import make
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_parts import Pairs, repetitions, split_pairs, within_length
from sunhwan.tasks.translate_sources import read_pairs, read_pairs_again, read_source_lines


def _file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return path


def _table(folder: Path, *columns: str, name: str = "pairs.tsv", rows: int = 4) -> Path:
    """Rows of texts, all different, longer to the right."""
    lines = [
        "\t".join(f"{'ab ' * (c + 2)}{n}{c}" for c in range(len(columns))) for n in range(rows)
    ]
    return _file(folder, name, "\n".join(["\t".join(columns), *lines]) + "\n")


def _again(source, paths, **options):
    return read_pairs_again(json.loads(json.dumps(source.reader)), paths, **options)


# what is read


@pytest.mark.parametrize(
    "name", ["pairs.tsv", "pairs.tsv.gz", "pairs.csv", "pairs.jsonl", "p.parquet"]
)
def test_tables_of_all_kinds(tmp_path, name):
    sources, targets = ["Go.", "Tom, run!", "Who?"], ["가.", "톰, 뛰어!", "누구?"]
    if name.endswith("parquet"):
        path = tmp_path / name
        polars.DataFrame({"english": sources, "korean": targets}).write_parquet(path)
    elif name.endswith("jsonl"):
        rows = [{"english": s, "korean": t} for s, t in zip(sources, targets, strict=True)]
        path = _file(tmp_path, name, "\n".join(json.dumps(row) for row in rows))
    else:
        form = '"{}","{}"' if name.endswith("csv") else "{}\t{}"
        lines = [form.format(*pair) for pair in zip(sources, targets, strict=True)]
        path = _file(tmp_path, name, "\n".join([form.format("english", "korean"), *lines]))
    found = read_pairs([path])
    assert (found.sources, found.targets, found.rejected) == (sources, targets, [])
    unit, first = ("row", 1) if name.endswith("parquet") else ("line", 1 + (not name.endswith("l")))
    assert found.places == [f"{name}, {unit} {n}" for n in range(first, first + 3)]
    assert found.reader == {"kind": "table", "source": "english", "target": "korean"}
    assert found.columns == {"source": "english", "target": "korean"}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.files == [{"name": name, "sha256": digest}]
    assert _again(found, [path]).targets == targets


def test_texts_are_tidied(tmp_path):
    said = unicodedata.normalize("NFD", "각 é")
    path = _file(tmp_path, "p.csv", f'source,target\r\n" so\r\nit ", {said}\t\r\n')
    found = read_pairs([path])
    assert (found.sources, found.targets) == (["so\nit"], ["각 é"])


def test_numbers_are_texts_too(tmp_path):
    path = _file(
        tmp_path, "sums.jsonl", '{"input": "3+4", "output": 7}\n{"input": "5+9", "output": 14}'
    )
    assert read_pairs([path]).targets == ["7", "14"]


def test_several_files_and_large_ones(tmp_path, monkeypatch):
    paths = [_table(tmp_path, "src", "tgt", name=name, rows=300) for name in ("a.tsv", "b.tsv")]
    plain = read_pairs(paths)
    monkeypatch.setenv("SUNHWAN_SPOOL_MB", "0.001")
    kept = read_pairs(paths)
    assert {type(kept.sources), type(kept.targets), type(kept.places)} == {Spooled}
    assert (list(kept.sources), list(kept.targets)) == (plain.sources, plain.targets)
    assert (kept.notes, kept.places[300]) == (plain.notes, "b.tsv, line 2")
    left, right = (split_pairs(one, 0.2, 0.1, seed=3) for one in (plain, kept))
    assert left.test.targets == list(right.test.targets)


# which column is what


@pytest.mark.parametrize(
    ("columns", "source", "target", "why"),
    [
        (("korean", "english"), "english", "korean", "its name says so"),
        (("id_text", "Question Text", "myAnswer"), "Question Text", "myAnswer", "its name says so"),
        (("tgt", "src", "source"), "source", "tgt", "its name says so"),
        (("원문", "번역문"), "원문", "번역문", "its name says so"),
        (("english", "french"), "english", "french", "the only column of texts left"),
        (("french", "summary"), "french", "summary", "its name says so"),
        (("deu", "fra"), "deu", "fra", "the second of the two columns of texts"),
        (("korean", "deu", "id"), "deu", "korean", "its name says so"),
    ],
)  # fmt: skip
def test_columns_are_guessed(tmp_path, columns, source, target, why):
    found = read_pairs([_table(tmp_path, *columns)])
    assert found.columns == {"source": source, "target": target}
    assert f"target: {target} ({why})" in found.notes
    assert found.sources[2] == f"{'ab ' * (columns.index(source) + 2)}2{columns.index(source)}"


def test_columns_are_named(tmp_path):
    path = _table(tmp_path, "english", "korean", "deu")
    with pytest.raises(UsageError, match="the target could be any of english, deu"):
        read_pairs([path], {"source": "korean", "target": None})
    found = read_pairs([path], {"source": "deu", "target": "english"})
    assert found.columns == {"source": "deu", "target": "english"}
    assert found.notes[-2:] == ["source: deu (--source)", "target: english (--target)"]


@pytest.mark.parametrize(
    ("columns", "named", "says"),
    [
        (("deu", "fra", "ita"), {}, r"source and the target could be any of deu, fra, ita\nhint"),
        (("english", "fra", "ita"), {}, r"the target could be any of fra, ita\nhint: give --targ"),
        (("question", "input", "ko"), {}, r"the source could be any of question, input\nhint: g"),
        (("deu",), {}, r"expected two columns of texts, .* among deu\nhint: give --source"),
        (("english",), {}, "no column is left for the target among english"),
        (("deu", "fra"), {"source": "dej"}, "there is no column 'dej', did you mean 'deu'"),
        (("deu", "fra"), {"source": "fra", "target": "fra"}, "both the source and the target"),
        (("deu", "fra"), {"text": "deu"}, "`text` has no meaning for `translate`"),
    ],
)  # fmt: skip
def test_columns_that_are_not_clear_are_asked_for(tmp_path, columns, named, says):
    with pytest.raises(UsageError, match=says):
        read_pairs([_table(tmp_path, *columns)], named)


@pytest.mark.parametrize(
    "first",
    [
        "Go.\t가.",
        "he said “no”\t그는 “싫어.”",
        "I have to go now then\t가야 해",
        "Go.\t가.\tCC-BY 2.0 (France)",
    ],
)
def test_a_table_without_a_header_is_refused(tmp_path, first):
    others = ["\t".join([f"뛰어 {n}"] * (first.count("\t") + 1)) for n in range(3)]
    path = _file(tmp_path, "kor.tsv", "\n".join([first, *others]))
    with pytest.raises(UsageError, match=r"kor\.tsv: the first line holds '.*\nhint: put a line"):
        read_pairs([path])
    if first.count("\t") == 1:
        columns = first.split("\t")
        named = dict(zip(("source", "target"), columns, strict=True))
        assert len(read_pairs([path], named)) == 3
        path = _file(tmp_path, "kor.tsv", "\n".join(["deu\tfra", first, *others]))
        assert len(read_pairs([path])) == 4


# what is refused


def test_rows_that_lack_a_side_are_named(tmp_path):
    path = _file(
        tmp_path, "p.tsv", "source\ttarget\nGo.\t가.\n\t뛰어!\nWho?\t \u3000\nalone\nHi.\t안녕\n"
    )
    found = read_pairs([path])
    assert (found.sources, found.targets) == (["Go.", "Hi."], ["가.", "안녕"])
    assert [(one.place, one.reason) for one in found.rejected] == [
        ("p.tsv, line 5", "expected 2 fields (source, target), received 1"),
        ("p.tsv, line 3", "`source` is empty"),
        ("p.tsv, line 4", "`target` is empty"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.tsv", "source\ttarget\n\ta\n\tb\n", r"none of the 2 rows can be used; p\.tsv, line 2"),
        ("p.tsv", "source\ttarget\n", "but no row could be read"),
        ("p.tsv", "", "the file is empty"),
        ("p.tsv", "12\t21\n13\t31\n", r"line 1: expected the names of the columns, received '12'"),
        ("p.txt", "Go.\t가.\n", "the ending '.txt' names no format"),
        ("p.tsv", "source\ttarget\na\tb\n좋다\ta\n".encode("cp949"), r"not UTF-8.*\nhint.*cp949"),
    ],
)  # fmt: skip
def test_files_that_hold_no_pairs(tmp_path, name, content, says):
    with pytest.raises((DataError, UsageError), match=f"(?s){says}"):
        read_pairs([_file(tmp_path, name, content)])


def test_nothing_and_what_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="`translate` needs pairs"):
        read_pairs([])
    with pytest.raises(DataError, match="there is none"):
        read_pairs([tmp_path / "absent.tsv"])
    with pytest.raises((DataError, UsageError)):
        read_pairs([tmp_path])


def test_other_data_of_a_run(tmp_path):
    found = read_pairs([_table(tmp_path, "english", "korean")])
    path = _file(tmp_path, "new.csv", "id,english\n1,Who?\n2,\n3,How?\n")
    with pytest.raises(DataError, match=r"new\.csv: expected the columns .* 'korean' is missing"):
        _again(found, [path])
    new = _again(found, [path], answers=False)
    assert (new.sources, new.targets, new.places[1]) == (["Who?", "How?"], [], "new.csv, line 4")
    assert [one.place for one in new.rejected] == ["new.csv, line 3"]
    assert (new.take([1]).sources, new.take([1]).targets) == (["How?"], [])
    empty = _file(tmp_path, "empty.csv", "english\n \n")
    assert len(_again(found, [empty], answers=False)) == 0


@pytest.mark.parametrize(
    "reader",
    [
        None,
        {},
        {"kind": "table", "text": "a"},
        {"kind": "table", "source": "a"},
        {"kind": "table", "source": "a", "target": ["b"]},
        {"kind": "texts", "source": "a", "target": "b"},
        {"kind": "table", "source": "a", "target": "b", "more": 1},
    ],
)
def test_readers_that_are_none(tmp_path, reader):
    path = _table(tmp_path, "a", "b")
    with pytest.raises(DataError, match="expected how the pairs of a run are read"):
        read_pairs_again(reader, [path])


def test_lines_of_a_stream():
    long = b"x" * (LONGEST_LINE + 5)
    stream = io.BytesIO(
        b"\xef\xbb\xbfGo.\n\xff\n" + long + b"\nso\xc3\n\tRun! \r\n\n" + "각".encode()
    )
    lines = list(read_source_lines(stream, "in.txt"))
    assert [line.text for line in lines] == ["Go.", "", "", "", "Run!", "", "각"]
    assert [line.reason for line in lines] == [
        None,
        "not UTF-8: byte 0xff at place 1 of the line",
        "longer than 16 MiB",
        "not UTF-8: byte 0xc3 at place 3 of the line",
        None,
        "the text is empty",
        None,
    ]
    assert [line.place for line in lines] == [f"in.txt, line {n}" for n in range(1, 8)]


def test_lines_come_before_the_stream_ends():
    read, write = os.pipe()
    with os.fdopen(read, "rb") as stream:
        os.write(write, b"Go.\n")
        assert next(read_source_lines(stream)).text == "Go."
        os.close(write)


# pairs by what they are for


def _random_pairs(count: int, sources: int, targets: int, seed: int = 5) -> Pairs:
    random = np.random.default_rng(seed)
    return Pairs(
        [f"s{n}" for n in random.integers(0, sources, count)],
        [f"t{n}" for n in random.integers(0, targets, count)],
        [f"line {n}" for n in range(count)],
    )


@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.1), (0.2, 0.3), (0.0, 0.25), (0.1, 0.0)])
def test_no_text_is_on_both_sides(validation, test):
    pairs = _random_pairs(900, 1500, 1200)
    parts = split_pairs(pairs, validation, test, seed=7)
    three = parts.training, parts.validation, parts.test
    assert sorted(place for part in three for place in part.places) == sorted(pairs.places)
    assert len(parts.test) == pytest.approx(test * 900, abs=20)
    assert len(parts.validation) == pytest.approx(validation * (900 - len(parts.test)), abs=20)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not set(three[one].sources) & set(three[other].sources)
        assert not set(three[one].targets) & set(three[other].targets)
    of = dict(zip(pairs.places, zip(pairs.sources, pairs.targets, strict=True), strict=True))
    for part in three:
        assert [of[place] for place in part.places] == [
            *zip(part.sources, part.targets, strict=True)
        ]
    assert parts.notes == []


def test_the_split_depends_on_the_seed_alone():
    pairs = _random_pairs(200, 900, 900)
    same, again, other = (split_pairs(pairs, seed=seed).test.places for seed in (1, 1, 2))
    assert same == again != other


def test_few_targets_are_let_apart():
    pairs = _random_pairs(400, 300, 2)
    parts = split_pairs(pairs, 0.1, 0.2, seed=1)
    assert parts.notes[0].startswith("400 of 400 pairs are tied together by equal targets")
    assert len(parts.test) == pytest.approx(80, abs=8)
    assert not set(parts.training.sources) & {*parts.test.sources, *parts.validation.sources}
    assert set(parts.training.targets) == {"t0", "t1"}


def test_few_pairs():
    three = Pairs(["a", "b", "c"], ["x", "y", "z"], ["1", "2", "3"])
    parts = split_pairs(three, 0.9, 0.9)
    assert [len(part) for part in (parts.training, parts.validation, parts.test)] == [1, 1, 1]
    with pytest.raises(DataError, match=r"2 pairs are too few .* leaves 2, and 3 are needed"):
        split_pairs(three.take([0, 2]), 0.1, 0.1)
    one = Pairs(["a"] * 50, [f"t{n}" for n in range(50)], ["1"] * 50)
    with pytest.raises(DataError, match=r"50 pairs are too few .* leaves 1, and 2 are needed"):
        split_pairs(one, 0.1, 0.0)
    with pytest.raises(DataError, match="0 pairs are too few"):
        split_pairs(three.take([]))
    with pytest.raises(UsageError, match="`test` must be a share from 0 to below 1, received 1"):
        split_pairs(three, 0.1, 1.0)


def test_repetitions():
    pairs = Pairs(["b", "a", "b", "b", "a"], ["2", "1", "3", "2", "1"], list("lines"))
    assert repetitions(pairs) == [
        "pairs that are the same as one before: 2 of 5",
        "sources with several targets: 1",
    ]
    assert repetitions(pairs.take([0, 1])) == []


def test_pairs_that_are_too_long():
    sources, targets = np.array([4, 6, 5, 9_000]), np.array([5, 2, 1_007, 9_001])
    rows, longer = within_length(sources, targets, ["l1", "l2", "l3", "l4"], 5)
    assert rows.tolist() == [0]
    assert [(one.place, one.reason) for one in longer] == [
        ("l2", "the source has 6 tokens, more than `max_length` 5"),
        ("l3", "the target has 1,007 tokens, more than `max_length` 5"),
        ("l4", "the source has 9,000 tokens, more than `max_length` 5"),
    ]
    with pytest.raises(
        DataError, match=r"all 4 pairs are longer than `max_length`; l1: the source"
    ):
        within_length(sources, targets, ["l1", "l2", "l3", "l4"], 3)


# options


def test_options_are_settled_by_the_pairs():
    few, many = (TranslateConfig().settled("words", "jamo", n) for n in (300, 200_000))
    assert (few.units, few.batch_size, few.epochs, few.own_epochs) == (128, 15, 100, 50)
    assert (many.units, many.batch_size, many.epochs, many.patience) == (512, 64, 10, 5)
    assert (few.source_tokens, few.target_tokens, few.max_length) == ("words", "jamo", 500)
    assert [name for name, value in few.model_dump().items() if value is None] == ["vocabulary"]
    given = TranslateConfig(epochs=8, own_words=0.5, cell="gru", max_length=9)
    settled = given.settled("bpe", "words", 5)
    assert (settled.epochs, settled.own_epochs, settled.cell, settled.max_length) == (
        8,
        4,
        "gru",
        9,
    )
    assert (settled.batch_size, settled.embedding) == (1, 192)
    assert TranslateConfig(**settled.model_dump()) == settled


def test_options_that_do_not_fit():
    shared = TranslateConfig(shared_vocabulary=True)
    assert shared.settled("bpe", "bpe", 10).shared_vocabulary
    with pytest.raises(UsageError, match="`source_tokens` is bpe and `target_tokens` is jamo"):
        shared.settled("bpe", "jamo", 10)
    for name, value in (
        ("cell", "simple"),
        ("own_words", 1.2),
        ("width", 0),
        ("attention", "dot"),
        ("recurrent_dropout", 0.3),
    ):
        with pytest.raises(UsageError, match=f"`{name}`: .* received"):
            make(TranslateConfig, {name: value})
