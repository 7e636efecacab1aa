"""The command line in Korean: what asks for it, and that all of a run is told in it."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from sunhwan.cli import app, language
from sunhwan.errors import UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress
from sunhwan.runs.sentences import told
from sunhwan.tasks import running, training
from sunhwan.tasks.learner import Say

KOREAN = {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "ko_KR.UTF-8"}
ENGLISH = {"LC_ALL": "C.UTF-8"}
SMALL = ["--units", "3", "--embedding", "4", "--epochs", "2", "--batch-size", "8"]
WORDS = ["영화", "배우", "음악", "이야기", "화면", "결말", "주말", "극장"]


def invoke(*arguments: object, **environment: str):
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, words, env=environment or ENGLISH)


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of Korean reviews; one row has no label."""
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    rows = [
        f"{WORDS[n % 8]} {WORDS[(n * n + 3) % 8]} {mood},{'긍정' if mood == '좋다' else '부정'}"
        for n in range(60)
        for mood in [("좋다", "별로")[n % 3 > 1]]
    ]
    path.write_text("\n".join(["리뷰,감정", *rows, "영화,"]) + "\n", encoding="utf-8")
    return path


def english(text: str) -> list[str]:
    """The lines of a text without a Korean word."""
    return [line for line in text.splitlines() if line.strip() and not re.search("[가-힣]", line)]


def test_a_run_is_in_korean_where_the_system_is_and_resumed_in_it(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        pressed = SimpleNamespace(is_pressed=True)
        patch.setattr(training, "heard", lambda at_once: nullcontext(pressed))
        first = invoke("train", "classify", reviews, "--out", out, *SMALL, **KOREAN)
    assert first.exit_code == 130
    # Korean from the run, not from the system
    again = invoke("resume", out)
    assert again.exit_code == 0, again.stderr
    assert english(first.stderr) + english(again.stderr) == []
    for line in (
        "텍스트: 리뷰(열 이름으로 짐작)", "제외한 행: 전체 61개 중 1개.",
        f"에포크 1의 배치 1/6까지 하고 중단했습니다. `sunhwan resume {out}` 명령으로",
    ):  # fmt: skip
        assert line in first.stderr
    for line in (
        "[분류 학습] 에포크 2/2: 손실 ", "(검증 ", ", 정확도 ", "기준 모형: 순방향 신경망",
        "[분류 학습] 모든 에포크를 마쳤습니다(", "). 최적: 에포크 ",
    ):  # fmt: skip
        assert line in again.stderr
    assert f"보고서: {out / 'report.html'}" in again.stdout
    record = RunFolder.open(out).read("results.json")
    assert record["data"]["rejected"][0]["reason"] == "`감정` is empty"
    assert "not in the vocabulary" in " ".join(record["data"]["notes"])
    done = invoke("resume", out)
    assert done.stderr.splitlines()[0] == f"오류: 이미 끝난 실행입니다: {out}"


@pytest.mark.parametrize(
    ("options", "environment", "wanted"),
    [
        (["--lang", "en"], KOREAN, "en"), (["--lang", "ko"], ENGLISH, "ko"),
        ([], KOREAN, "ko"), ([], ENGLISH, "en"),
    ],
)  # fmt: skip
def test_an_option_wins_over_the_system(
    options: list[str],
    environment: dict[str, str],
    wanted: str,
    reviews: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(*_: object, lang: str, progress: Progress, say: Say, **__: object) -> None:
        say("rows left out: 3")
        progress.plan("tag", 1, 1)
        progress.begin("training", 1)
        progress.epoch(1, {"loss": 0.25})
        raise UsageError(f"--{lang}")

    monkeypatch.setattr(running, "start", start)
    result = invoke("train", "classify", reviews, "--out", "never", *options, **environment)
    assert (
        result.stderr.splitlines()
        == {
            "en": ["rows left out: 3", "tag, training: epoch 1/1: loss 0.25", "error: --en"],
            "ko": ["제외한 행: 3개", "[태깅 학습] 에포크 1/1: 손실 0.25", "오류: --ko"],
        }[wanted]
    )


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["no.csv"], ["오류: 파일이나 폴더가 없습니다: no.csv"]),
        (["no.csv", "--lable", "감정"],
         ["오류: 그런 옵션은 없습니다: `--lable`", "", "해결 방법: 혹시 `--label`입니까?"]),
        (["no.csv", "--lr", "0.1"],
         ["오류: 그런 옵션은 없습니다: `--lr`", "", "해결 방법: 혹시 `--learning-rate`입니까?"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("asked", [["--lang", "ko"], ["--lang=ko"], []])
def test_a_mistake_is_told_in_korean(words: list[str], lines: list[str], asked: list[str]) -> None:
    environment = ENGLISH if asked else KOREAN
    result = invoke("train", "classify", *words, "--out", "never", *asked, **environment)
    assert result.exit_code in (1, 2)
    assert result.stderr.splitlines() == lines
    said = invoke("train", "classify", *words, "--out", "never", **ENGLISH).stderr
    assert said.startswith("error: ")
    assert not re.search("[가-힣]", said)


def test_what_nobody_translated_is_told_as_it_is() -> None:
    assert told("`B` must be 4, received 5", "make it 4", "ko") == (
        "오류: `B` must be 4, received 5\n\n해결 방법: make it 4"
    )
    assert told("the loss is odd", None, "en") == "error: the loss is odd"


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "KO"}, "ko"),
        ({"LANG": "kok_IN"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ko_KR"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "", "LC_MESSAGES": ""}, "ko"),
    ],
)
def test_the_language_of_the_system(environment: dict[str, str], found: str) -> None:
    assert language.usual(environment) == found


def test_help_says_where_the_language_comes_from() -> None:
    said = " ".join(invoke("train", "--help").stdout.split())
    assert language.USUAL in said
