"""The verbs of the workbench on small files, as a user types them."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from subprocesses import environment
from sunhwan.cli import app
from sunhwan.data.rows import open_rows
from sunhwan.runs.folder import RunFolder
from sunhwan.tasks.config import Config
from sunhwan.tasks.forecast_config import ForecastConfig

# a background process of a shell ignores Ctrl-C, and its children with it
MAIN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from sunhwan.cli import main; sys.argv[0] = 'sunhwan'; main()"
)
GOOD, BAD = ["fine", "lovely", "great", "warm"], ["dull", "weak", "awful", "cold"]
REST = ["film", "story", "the", "actor", "scene", "music", "plot", "end", "and"]
SMALL = [
    "--units",
    "4",
    "--embedding",
    "5",
    "--batch-size",
    "16",
    "--learning-rate",
    "0.05",
    "--no-bidirectional",
]


def invoke(*arguments: object, stdin: str | bytes | None = None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def reviews(count: int, seed: int) -> list[tuple[int, str, str]]:
    """Key, review and mood; two words of each review tell its mood."""
    drawn = random.Random(seed)
    rows = []
    for number in range(count):
        mood = "good" if number % 3 else "bad"
        words = drawn.choices(REST, k=5) + drawn.choices(GOOD if mood == "good" else BAD, k=2)
        drawn.shuffle(words)
        rows.append((7 * number, " ".join(words), mood))
    return rows


def write(path: Path, head: tuple[str, ...], rows: list[tuple]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of reviews: to train on, to judge by (one row is empty), and new ones."""
    home = tmp_path_factory.mktemp("reviews")
    head = ("key", "review", "mood")
    write(home / "train.csv", head, reviews(90, 1))
    write(home / "test.csv", head, [*reviews(30, 2), (999, "", "good")])
    write(home / "new.csv", head[:2], [row[:2] for row in [*reviews(12, 3), (5, " ", "")]])
    return home


def train(home: Path, out: str, *more: object):
    data = [home / "train.csv", "--test-data", home / "test.csv", "--label", "mood"]
    return invoke("train", "classify", *data, *SMALL, "--out", home / out, *more)


@pytest.fixture(scope="module")
def trained(home: Path):
    """A run, and what was printed when it was trained."""
    result = train(home, "run", "--epochs", 4, "--lang", "ko")
    assert result.exit_code == 0, result.stderr
    return home / "run", result


def test_train_shows_the_network_beside_its_baselines(trained) -> None:
    run, result = trained
    assert "95%" in result.stdout.splitlines()[0]
    assert "신경망" in result.stdout
    assert f"보고서: {run / 'report.html'}" in result.stdout
    assert f"다음:   sunhwan predict {run}" in result.stdout
    assert "텍스트: review" in result.stderr
    assert "에포크 4/4" in result.stderr
    assert "제외한 행: 전체" in result.stderr
    assert '<html lang="ko"' in (run / "report.html").read_text(encoding="utf-8")
    results = RunFolder.open(run).read("results.json")
    assert results["metrics"]["accuracy"] > 0.9
    assert "--units 4" in results["command"]
    assert [file["name"] for file in results["data"]["files"]] == ["train.csv", "test.csv"]


def test_help_of_train_has_every_option_of_a_run() -> None:
    result = invoke("train", "--help")
    assert result.exit_code == 0
    for name in Config.model_fields | ForecastConfig.model_fields:
        assert name == "task" or f"--{name.replace('_', '-')} " in result.stdout
    assert "--no-bidirectional" in result.stdout
    assert "simple|lstm|gru" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["clasify", "x.csv"],
            "one of classify, regress, tag, forecast, generate, translate, caption, "
            "received 'clasify'",
        ),
        (["forecast", "x.csv", "--pooling", "max"], "`pooling` has no meaning for `forecast`"),
        (["classify", "x.csv", "--hidden-size", "4"], "did you mean `--units`?"),
        (["classify", "x.csv", "--lr=4"], "did you mean `--learning-rate`?"),
        (["classify", "x.csv", "--lable", "a"], "--label"),
        (["classify", "x.csv", "--units", "0"], "`units`"),
        (["classify", "x.csv", "--cell", "lsmt"], "'simple', 'lstm' or 'gru', received 'lsmt'"),
        (["classify", "x.csv", "--lang", "de"], "`--lang` must be en or ko, received 'de'"),
        (["classify"], "DATA"),
    ],
)
def test_a_mistake_in_the_call_is_told(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = invoke("train", *arguments, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "run").exists()


def test_a_missing_file_is_a_failure(tmp_path: Path) -> None:
    result = invoke("train", "classify", tmp_path / "no.csv", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "no.csv: expected a file or folder, but there is none" in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hidden-size: 4", "it is called `units` here"),
        ("units: none", "opt.yaml: `units`"),
        ("units: [4]", "expected a word or a number for `units`, received list"),
        ("- units", "expected lines such as `units: 64`"),
        ("units: {", "not JSON or YAML that can be read"),
        ("a: &a [1]\nunits: *a", "received list"),
    ],
)
def test_a_bad_configuration_names_its_file(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "opt.yaml").write_text(content)
    data = [tmp_path / "x.csv", "--config", tmp_path / "opt.yaml", "--out", tmp_path / "run"]
    result = invoke("train", "classify", *data)
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert "opt.yaml" in result.stderr


def test_evaluate_writes_one_object(home: Path, trained) -> None:
    result = invoke("evaluate", trained[0], home / "test.csv", "--json")
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert set(figures) == {"accuracy", "macro_f1", "log_loss", "rows", "rejected", "intervals"}
    assert (figures["rows"], figures["rejected"]) == (30, 1)
    results = RunFolder.open(trained[0]).read("results.json")
    assert figures["accuracy"] == results["metrics"]["accuracy"]
    assert figures["log_loss"] == pytest.approx(results["metrics"]["log_loss"], rel=1e-6)
    assert figures["intervals"]["accuracy"] == results["intervals"]["accuracy"]
    assert "test.csv, 32번째 줄: ‘review’ 열이 비어 있습니다." in result.stderr


def test_evaluate_says_what_the_run_learnt_from(home: Path, trained) -> None:
    copy = home / "copy of train.csv"
    copy.write_bytes((home / "train.csv").read_bytes())
    result = invoke("evaluate", trained[0], home / "test.csv", copy, "--json")
    assert json.loads(result.stdout)["rows"] == 120
    said = "copy of train.csv: 학습에 쓴 데이터입니다. 이 수치로는 새 데이터에서의 성능을 알 수"
    assert said in result.stderr
    assert "test.csv: 학습에" not in result.stderr  # it was judged by, not learnt from
    result = invoke("evaluate", trained[0], home / "train.csv", "--lang", "en")
    told = "train.csv is data that this run learnt from: these figures say nothing about new data"
    assert told in result.stderr
    assert "learnt" not in result.stdout
    copy.write_bytes(copy.read_bytes() + b"1,a fine film,good\n")
    assert "학습에" not in invoke("evaluate", trained[0], copy).stderr


def test_evaluate_shows_a_table(home: Path, trained) -> None:
    result = invoke("evaluate", trained[0], home / "test.csv", "--lang", "en")
    assert "test.csv, line 32: `review` is empty" in result.stderr
    assert "30 rows" in "".join(result.stdout.splitlines()[:3])
    assert "accuracy" in result.stdout


def test_evaluate_needs_answers(home: Path, trained) -> None:
    result = invoke("evaluate", trained[0], home / "new.csv", "--json", "--lang", "en")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no column of answers" in result.stderr
    assert f"`sunhwan predict {trained[0]} DATA`" in result.stderr


def test_predict_gives_the_rows_again(home: Path, trained) -> None:
    result = invoke("predict", trained[0], home / "new.csv", "--lang", "en")
    assert result.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    known = reviews(12, 3)
    *rows, empty = rows  # it keeps its place
    assert (empty["key"], empty["review"]) == ("5", " ")
    assert {empty[name] for name in ("predicted", "probability", "probability_good")} == {""}
    assert [(int(row["key"]), row["review"]) for row in rows] == [row[:2] for row in known]
    assert (
        np.mean([row["predicted"] == mood for row, (*_, mood) in zip(rows, known, strict=True)])
        > 0.8
    )
    for row in rows:
        shares = {name: float(row[f"probability_{name}"]) for name in ("bad", "good")}
        assert sum(shares.values()) == pytest.approx(1, abs=2e-6)
        assert shares[row["predicted"]] == max(shares.values()) == float(row["probability"])
    assert "new.csv, line 14: `review` is empty" in result.stderr
    assert "rows without an answer: 1 of 13" in result.stderr
    more = ("--lang", "en", "--out", home / "out.csv")
    again = invoke("predict", trained[0], home / "new.csv", *more)
    assert "out.csv (13 rows)" in again.stderr.replace("\n", "")  # as many as the file holds


def test_predict_writes_json_lines(home: Path, trained, monkeypatch: pytest.MonkeyPatch) -> None:
    from sunhwan.tasks import sources

    whole = list(
        csv.DictReader(io.StringIO(invoke("predict", trained[0], home / "new.csv").stdout))
    )
    monkeypatch.setattr(sources, "_CHUNK", 5)
    result = invoke("predict", trained[0], home / "new.csv", "--out", home / "answers.jsonl")
    assert (result.exit_code, result.stdout) == (0, "")
    rows = [json.loads(line) for line in (home / "answers.jsonl").read_text().splitlines()]
    assert [row["review"] for row in rows] == [row["review"] for row in whole]
    assert rows.pop()["predicted"] is None
    assert whole.pop()["predicted"] == ""
    for row, other in zip(rows, whole, strict=True):
        assert row["probability_good"] == pytest.approx(float(other["probability_good"]), abs=2e-6)
    again = invoke("predict", trained[0], home / "answers.jsonl")
    assert again.exit_code == 2
    assert "has a column 'predicted' already" in again.stderr


def test_answers_in_a_file_open_in_excel_and_here(home: Path, trained) -> None:
    """Excel needs a byte order mark for UTF-8, other programs want none."""
    rows = [(1, "so it is"), (2, "좋은 film"), (3, "a fine end")]
    new = write(home / "korean.csv", ("key", "review"), rows)
    out = home / "marked.csv"
    assert invoke("predict", trained[0], new, "--out", out).exit_code == 0
    plain = invoke("predict", trained[0], new).stdout_bytes
    assert out.read_bytes() == b"\xef\xbb\xbf" + plain
    assert plain.startswith(b"key,review,predicted,probability,probability_bad,probability_good\n")
    assert [(int(row.fields["key"]), row.fields["review"]) for row in open_rows(out)] == rows
    again = invoke("predict", trained[0], out)
    assert "has a column 'predicted' already" in again.stderr
    invoke("predict", trained[0], write(home / "ascii.csv", ("key", "review"), rows[:1]),
           "--out", out)  # fmt: skip
    assert out.read_bytes().startswith(b"key,review,")
    invoke("predict", trained[0], new, "--out", home / "marked.jsonl")
    assert (home / "marked.jsonl").read_bytes().startswith(b"{")


def test_predict_reads_lines_from_standard_input(trained) -> None:
    lines = "\ufeffa great film, 좋은\r\n\n".encode() + b"awful \xff\ndull plot"
    result = invoke("predict", trained[0], "-", "--lang", "en", stdin=lines)
    assert result.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["review"] for row in rows] == ["a great film, 좋은", "", "dull plot"]
    assert "standard input, line 2: `review` is empty" in result.stderr
    assert "standard input, line 3: not UTF-8: byte 7" in result.stderr


def test_predict_fails_where_no_row_can_be_answered(home: Path, trained) -> None:
    result = invoke(
        "predict", trained[0], "-", "--out", home / "none.csv", "--lang", "en", stdin="\n \n"
    )
    assert result.exit_code == 1
    assert "no row could be answered" in result.stderr
    assert "rows without an answer: 2 of 2" in result.stderr
    assert not (home / "none.csv").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["new.csv", "--format", "xlsx"], "`--format` must be csv or jsonl, received 'xlsx'"),
        (["-", "new.csv"], "- stands for standard input"),
        (["short.csv"], "'review' is missing from key"),
    ],
)
def test_predict_refuses(more: list[str], message: str, home: Path, trained) -> None:
    (home / "short.csv").write_text("key\n1\n")
    data = [home / word if word.endswith(".csv") else word for word in more]
    result = invoke("predict", trained[0], *data, "--lang", "en")
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert result.stdout == ""


def test_report_is_written_anew(trained) -> None:
    page = trained[0] / "report.html"
    page.unlink()
    result = invoke("report", trained[0], "--lang", "en")
    assert result.stdout == f"{page}\n"
    assert '<html lang="en"' in page.read_text(encoding="utf-8")
    invoke("report", trained[0])
    assert '<html lang="ko"' in page.read_text(encoding="utf-8")


def test_a_stopped_run_goes_on_and_can_be_compared(home: Path, trained) -> None:
    """Ctrl-C in a real process; a configuration file, from which the command line differs."""
    (home / "opt.yaml").write_text("cell: lstm\nbidirectional: true\nepochs: 900\nclipnorm: 1e1\n")
    data = [home / "train.csv", "--test-data", home / "test.csv", "--label", "mood", *SMALL]
    more = ["--config", home / "opt.yaml", "--epochs", 6, "--cell", "simple"]
    words = ["train", "classify", *data, *more, "--out", home / "other"]
    said = ""
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *map(str, words)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr:  # type: ignore[union-attr]
            said += line
            if "epoch 1/6" in line:
                process.send_signal(signal.SIGINT)
        shown = process.stdout.read()  # type: ignore[union-attr]
    assert (process.returncode, shown) == (130, ""), said
    assert f"`sunhwan resume {home / 'other'}` goes on" in said
    assert "Traceback" not in said
    unfinished = invoke("evaluate", home / "other", home / "test.csv")
    assert unfinished.exit_code == 1
    assert f"`sunhwan resume {home / 'other'}` goes on" in unfinished.stderr

    result = invoke("resume", home / "other")
    assert result.exit_code == 0, result.stderr
    assert "epoch 1/6" not in result.stderr
    assert "report:" in result.stdout
    config = RunFolder.open(home / "other").read("config.json")["options"]
    assert [config[name] for name in ("cell", "clipnorm", "epochs", "bidirectional")] == [
        "simple", 10.0, 6, False,
    ]  # fmt: skip
    assert invoke("resume", home / "other").exit_code == 2

    compared = invoke("compare", trained[0], home / "other")
    assert compared.exit_code == 0
    assert "행 30개" in compared.stdout
    assert f"{home / 'other'}" in compared.stdout.splitlines()[-1]
    figures = json.loads(invoke("compare", trained[0], home / "other", "--json").stdout)
    assert figures["comparisons"][0]["rows"] == 30
    alone = invoke("compare", trained[0])
    assert alone.exit_code == 2
    assert "at least two runs" in alone.stderr


def test_a_run_is_not_overwritten_unasked(home: Path, trained) -> None:
    before = (trained[0] / "run.json").read_bytes()
    result = train(home, "run")
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert (trained[0] / "run.json").read_bytes() == before


def test_steps_of_a_table_are_tagged_row_by_row(tmp_path: Path) -> None:
    """Rows are steps, not in the order of time; each is given again with its own answer."""
    drawn = random.Random(4)
    rows = []
    for number in range(24):
        for step in drawn.sample(range(6), 6):
            value = drawn.uniform(-1, 1)
            rows.append((f"s{number}", step, round(value, 3), "up" if value > 0 else "down"))
    data = write(tmp_path / "steps.csv", ("id", "t", "value", "tag"), rows)
    columns = ["--id", "id", "--time", "t", "--features", "value", "--label", "tag"]
    options = [*SMALL, "--num-layers", 1, "--epochs", 15]
    result = invoke("train", "tag", data, *columns, *options, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    unlabelled = write(
        tmp_path / "new.csv", ("id", "t", "value"), [*(r[:3] for r in rows), ("z", 0, "x")]
    )
    result = invoke("predict", tmp_path / "run", unlabelled)
    assert result.exit_code == 0, result.stderr
    answers = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(answers) == len(rows)
    wanted = {(name, str(step)): (str(value), tag) for name, step, value, tag in rows}
    found = [wanted[answer["id"], answer["t"]] for answer in answers]
    assert [answer["value"] for answer in answers] == [value for value, _ in found]
    assert (
        np.mean([a["predicted"] == tag for a, (_, tag) in zip(answers, found, strict=True)]) > 0.9
    )
    assert "rows without an answer: 1 of 145" in result.stderr


def test_numbers_are_answered_for_rows_of_steps(tmp_path: Path) -> None:
    drawn = np.random.default_rng(5)
    steps = drawn.normal(size=(60, 4)).round(3)
    rows = [(*row, round(float(row.sum()), 3), "note") for row in steps]
    data = write(tmp_path / "n.jsonl", ("a",), [])
    names = ("x1", "x2", "x3", "x4", "target", "remark")
    data.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    result = invoke("train", "regress", data, *SMALL, "--epochs", 2, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    figures = json.loads(invoke("evaluate", tmp_path / "run", data, "--json").stdout)
    assert {"mae", "rmse", "r2", "skill"} <= set(figures)
    result = invoke("predict", tmp_path / "run", data)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["remark"] for answer in answers] == ["note"] * 60
    errors = [abs(answer["predicted"] - answer["target"]) for answer in answers]
    assert np.mean(errors) == pytest.approx(figures["mae"], rel=1e-4)


def test_a_forecast_from_the_command_line(tmp_path: Path) -> None:
    days = [f"2020-{1 + day // 28:02d}-{1 + day % 28:02d}" for day in range(196)]
    rows = [f"{days[n]},{10 + 3 * math.sin(n * math.tau / 7) + n % 5 / 10:.3f}" for n in range(196)]
    table = tmp_path / "heat.csv"
    table.write_text("\n".join(["date,heat", *rows]))
    options = ["--epochs", "2", "--horizon", "3", "--units", "4", "--target", "heat"]
    result = invoke("train", "forecast", table, *options, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert "report:" in result.stdout
    ahead = invoke("predict", tmp_path / "run")
    lines = list(csv.DictReader(io.StringIO(ahead.stdout)))
    assert len(lines) == 3
    assert all(float(x["low_95"]) < float(x["predicted"]) < float(x["high_95"]) for x in lines)
    figures = json.loads(invoke("evaluate", tmp_path / "run", table, "--json").stdout)
    assert {"mae", "skill"} <= set(figures)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate", "r", "--promt", "Hi"], "there is no option `--promt`"),
        (["evaluate", "r"], "missing argument 'DATA'"),
        (["check", "--jsn"], "there is no option `--jsn`"),
    ],
)
def test_every_verb_tells_of_a_mistake_in_the_call_in_a_sentence(
    words: list[str], said: str
) -> None:
    result = invoke(*words)
    assert result.exit_code == 2
    assert said.lower() in result.stderr.lower()
    assert "Usage:" not in result.stderr


def test_labels_that_look_alike_and_texts_on_both_sides_are_told(home: Path) -> None:
    drawn = random.Random(5)
    texts = [f"the {drawn.choice(['tea', 'cake', 'soup'])} was {n % 9}" for n in range(60)]
    rows = [(text, ("good", "bad", "Bad")[n % 3]) for n, text in enumerate(texts)]
    data = write(home / "alike.csv", ("text", "mood"), rows)
    result = invoke("train", "classify", data, *SMALL, "--epochs", 1, "--out", home / "alike")
    assert result.exit_code == 0, result.stderr
    assert "labels that differ in capitals or spaces alone: 'Bad' and 'bad'" in result.stderr
    assert re.search(r"texts to judge by that are also learnt from: \d+ of 12", result.stderr)
