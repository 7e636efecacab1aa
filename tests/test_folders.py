"""Folders and archives of files by label, CoNLL-U, and archives that mean harm."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data import archives
from sunhwan.data.conllu import read_conllu
from sunhwan.data.folders import FolderLayout, find_layout, from_folder
from sunhwan.data.name_patterns import NamePattern, guess_pattern
from sunhwan.errors import DataError, UsageError

DATA = os.environ.get("SUNHWAN_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="SUNHWAN_DATA names no folder")


def _fill(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def _zip(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _wav(seed: int) -> bytes:
    import soundfile

    file = io.BytesIO()
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, 400)
    soundfile.write(file, noise, 8000, format="WAV")
    return file.getvalue()


TEXTS = {
    "pos/1.txt": "좋은 영화",
    "pos/2.txt": "\ufefffine",
    "neg/1.txt": "poor",
    "neg/2.txt": b"caf\xe9",
    "neg/3.txt": " \n",
    "neg/4.doc": b"word",
    "neg/.hidden.txt": "no",
    "README.txt": "about",
    "notes.md": "x",
}


@pytest.mark.parametrize("packed", [False, True])
def test_texts_in_a_folder_for_each_label(tmp_path, packed):
    path = _zip(tmp_path / "t.zip", TEXTS) if packed else _fill(tmp_path / "t", TEXTS)
    layout = find_layout(path, "classify")
    assert layout.describe() == [
        "files: texts",
        "pattern: {label}/{name}",
        "label: a folder for each label: neg, pos",
        "not used: neg/4.doc, notes.md (files: 2)",
    ]
    found = from_folder(path)
    root = path.name
    assert (found.kind, found.inputs) == ("text", ["poor", "좋은 영화", "fine"])
    assert found.targets == ["neg", "pos", "pos"]
    assert found.places == [f"{root}/neg/1.txt", f"{root}/pos/1.txt", f"{root}/pos/2.txt"]
    assert [(r.place, r.reason) for r in found.rejected] == [
        (f"{root}/neg/4.doc", "files that end in .doc are not read here"),
        (f"{root}/README.txt", "its name does not fit the pattern {label}/{name}"),
        (f"{root}/neg/2.txt", "not UTF-8: byte 4 of the file"),
        (f"{root}/neg/3.txt", "`text` is empty"),
    ]
    again = FolderLayout.from_config(json.loads(json.dumps(layout.config())))
    assert again == layout
    unlabelled = from_folder(path, layout=again.without_answers())
    assert unlabelled.targets is None
    assert len(unlabelled) == 4


@pytest.mark.parametrize("packed", [False, True])
def test_sounds_by_label_and_speaker(tmp_path, packed):
    files = {f"{d}_{who}_{n}.wav": _wav(n) for d in "01" for who in ("a", "b") for n in (0, 1)}
    files |= {"1_b_2.wav": b"RIFF but no sound", "1_b_3.flac": b""}
    path = _zip(tmp_path / "s.zip", files) if packed else _fill(tmp_path / "s", files)
    found = from_folder(path)
    assert (found.kind, len(found)) == ("sound", 8)
    assert found.targets == [*"00001111"]
    assert found.groups == [*"aabbaabb"]
    signal, rate = found.inputs[5].read()
    assert (len(signal), rate, found.inputs[5].name) == (400, 8000, f"{path.name}/1_a_1.wav")
    assert [r.place for r in found.rejected] == [
        f"{path.name}/1_b_{n}" for n in ("2.wav", "3.flac")
    ]
    number = from_folder(path, "regress", {"pattern": "{target}_{speaker}_{take}"})
    assert (number.targets, number.groups) == ([0.0] * 4 + [1.0] * 4, None)


def test_patterns():
    names = NamePattern("{label}/{group}-{n}")
    assert names.read("all/a b/theo-1-2") == {"label": "a b", "group": "theo"}
    assert names.read("theo-1") is None
    assert NamePattern("x.{label}").read("xy1") is None
    for wrong in ("{group}_{n}", "{label}_{label}", "label"):
        with pytest.raises(UsageError, match=r"a pattern must have {label}"):
            NamePattern(wrong)


@pytest.mark.parametrize(
    ("stems", "says"),
    [
        (["train/pos/1", "test/pos/1"], "folders within test, train\nhint: name one .*f/train"),
        (["one", "two", "three"], "no label can be seen in names such as 'one'\nhint.*--pattern"),
        (["a_1", "b_2", "c_3"], "no label can be seen"),
        (["a_1", "a_2", "a_3_x"], "no label can be seen"),
    ],
)
def test_names_without_a_label_are_asked_about(stems, says):
    with pytest.raises(UsageError, match=says):
        guess_pattern(stems, "f")


# sequences in files

SEQUENCES = {
    "data/walk_1.csv": "#a, b\n1,2\n3,4\n",
    "data/walk_2.csv": "#a, b\n5,6\n",
    "data/walk_3.csv": "#a, b\n7,8\n9,x\n10,11\n",
    "data/walk_4.csv": "#a, b\n1,1\n",
    "data/walk_5.csv": "",
    "target.csv": "#id, path class,weight\n1,up,0.5\n2,down,1.5\n3,up,2\n9,up,3\n2,up,3\n",
    "rooms.csv": "id,room\n1,r1\n2,r1\n3,r2\n4,r2\n",
}


@pytest.mark.parametrize("packed", [False, True])
def test_sequences_in_files_and_a_table_of_answers(tmp_path, packed):
    path = _zip(tmp_path / "w.zip", SEQUENCES) if packed else _fill(tmp_path / "w", SEQUENCES)
    root = path.name
    layout = find_layout(path, "classify")
    assert layout.describe()[-1] == f"label: `path class` of {root}/target.csv, by `id`"
    found = from_folder(path, layout=FolderLayout.from_config(layout.config()))
    assert [x.tolist() for x in found.inputs] == [[[1, 2], [3, 4]], [[5, 6]], [[7, 8], [10, 11]]]
    assert (found.kind, found.targets) == ("numbers", ["up", "down", "up"])
    assert found.places[2] == f"{root}/data/walk_3.csv, line 2"
    assert {(r.place.removeprefix(root), r.reason) for r in found.rejected} == {
        ("/data/walk_5.csv", "expected a table, but the file is empty"),
        ("/target.csv, line 5", "there is no sequence for id '9'"),
        ("/target.csv, line 6", "id '2' occurs twice"),
        ("/data/walk_4.csv", "no answer or group is known for it"),
        ("/data/walk_3.csv, line 3", "`b` must be a number, received 'x'"),
    }
    grouped = from_folder(path, "regress", {"target": "weight", "group": "room"})
    assert (grouped.targets, grouped.groups) == ([0.5, 1.5, 2.0], ["r1", "r1", "r2"])
    unlabelled = from_folder(path, layout=layout.without_answers())
    assert (len(unlabelled), unlabelled.targets) == (4, None)
    with pytest.raises(
        UsageError, match=r"has a column 'rom'; the columns .* room, path class, weight"
    ):
        find_layout(path, "classify", {"label": "rom"})
    with pytest.raises(UsageError, match="the target could be any of room, path class, weight"):
        find_layout(path, "regress")


def test_sequences_in_a_folder_for_each_label_and_steps_with_tags(tmp_path):
    files = {
        f"{mood}/{n}.csv": f"t,a,s\n2,{n},x\n1,0,y\n" for mood in ("up", "down") for n in (1, 2)
    }
    path = _fill(tmp_path / "w", files)
    found = from_folder(path, "classify", {"features": "a"})
    assert found.targets == ["down", "down", "up", "up"]
    assert found.inputs[1].tolist() == [[0], [2]]
    tagged = from_folder(path, "tag", {"label": "s"})
    assert (tagged.targets[0], tagged.inputs[0].shape) == (["y", "x"], (2, 1))


def test_what_cannot_be_read_from_a_folder(tmp_path):
    with pytest.raises(DataError, match="expected a folder or a zip archive, but there is none"):
        from_folder(tmp_path / "none")
    path = _fill(tmp_path / "m", {"a/1.mp3": "x", "a/2.mp3": "x"})
    with pytest.raises(DataError, match=r"m: expected files that end in .*received .mp3 \(2\)"):
        from_folder(path)
    path = _fill(tmp_path / "p", {"pos/1.txt": "x", "pos/2.txt": "y", "neg/3.txt": " "})
    with pytest.raises(DataError, match="all 2 examples have the label 'pos'"):
        from_folder(path)
    for task, named, says in (
        ("forecast", {}, "forecast takes tables"),
        ("tag", {}, "tagging takes tables of steps or CoNLL-U"),
        ("classify", {"text": "x"}, "'text' cannot be given for a folder; what can is pattern"),
        ("regress", {"pattern": "{label}/{n}"}, "regress takes a pattern with {target}"),
    ):
        with pytest.raises(UsageError, match=says):
            from_folder(path, task, named)


# links and archives that mean harm


def test_links_out_of_a_folder_are_rejected_and_links_within_are_read(tmp_path):
    outside = _fill(tmp_path / "secret", {"key.txt": "secret"})
    path = _fill(tmp_path / "t", {"a/1.txt": "x", "b/1.txt": "y"})
    (path / "a" / "2.txt").symlink_to(outside / "key.txt")
    (path / "a" / "3.txt").symlink_to(path / "a" / "1.txt")
    (path / "a" / "4.txt").symlink_to(path / "a" / "4.txt")
    (path / "c").symlink_to(outside)
    os.mkfifo(path / "a" / "5.txt")
    found = from_folder(path)
    assert found.inputs == ["x", "x", "y"]
    assert {(r.place, r.reason) for r in found.rejected} == {
        ("t/a/2.txt", "is a link that leads out of the folder"),
        ("t/c", "is a link that leads out of the folder"),
        ("t/a/4.txt", "is no file that can be read"),
        ("t/a/5.txt", "is no file that can be read"),
    }


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/etc/a.txt", "path that could lead out"),
        ("a/../../b.txt", "path that could lead out"),
        ("a\\..\\b.txt", "path that could lead out"),
        ("C:a.txt", "path that could lead out"),
    ],
)
def test_archives_with_paths_that_lead_out_are_refused(tmp_path, name, says):
    path = _zip(tmp_path / "h.zip", {"a/1.txt": "x", name: "y"})
    with pytest.raises(DataError, match=f"h.zip: the entry .*{says}.*\nhint: pack"):
        from_folder(path)


def test_archives_with_links_passwords_or_one_name_twice_are_refused(tmp_path):
    path = tmp_path / "h.zip"
    link = zipfile.ZipInfo("a/link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match=r"'a/link.txt' is a link"):
        from_folder(path)

    content = bytearray(_zip(path, {"a/1.txt": "x"}).read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"'a/1.txt' is encrypted"):
        from_folder(path)

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.txt", "x")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a/1.txt", "y")
    with pytest.raises(DataError, match=r"'a/1.txt' occurs twice"):
        from_folder(path)


def test_archives_that_grow_too_much_or_lie_are_refused(tmp_path, monkeypatch):
    path = _zip(tmp_path / "h.zip", {f"a/{n}.txt": b"x" * 2**20 for n in range(4)})
    monkeypatch.setattr(archives, "_HARMLESS", 2**20)
    with pytest.raises(DataError, match=r"h.zip: \d+ bytes that expand to 4194304"):
        from_folder(path)
    monkeypatch.undo()
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    with pytest.raises(DataError, match=r"h.zip: holds more than 3 files"):
        from_folder(path)
    with pytest.raises(DataError, match="holds more than 3 files"):
        from_folder(_fill(tmp_path / "f", {f"a/{n}.txt": "x" for n in range(5)}))
    monkeypatch.undo()
    content = bytearray(_zip(path, {"a/1.txt": b"x" * 1000, "b/1.txt": b"y"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 24] ^= 0xFF
    path.write_bytes(content)
    found = from_folder(path, checked=False)
    assert (found.targets, found.rejected[0].place) == (["b"], "h.zip/a/1.txt")


def test_damaged_archives_never_raise_anything_but_our_own_errors(tmp_path):
    whole = _zip(tmp_path / "w.zip", SEQUENCES | TEXTS).read_bytes()
    source = np.random.default_rng(4)
    path = tmp_path / "d.zip"
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(source.integers(1, 8)):
            content[source.integers(len(content))] = source.integers(256)
        path.write_bytes(content[: source.integers(1, len(content) + 1)])
        message = "d.zip"
        try:
            from_folder(path)
        except (DataError, UsageError) as error:
            message = error.message
        assert message


@needs_data
def test_real_archives_need_no_option():
    digits = from_folder(Path(DATA) / "spoken-digits/recordings.zip")
    assert (digits.kind, len(digits), digits.rejected) == ("sound", 2500, [])
    assert sorted(set(digits.targets)) == [*"0123456789"]
    assert len(set(digits.groups)) == 5
    rooms = from_folder(Path(DATA) / "series/IndoorMovement.zip")
    assert (rooms.kind, len(rooms), rooms.rejected, rooms.groups) == ("numbers", 314, [], None)
    assert sum(len(x) for x in rooms.inputs) == 13197
    assert {x.shape[1] for x in rooms.inputs} == {4}
    assert (rooms.targets.count("1"), rooms.targets.count("-1")) == (158, 156)
    # files go by the alphabet and the table by number: 1, 10, 100, ...
    answers = dict(zip(rooms.places, rooms.targets, strict=True))
    place = "IndoorMovement.zip/dataset/MovementAAL_RSS_{}.csv, line 2"
    assert [answers[place.format(n)] for n in (1, 10, 205, 209, 314)] == [*"11", *["-1"] * 3]


# CoNLL-U


def _words(*words: str) -> str:
    return "".join(word.replace(" ", "\t") + "\t_" * (9 - word.count(" ")) + "\n" for word in words)


def test_conllu_skips_comments_ranges_and_empty_nodes(tmp_path):
    text = "# sent_id = 1\n" + _words("1-2 im", "1 in in ADP", "2 dem der DET", "2.1 x x NOUN")
    text += "\r\n# next\r\n" + _words("1 los los ADV").replace("\n", "\r\n")
    path = tmp_path / "a.conllu.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
    found = read_conllu([path])
    assert (found.kind, found.inputs) == ("tokens", [["in", "dem"], ["los"]])
    assert found.targets == [["ADP", "DET"], ["ADV"]]
    assert found.places == ["a.conllu.gz, line 2", "a.conllu.gz, line 8"]
    assert read_conllu(path, column="lemma").targets == [["in", "der"], ["los"]]
    assert read_conllu(path, labelled=False).targets is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2\tb\n", "expected 10 fields between tabs, received 2"),
        (_words("3 b b VERB"), "expected word 2 of the sentence, received '3'"),
        (_words("2 b b"), "the word 'b' has no upos"),
        (_words("2 b b VERB").replace("b", "", 1), "the word is empty"),
        (_words("2 \ufffd b VERB"), "not UTF-8: byte 0xff at place 3 of the line"),
    ],
)
def test_a_sentence_with_a_malformed_line_is_rejected(tmp_path, line, reason):
    text = _words("1 a a NOUN") + line + "\n" + _words("1 c c NOUN")
    path = tmp_path / "a.conllu"
    path.write_bytes(text.encode().replace("\ufffd".encode(), b"\xff"))
    found = read_conllu(path)
    assert found.inputs == [["c"]]
    assert [(r.place, r.reason) for r in found.rejected] == [("a.conllu, line 2", reason)]


def test_what_is_no_conllu_is_refused(tmp_path):
    path = _fill(tmp_path, {"a.conllu": "just a text\n"}) / "a.conllu"
    with pytest.raises(
        DataError, match=r"no sentence of .* a.conllu, line 1: expected 10 .*\nhint"
    ):
        read_conllu(path)
    with pytest.raises(UsageError, match=r"`column` must be one of upos, xpos.*received 'pos'"):
        read_conllu(path, column="pos")
    with pytest.raises(DataError, match="there is none"):
        read_conllu(tmp_path / "none.conllu")


@needs_data
def test_the_korean_treebank():
    folder = Path(DATA) / "ud-korean-kaist"
    found = read_conllu([folder / "train.conllu.gz", folder / "test.conllu.gz"])
    assert (len(found), found.rejected) == (2287 + 2066, [])
    assert found.inputs[0][:3] == ["이", "조약에", "의해"]
    assert all(len(x) == len(y) for x, y in zip(found.inputs, found.targets, strict=True))
    assert len({tag for tags in found.targets for tag in tags}) <= 17
    assert "mmd" in read_conllu(folder / "train.conllu.gz", column="xpos").targets[0]
