"""Captions as a task of the workbench: from images to sentences on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sunhwan.cli import app
from sunhwan.data.pictures import Pictures
from sunhwan.errors import DataError, ShapeError, UsageError
from sunhwan.runs.progress import Progress
from sunhwan.runs.results_page import render_results
from sunhwan.tasks import caption_run
from sunhwan.tasks.caption_config import CaptionConfig
from sunhwan.tasks.caption_learner import CaptionLearner
from sunhwan.tasks.caption_sources import Captions
from sunhwan.tasks.options import make

SMALL: dict[str, Any] = {"units": 24, "embedding": 12, "dropout": 0.0, "batch_size": 16,
                         "learning_rate": 0.005, "epochs": 10, "width": 2}  # fmt: skip
COLOURS = {"red": (230, 20, 20), "green": (20, 200, 40), "blue": (30, 30, 230)}


def scene(random: np.random.Generator) -> tuple[np.ndarray, str]:
    """A square on a light ground, and where it is."""
    image = random.integers(215, 250, (16, 24, 3)).astype(np.uint8)
    colour = str(random.choice(list(COLOURS)))
    x, y = int(random.integers(2)), int(random.integers(2))
    top, left = 2 + 8 * y + random.integers(-1, 2), 3 + 12 * x + random.integers(-1, 2)
    image[top : top + 5, left : left + 5] = COLOURS[colour]
    return image, f"{colour} {('top', 'bottom')[y]} {('left', 'right')[x]}"


def captions(count: int, seed: int = 1) -> Captions:
    random, pictures = np.random.default_rng(seed), Pictures((16, 24))
    found = [scene(random) for _ in range(count)]
    names = [pictures.add(f"{n}.png", image) for n, (image, _) in enumerate(found)]
    return Captions(names, [said for _, said in found], [f"line {n}" for n in names], pictures)


def learner_of(pairs: Captions, **options: Any) -> CaptionLearner:
    learner = CaptionLearner(make(CaptionConfig, {**SMALL, **options}))
    learner.prepare(pairs)
    learner.short_enough(pairs)
    return learner


def test_what_an_image_shows_is_learnt() -> None:
    training = captions(300)
    learner = learner_of(training)
    learner.fit(training, captions(40, seed=2))
    asked = captions(70, seed=3)
    said = learner.answer(asked.read())
    assert np.mean([one == two for one, two in zip(said, asked.targets, strict=True)]) > 0.95
    # more than one batch, in the order of the images, and each as if it were alone
    assert [learner.answer([image])[0] for image in asked.read()[:3]] == said[:3]
    # the word for the colour is chosen by looking at the square
    weights = learner.stepper().attention_of(
        asked.read()[0], [*learner.encoder.target.encode(said[0]), learner.end]
    )
    assert weights.shape == (4, np.prod(learner.grid))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-4)
    encoder = json.loads(json.dumps(learner.encoder.config()))
    again = CaptionLearner.from_json(learner.config, encoder, learner.to_json(), "run")
    for one, other in zip(again.model.weights, learner.model.weights, strict=True):
        one.assign(other)
    assert again.answer(asked.read()) == said
    with pytest.raises(ShapeError, match=r"uint8 of shape \[N, 16, 24, 3\], received uint8 of"):
        learner.answer([np.zeros((8, 8, 3), np.uint8)])


def test_what_does_not_fit_is_refused() -> None:
    learner = learner_of(captions(20))
    encoder, good = learner.encoder.config(), learner.to_json()
    for changed, said in (
        ({**encoder, "size": [16, 32]}, "does not belong"),
        ({**encoder, "size": [16, 0]}, "a height and a width"),
        ({"target": encoder["target"]}, "`size` and `target`"),
    ):
        with pytest.raises(DataError, match=said):
            CaptionLearner.from_json(learner.config, changed, good, "run")
    with pytest.raises(DataError, match="larger than the file"):
        CaptionLearner.from_json(learner.config, encoder, good, "run", most_bytes=9)
    assert 0.3 < learner.models.network.fewest_bytes / learner.model.count_params() / 2 < 1  # type: ignore[union-attr]


class _Stops(Progress):
    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def batch(self, done: int, count: int) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    options = {"epochs": 2, "dropout": 0.3, "own_words": 0.5}
    training, validation = captions(60), captions(20, seed=2)
    whole, parts, again = (learner_of(training, **options) for _ in range(3))
    history = whole.fit(training, validation)
    fit: dict[str, Any] = {"state": tmp_path / "training", "fingerprint": "x"}
    with pytest.raises(KeyboardInterrupt):
        parts.fit(training, validation, progress=_Stops(5), **fit)
    assert again.fit(training, validation, **fit).figures == history.figures
    for one, other in zip(whole.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a table with some faults, beside its data."""
    folder = tmp_path_factory.mktemp("captions")
    random, rows = np.random.default_rng(5), []
    for number in range(150):
        image, said = scene(random)
        Image.fromarray(image).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{said}")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:-40])
    rows += ["broken.png,red top left", "none.png,red top left", "3.png,", "4.png," + "red " * 40]
    (folder / "captions.csv").write_text("\n".join(("image,caption", *rows)) + "\n")
    options = ["--units", 16, "--epochs", 4, "--batch-size", 16, "--learning-rate", 0.01,
               "--max-length", 20]  # fmt: skip
    result = invoke("train", "caption", folder, *options, "--out", folder / "run", "--lang", "ko")
    assert result.exit_code == 0, result.stderr
    assert "제외" in result.stderr
    return folder / "run"


def test_the_report_shows_images_and_where_it_looked(run: Path) -> None:
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    reasons = " | ".join(row["reason"] for row in results["data"]["rejected"])
    for said in ("broken.png: the image is broken", "none.png: expected an image file",
                 "`caption` is empty"):  # fmt: skip
        assert said in reasons
    # far too long a caption is left out of training, or is among the worst
    long = "the caption has 40 tokens, more than `max_length` 20"
    assert long in reasons or results["worst_captions"]
    assert [row["name"] for row in results["baselines"]] == [
        "most common caption", "nearest neighbour"
    ]  # fmt: skip
    shown = results["captions"]
    assert len(shown) == 10
    looked = shown[0]["looked"]
    assert looked["words"] == [*shown[0]["hypothesis"].split(), ""]
    assert np.shape(looked["weights"]) == (len(looked["words"]), np.prod(looked["grid"]))
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(shown) + len(results["worst_captions"])
    assert page.count('<use href="#image-1"/>') == len(looked["words"])
    assert "이미지를 보고 쓴 글" in page


def test_a_page_takes_nothing_from_results_unchecked() -> None:
    looked = {"grid": [1, 2], "words": ["<b>"], "weights": [[0.5, None]]}
    entry = {"image": "AAAA", "size": [4, 8], "hypothesis": "<i>", "references": ["x"],
             "looked": looked, "place": '"><script>'}  # fmt: skip
    page = render_results({"task": "caption", "captions": [entry]})
    assert 'href="data:image/png;base64,AAAA"' in page
    assert "<script" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    for changed in ({"image": 'A"/><script>'}, {"size": [4]}, {"size": ["4", 8]}, {"image": 3}):
        page = render_results({"task": "caption", "captions": [{**entry, **changed}]})
        assert "data:image" not in page
        assert "<script" not in page
    for changed in ({"grid": [1]}, {"grid": [1, 3]}, {"words": []}, {"weights": None}, {"grid": 4}):
        page = render_results(
            {"task": "caption", "captions": [{**entry, "looked": {**looked, **changed}}]}
        )
        assert "<use" not in page


def test_captions_on_the_command_line(run: Path, tmp_path: Path) -> None:
    folder = run.parent
    said = invoke("caption", run, folder / "7.png", folder / "broken.png")
    assert said.exit_code == 0, said.stderr
    rows = list(csv.DictReader(said.stdout.splitlines()))
    assert [Path(row["image"]).name for row in rows] == ["7.png", "broken.png"]
    assert set(rows[0]["predicted"].split()) <= {*COLOURS, "top", "bottom", "left", "right"}
    assert rows[0]["predicted"]
    assert rows[1]["predicted"] == ""
    assert "broken.png" in said.stderr
    answers = tmp_path / "answers.jsonl"
    assert invoke("caption", run, folder, "--out", answers, "--width", 1).exit_code == 0
    assert len(answers.read_text().splitlines()) == 151
    table = folder / "captions.csv"
    with_rows = invoke("predict", run, table)
    assert with_rows.exit_code == 0, with_rows.stderr
    rows = list(csv.DictReader(with_rows.stdout.splitlines()))
    assert len(rows) == 154
    assert set(rows[0]) == {"image", "caption", "predicted"}
    assert [row["image"] for row in rows if not row["predicted"]] == ["broken.png", "none.png"]
    judged = json.loads(invoke("evaluate", run, table, "--json").stdout)
    assert {"bleu", "chrf", "exact_match"} <= set(judged)
    assert judged["rejected"] == 3
    for command, words in (
        (["caption", run], "Missing argument"),
        (["caption", run, table, folder / "7.png"], "함께 줄 수 없습니다"),
        (["translate", run], "번역하지 못합니다"),
        (["export", run, "--out", tmp_path / "a.onnx"], "cannot be exported yet"),
        (["tune", "caption", table, "--out", tmp_path / "t"], "cannot search for `caption`"),
        (["train", "caption", table, "--text", "image", "--out", tmp_path / "x"], "no meaning"),
        (["train", "caption", table, "--pooling", "max", "--out", tmp_path / "x"], "no meaning"),
    ):
        refused = invoke(*command)  # type: ignore[misc]
        assert refused.exit_code == 2, refused.output
        assert words in refused.stderr
    with pytest.raises(UsageError, match="cannot caption"):
        caption_run.load(_run_of_another_task(tmp_path))


def _run_of_another_task(folder: Path) -> Path:
    from sunhwan.runs.folder import RunFolder

    return RunFolder.create(folder / "other", "classify").path


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
