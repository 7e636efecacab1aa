"""The task left out: the message says so, lists the tasks and gives the command that was meant."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sunhwan.cli import app, task_word
from sunhwan.tasks.config import TASKS

TABLES = {
    "reviews.csv": "review,mood\na fine film,good\nthe worst of films,bad\nso so,bad\n",
    "wear.csv": "x1,x2,x3,target\n1,2,3,0.5\n2,1,4,1.25\n0,3,1,2.5\n",
    "heat.csv": "date,heat\n2020-01-01,1.5\n2020-01-02,2.5\n2020-01-03,1.25\n",
    "some text.conllu": "1\tIt\tit\tPRON" + "\t_" * 6 + "\n\n",
    "numbers.csv": "a,b\n1.5,2\n2.5,7\n",
    "song.txt": "so it goes\n",
    "films/good/1.txt": "fine",
    "films/bad/2.txt": "dull",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in TABLES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "task"),
    [
        ("reviews.csv", "classify"),
        ("reviews.csv reviews.csv --units 4", "classify"),
        ("--units 4 reviews.csv --test-data reviews.csv", "classify"),
        ("wear.csv --target target", "regress"),
        ("heat.csv", "forecast"),
        ("'some text.conllu'", "tag"),
        ("films", "classify"),
        ("song.txt", "generate"),
        ("numbers.csv", "TASK"),
        ("missing.csv", "TASK"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "tune"])
def test_data_where_the_task_should_stand(verb: str, words: str, task: str, home: Path) -> None:
    result = CliRunner().invoke(app, [verb, *shlex.split(words), "--out", "r"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"the first word after `sunhwan {verb}` must be the task, received" in result.stderr
    assert f"probably meant: sunhwan {verb} {task} {words} --out r\n" in result.stderr
    for name in TASKS:
        assert f"\n  {name:9} " in result.stderr
    assert not (home / "r").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["clasify", "reviews.csv"],
            "one of classify, regress, tag, forecast, generate, translate, caption, received",
        ),
        (["sentiment"], "Missing argument"),
        (["classify"], "Missing argument"),
        ([], "Missing argument"),
    ],
)
def test_other_mistakes_are_told_as_before(words: list[str], said: str, home: Path) -> None:
    result = CliRunner().invoke(app, ["train", *words, "--out", "r"])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "first word" not in result.stderr


def test_a_task_that_is_also_a_folder_is_the_task(home: Path) -> None:
    (home / "classify").mkdir()
    result = CliRunner().invoke(app, ["train", "classify", "missing.csv", "--out", "r"])
    assert "missing.csv: expected a file or folder" in result.stderr


def test_every_task_is_listed() -> None:
    assert set(task_word._TASKS) == set(task_word._TRIED) == set(TASKS)
