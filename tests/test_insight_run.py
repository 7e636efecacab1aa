"""`sunhwan insight` on runs of every task: a page, its report, and clear refusals."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sunhwan import Classifier
from sunhwan.cli import app
from sunhwan.errors import UsageError
from sunhwan.tasks import running
from sunhwan.tasks.insight_material import material_of
from sunhwan.tasks.insight_run import look

GOOD, BAD = (
    ("아주 좋은 영화", "정말 재미있다 <b>", "최고"),
    ("지루한 영화", "돈이 아깝다", "최악 &"),
)


def _train(folder: Path, task: str, name: str, data: Path, *options: str) -> Path:
    words = ["train", task, str(data), "--out", str(folder / name), "--epochs", "1", *options]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return folder / name


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    with (folder / "평.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["평", "점수"])
        for n in range(60):
            rows.writerow([f"{(GOOD if n % 2 else BAD)[n % 3]} {n}", "좋음" if n % 2 else "나쁨"])
    options = ("--units", "4", "--cell", "lstm", "--label", "점수", "--text", "평")
    return _train(folder, "classify", "run", folder / "평.csv", *options)


@pytest.fixture(scope="module")
def found(texts: Path) -> dict[str, Any]:
    said: list[str] = []
    seen = look(texts, say=said.append)
    assert "what answers rest on" in said
    return seen


def test_a_page_is_written_and_the_report_has_its_sections(texts, found):
    page = (texts / "insight.html").read_text(encoding="utf-8")
    assert "<h2>Why this answer</h2>" in page
    assert "<h2>The network, unrolled</h2>" in page
    assert "<h2>Why this answer</h2>" in (texts / "report.html").read_text(encoding="utf-8")
    assert found["rows"] == found["count"] == 12
    assert {one["predicted"] for one in found["influence"]} <= {"좋음", "나쁨"}
    shown = ["".join(one["tokens"]) for one in found["influence"]]
    assert all(any(text[:2] in one for text in (*GOOD, *BAD)) for one in shown)
    kept = json.loads((texts / "results.json").read_text(encoding="utf-8"))
    assert kept["insight"]["flow"][0]["name"] == found["flow"][0]["name"]
    running.load(texts)  # still a whole run


def test_before_training_it_is_the_network_that_training_began_with(texts, found):
    learner = running.load(texts)
    trained, begun = learner.model.get_weights(), learner.untrained().get_weights()
    assert any((one != other).any() for one, other in zip(trained, begun, strict=True))
    again = running.load(texts).untrained().get_weights()
    for one, other in zip(begun, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found["flow"][0]["rate"] != found["flow_before"][0]["rate"]


def test_the_command_speaks_the_language_of_the_reader(texts):
    done = CliRunner().invoke(app, ["insight", str(texts), "--lang", "ko"])
    assert done.exit_code == 0, done.output
    assert "기울기" in done.stdout
    assert str(texts / "insight.html") in done.stdout
    assert 'lang="ko"' in (texts / "insight.html").read_text(encoding="utf-8")


def test_other_data_without_answers_will_do(texts, tmp_path):
    (tmp_path / "new.csv").write_text("평\n아주 좋은 영화\n지루한 영화\n", encoding="utf-8")
    found = look(texts, [tmp_path / "new.csv"])
    assert found["rows"] == 2
    assert "wanted" not in found["influence"][0]


def test_steps_with_answers_are_asked_in_the_middle(tmp_path):
    lines = []
    for n in range(40):
        for place in range(3 + n % 4):
            tag = "N" if (n + place) % 2 else "V"
            lines.append(f"{n},{'새' if tag == 'N' else '가다'}{place},{tag}")
    (tmp_path / "tags.csv").write_text("s,word,tag\n" + "\n".join(lines), encoding="utf-8")
    options = ("--units", "4", "--id", "s", "--text", "word", "--label", "tag")
    found = look(_train(tmp_path, "tag", "run", tmp_path / "tags.csv", *options))
    one = found["influence"][0]
    assert one["asked"] == len(one["tokens"]) // 2
    assert one["wanted"] in ("N", "V")
    assert len(one["values"]) == len(one["tokens"])


def test_numbers_forecasts_and_texts_that_go_on(tmp_path):
    rng = np.random.default_rng(1)
    lines = ["month,value"]
    for n in range(96):
        value = 10 + 3 * np.sin(n * np.pi / 6) + rng.normal(0, 0.1)
        lines.append(f"20{10 + n // 12:02d}-{1 + n % 12:02d},{value:.3f}")
    (tmp_path / "series.csv").write_text("\n".join(lines), encoding="utf-8")
    run = _train(tmp_path, "forecast", "months", tmp_path / "series.csv", "--horizon", "3")
    found = look(run)
    assert found["flow"][0]["kind"] == "GRU"
    assert "tokens" not in found["influence"][0]
    (tmp_path / "song.txt").write_text("아리랑 고개로 넘어간다 " * 60, encoding="utf-8")
    song = _train(tmp_path, "generate", "song", tmp_path / "song.txt", "--units", "8")
    found = look(song)
    assert found["flow"][0]["kind"] == "LSTM"
    assert found["influence"][0]["tokens"][0] in set("¶아리랑 고개로넘어간다")
    assert (song / "insight.html").exists()


def test_a_translation_is_told_by_the_source_at_a_step_that_is_written(tmp_path):
    pairs = [f"{'see ' * (n % 2)}word {n} here,말 {n} 여기" for n in range(10, 50)]
    (tmp_path / "pairs.csv").write_text("\n".join(["en,ko", *pairs]), encoding="utf-8")
    options = (
        "--units",
        "4",
        "--embedding",
        "4",
        "--source",
        "en",
        "--target",
        "ko",
        "--width",
        "1",
    )
    run = _train(tmp_path, "translate", "run", tmp_path / "pairs.csv", *options)
    found = look(run)
    names = [one["name"] for one in found["flow"]]
    assert names == ["encoder_1 →", "encoder_1 ←", "decoder_1"]
    written = found["example"]["maps"][2]["tokens"]
    assert written[0] == "¶"
    for one in found["influence"]:
        assert "word" in "".join(one["tokens"])
        assert len(one["values"]) == len(one["tokens"])
        assert one["total"] == pytest.approx(one["change"], rel=0.02, abs=1e-5)
    first = found["influence"][0]
    assert first["after"] == "".join(written[1 : first["asked"] + 1])
    assert first["wanted"] == written[first["asked"] + 1]
    # what is compared is several of the answers; the source is what is replaced
    assert found["horizon"]["answers"] == min(8, len(written))
    assert len(found["horizon"]["places"]) <= max(len(one["tokens"]) for one in found["influence"])
    assert {one["layer"] for one in found["gates"]} == set(names)
    assert "<h2>Why this answer</h2>" in (run / "report.html").read_text(encoding="utf-8")
    (tmp_path / "new.csv").write_text("en,ko\na word,말\nsee here,여기 봐\n", encoding="utf-8")
    given = material_of(run, [tmp_path / "new.csv"])
    assert given.rows == 1  # the other target is shorter
    assert "".join(given.tokens[0]) == "see here"


def test_a_caption_is_told_by_the_words_before(tmp_path):
    rng = np.random.default_rng(3)
    rows = ["image,caption"]
    (tmp_path / "images").mkdir()
    for n in range(40):
        name, pixels = f"images/{n}.png", rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        rows.append(f"{name},a {'red' if n % 2 else 'blue'} thing {n % 5}")
    (tmp_path / "captions.csv").write_text("\n".join(rows), encoding="utf-8")
    options = ("--units", "4", "--embedding", "4", "--cell", "gru")
    run = _train(tmp_path, "caption", "run", tmp_path / "captions.csv", *options)
    found = look(run)
    assert [one["name"] for one in found["flow"]] == ["decoder_1"]
    one = found["influence"][0]
    assert one["tokens"][0] == "¶"
    assert one["tokens"][1].startswith("a")
    assert "after" not in one
    assert found["horizon"]["answers"] == 1
    assert "steps_left" not in {unit["signal"] for unit in found["units"]}


def test_a_run_made_in_python_has_no_data_to_look_at(tmp_path):
    model = Classifier(epochs=1, units=4).fit([*GOOD, *BAD] * 4, [1, 1, 1, 0, 0, 0] * 4)
    model.save(tmp_path / "mine")
    with pytest.raises(UsageError, match="trained in Python"):
        look(tmp_path / "mine")


def test_data_that_has_changed_is_refused(texts, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(texts, run)
    data = texts.parent / "평.csv"
    before = data.read_bytes()
    try:
        data.write_bytes(before + "새 영화,좋음\n".encode())
        with pytest.raises(UsageError, match="the data has changed since this run began"):
            look(run)
    finally:
        data.write_bytes(before)
    assert look(run, [data])["rows"] == 32
