"""Clips named in a table: read, learnt frame by frame, answered; and rows that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from sunhwan import Classifier, Tagger
from sunhwan.cli import app
from sunhwan.data.clips import LARGEST_SIDE, Frames, load_clip, thumbnails
from sunhwan.data.columns import guess
from sunhwan.data.rendered_clips import draw_clip, write_clips
from sunhwan.data.rows import Row, open_rows
from sunhwan.data.table_examples import to_examples
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.tasks import running
from sunhwan.tasks.config import make_config
from sunhwan.tasks.exporting import export
from sunhwan.tasks.run_records import Data
from sunhwan.tasks.sources import read_source

QUICK = {"task": "tag", "epochs": 2, "units": 6, "embedding": 5, "seed": 3}


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 + 6 clips of 4 to 9 frames."""
    folder = tmp_path_factory.mktemp("moving")
    write_clips(folder, train=24, test=6, lengths=(4, 9), seed=1)
    return folder


@pytest.fixture(scope="module")
def run(moving: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on `moving`, trained for two epochs."""
    out = tmp_path_factory.mktemp("runs") / "run"
    data = Data([str(moving / "train.csv")], test_paths=[str(moving / "test.csv")])
    return running.start(make_config(QUICK), data, out)


def _table(folder: Path, rows: list[str], head: str = "clip,motion") -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def _clip(path: Path, steps: int = 4, height: int = 8, width: int = 8) -> Path:
    random = np.random.default_rng(steps)
    np.save(path, random.integers(0, 256, (steps, height, width, 3), np.uint8))
    return path


def test_the_columns_are_found_with_a_reason(moving: Path) -> None:
    source = read_source("tag", [moving / "train.csv"], {})
    assert source.columns == {"label": "motion", "features": "clip"}
    assert "features: clip (each field names a clip)" in source.notes
    examples = source.examples
    assert examples.kind == "clip"
    assert len(examples) == 24
    assert examples.inputs[0].shape[1:] == (32, 32, 3)
    assert all(len(x) == len(y) for x, y in zip(examples.inputs, examples.targets, strict=True))
    assert [file["name"] for file in source.files] == ["train.csv", "clip"]


@pytest.mark.parametrize(
    ("task", "fields", "named", "layout"),
    [
        ("tag", {"clip": "a.gif", "motion": "up down"}, {}, "clips"),
        ("tag", {"frames": "a/", "how": ["up", "down"]}, {}, "clips"),
        ("tag", {"word": "a.gif", "tag": "NOUN"}, {}, "long"),
        ("classify", {"file": "a.webp", "class": "x"}, {}, "clips"),
        ("classify", {"review": "so so it is", "picture": "a.png", "label": "x"}, {}, "text"),
        ("classify", {"x1": 1, "x2": 2, "x3": 3, "file": "a.png", "label": "x"}, {}, "wide"),
        ("regress", {"film": "a.npy", "score": 2.5}, {}, "clips"),
        ("classify", {"x": 1, "film": "a.npy", "label": "x"}, {"features": "film"}, "clips"),
    ],
)
def test_which_tables_are_of_clips(
    task: Any, fields: dict[str, Any], named: dict[str, str], layout: str
) -> None:
    rows = [Row("a.csv", n, {**fields}) for n in range(2, 5)]
    assert guess(rows, task, named).layout == layout


def test_several_columns_of_clips_are_asked_for() -> None:
    rows = [Row("a.csv", n, {"a": "a.gif", "b": "b.gif", "label": "x y"}) for n in range(3)]
    with pytest.raises(UsageError, match="the features could be any of a, b"):
        guess(rows, "tag")
    with pytest.raises(UsageError, match="--features must be one column"):
        guess(rows, "tag", {"features": "a,b"})
    assert guess(rows, "tag", {"features": "b", "label": "label"}).features == ("b",)


def test_rows_that_cannot_be_used_are_named_with_file_and_reason(tmp_path: Path) -> None:
    _clip(tmp_path / "good.npy")
    _clip(tmp_path / "wide.npy", width=9)
    (tmp_path / "broken.gif").write_bytes(b"GIF89a and no more")
    (tmp_path / "empty.gif").write_bytes(b"")
    (tmp_path / "frames").mkdir()
    table = _table(
        tmp_path,
        ["good.npy,a b a b", "broken.gif,a b", "empty.gif,a b", "none.gif,a b", "good.npy,a b",
         "wide.npy,a b a b", "frames/,a b", "good.npy,", "good.npy,b b b a"],
    )  # fmt: skip
    source = read_source("tag", [table], {})
    assert len(source.examples) == 2
    reasons = {row.place: row.reason for row in source.examples.rejected}
    for line, parts in {
        3: ("broken.gif", "expected an image"),
        4: ("empty.gif", "empty file"),
        5: ("none.gif", "there is none"),
        6: ("good.npy has 4 frames, but 2 answers",),
        7: ("wide.npy", "expected frames of 8 x 8 pixels", "received 9 x 8"),
        8: ("frames", "without any image"),
        9: ("motion",),
    }.items():
        assert all(part in reasons[f"labels.csv, line {line}"] for part in parts), line
    assert len(reasons) == 7


def test_a_table_without_any_clip_that_is_there_stops(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the 2 rows can be used; labels\.csv, line 2"):
        read_source("tag", [_table(tmp_path, ["a.gif,a b", "b.gif,b a"])], {})


def test_json_lines_hold_lists_and_numbers_for_each_frame(tmp_path: Path) -> None:
    _clip(tmp_path / "a.npy", 3)
    lines = [{"clip": "a.npy", "y": [0.5, 1, n]} for n in range(3)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    examples = read_source("tag", [path], {"target": "y"}).examples
    assert examples.targets[2].tolist() == [0.5, 1.0, 2.0]
    csv = _table(tmp_path, ["a.npy,0.5 1 2", "a.npy,1 2 3"], "clip,y")
    assert read_source("tag", [csv], {"target": "y"}).examples.targets[1].tolist() == [1, 2, 3]


def test_large_frames_are_reduced_alike(tmp_path: Path) -> None:
    _clip(tmp_path / "a.npy", 2, 192, 100)
    _clip(tmp_path / "b.npy", 3, 384, 200)
    for name, steps in (("a.npy", 2), ("b.npy", 3)):
        assert load_clip(tmp_path / name).shape == (steps, LARGEST_SIDE, 50, 3)


def test_thumbnails_are_means_of_parts() -> None:
    frame = np.zeros((1, 8, 12, 3), np.uint8)
    frame[0, :2, :3] = 255
    frame[0, 6:, 9:] = (0, 0, 153)
    expected = np.zeros((4, 4), np.float32)
    expected[0, 0], expected[3, 3] = 1, 0.2
    np.testing.assert_allclose(thumbnails(frame)[0], expected.ravel(), atol=1e-6)
    assert thumbnails(np.ones((2, 1, 3, 3), np.uint8)).shape == (2, 16)


@pytest.mark.parametrize(
    "change",
    [{"frame": [8, 8]}, {"frame": [8, 8, 0]}, {"frame": [8, 1 << 40, 3]}, {"frame": "8"},
     {"max_length": 0}, {"more": 1}, {"name": "numbers"}],
    ids=str,
)  # fmt: skip
def test_a_damaged_configuration_is_refused(change: dict[str, Any]) -> None:
    good = Frames().fit([np.zeros((2, 8, 9, 3), np.uint8)]).config()
    assert Frames.from_config(json.loads(json.dumps(good))).frame == (8, 9, 3)
    with pytest.raises(DataError):
        Frames.from_config({**good, **change})


def test_a_run_answers_each_frame_and_is_judged(run: RunFolder, moving: Path) -> None:
    results = run.read("results.json")
    assert set(results["classes"]) == {"left", "right", "up", "down", "still"}
    assert [one["name"] for one in results["baselines"]] == [
        "most frequent tag", "logistic regression on lags",
    ]  # fmt: skip
    assert "frames of 32 x 32 pixels" in results["data"]["notes"]
    assert run.read("model.json")["network"]["frame"] == [32, 32, 3]
    assert (run.path / "report.html").stat().st_size > 10_000
    figures = running.evaluate(run.path, [moving / "test.csv"])
    assert figures["metrics"]["accuracy"] == pytest.approx(results["metrics"]["accuracy"])


def test_predict_keeps_rows_whose_clip_is_missing(run: RunFolder, moving: Path) -> None:
    rows = (moving / "test.csv").read_text("utf-8").splitlines()
    clips = [row.split(",")[0] for row in rows[1:]]
    _table(moving, [clips[0], "clips/none.png", clips[1]], "clip")
    done = CliRunner().invoke(
        app, ["predict", str(run.path), str(moving / "labels.csv"), "--format", "jsonl"]
    )
    assert done.exit_code == 0, done.output
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["clip"] for answer in answers] == [clips[0], "clips/none.png", clips[1]]
    assert answers[1]["predicted"] is None
    assert len(answers[0]["predicted"]) == len(rows[1].split(",")[1].split())
    assert "labels.csv, line 3" in done.stderr
    assert "none.png" in done.stderr


def test_clips_of_another_size_are_not_answered(run: RunFolder, tmp_path: Path) -> None:
    _clip(tmp_path / "a.npy")
    table = _table(tmp_path, ["a.npy"], "clip")
    done = CliRunner().invoke(app, ["predict", str(run.path), str(table)])
    assert done.exit_code == 1
    assert "expected frames of 32 x 32 pixels" in done.stderr


def test_resume_goes_on_to_the_same_bits_and_refuses_other_frames(
    run: RunFolder, moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sunhwan.tasks.learner.train", stop)
    out = tmp_path / "run"
    data = Data([str(moving / "train.csv")], test_paths=[str(moving / "test.csv")])
    with pytest.raises(KeyboardInterrupt):
        running.start(make_config(QUICK), data, out)
    monkeypatch.undo()
    first = next(iter(sorted((moving / "clips").glob("train*"))))
    whole, steps = first.read_bytes(), len(load_clip(first))
    frames, _ = draw_clip(np.random.default_rng(9), steps)
    np.save(tmp_path / "other.npy", frames)
    try:
        from sunhwan.data.shapes import png

        first.write_bytes(png(*frames))
        with pytest.raises(UsageError, match="the data has changed"):
            running.resume(out)
    finally:
        first.write_bytes(whole)
    again = running.resume(out)
    names = [folder.path / "weights.safetensors" for folder in (run, again)]
    assert names[0].read_bytes() == names[1].read_bytes()


def test_export_says_that_it_cannot(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reads clips cannot be exported yet"):
        export(run.path, tmp_path / "a.keras")


def test_the_estimators_take_arrays_and_paths(moving: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X, y = zip(*(draw_clip(random, 3 + n) for n in range(4)), strict=True)
    tagger = Tagger(epochs=1, units=4, embedding=3, validation=0.25).fit(list(X), list(y))
    answers = tagger.predict([X[0], X[3]])
    assert [len(answer) for answer in answers] == [3, 6]
    np.save(tmp_path / "a.npy", X[0])
    assert list(tagger.predict([tmp_path / "a.npy"])[0]) == list(answers[0])
    with pytest.raises(DataError, match=r"frames of 32 x 32 pixels"):
        tagger.predict([np.zeros((2, 8, 8), np.uint8)])
    with pytest.raises(DataError, match="row 1 of `X`: expected frames of 8 x 8"):
        tagger.predict([np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 9), np.uint8)])
    classifier = Classifier(epochs=1, units=4, embedding=3).fit(np.stack([x[:3] for x in X] * 3),
                                                                [0, 1, 0, 1] * 3)  # fmt: skip
    assert set(classifier.predict([X[1][:3]])) <= {0, 1}


def test_a_table_is_read_from_elsewhere(moving: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(moving.parent)
    rows = open_rows(Path("moving0") / "train.csv")
    assert len(to_examples(rows, guess(rows.sample(), "tag"), "tag")) == 24
