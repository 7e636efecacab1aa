"""Few long sequences: learnt from up to a point in time, read and judged in pieces."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from learner_examples import prepared
from sunhwan import Tagger
from sunhwan.cli import app
from sunhwan.data.examples import Examples
from sunhwan.errors import DataError
from sunhwan.runs.results_page import render_results
from sunhwan.tasks.config import make_config
from sunhwan.tasks.pieces import are_few, borders, hold_out_end, in_pieces, joined, settled
from sunhwan.tasks.splits import hold_out


def long_sequence(steps: int = 100, seed: int = 1) -> tuple[Any, Any]:
    """Two features, and a number that follows from this step and the one before."""
    draw = np.random.default_rng(seed)
    inputs = draw.normal(3, 2, (steps, 2)).astype(np.float32)
    before = np.concatenate([[0], inputs[:-1, 1]])
    return inputs, (inputs[:, 0] - 0.5 * before).astype(np.float32)


def examples(*steps: int, **changed: Any) -> Examples:
    rows = [long_sequence(count, seed) for seed, count in enumerate(steps)]
    places = [f"a.csv, line {n}" for n in range(len(rows))]
    return Examples("numbers", [x for x, _ in rows], [y for _, y in rows], places, **changed)


@pytest.mark.parametrize("steps", [1, 2, 7, 8, 9, 61])
@pytest.mark.parametrize("length", [1, 3, 8, None])
def test_pieces_are_the_fewest_and_of_like_length(steps: int, length: int | None) -> None:
    cut = borders(steps, length)
    sizes = np.diff(cut)
    assert (cut[0], cut[-1]) == (0, steps)
    assert len(sizes) == (1 if length is None else -(-steps // length))
    assert sizes.max() - sizes.min() <= 1
    assert sizes.max() <= (length or steps)


def test_pieces_joined_are_the_sequence() -> None:
    whole = examples(10, 3, 17)
    cut = in_pieces(whole, 4)
    assert [len(part) for part in cut.inputs] == [3, 3, 4, 3, 3, 3, 4, 3, 4]
    for name in ("inputs", "targets"):
        again = joined(getattr(cut, name), [3, 1, 5])
        for one, other in zip(again, getattr(whole, name), strict=True):
            np.testing.assert_array_equal(one, other)
    assert list(cut.places[:4]) == [
        "a.csv, line 0, steps 1 to 3",
        "a.csv, line 0, steps 4 to 6",
        "a.csv, line 0, steps 7 to 10",
        "a.csv, line 1",
    ]
    assert in_pieces(whole, 17) is whole


def test_groups_stay_with_the_pieces() -> None:
    assert in_pieces(examples(4, 2, groups=["x", "y"]), 2).groups == ["x", "x", "y"]


def test_few_sequences_are_held_out_by_time() -> None:
    whole = examples(50, 10, 1)
    rest, held = hold_out(whole, 0.2, seed=3)
    assert [len(part) for part in rest.inputs] == [40, 8, 1]
    assert [len(part) for part in held.inputs] == [10, 2]
    np.testing.assert_array_equal(held.inputs[0], whole.inputs[0][40:])
    np.testing.assert_array_equal(held.targets[1], whole.targets[1][8:])  # type: ignore[index]
    with pytest.raises(DataError, match="too short to hold out 20%"):
        hold_out(examples(1), 0.2, seed=3)


def test_what_counts_as_few() -> None:
    assert are_few(examples(9, 9, 9, 9))
    assert not are_few(examples(9, 9, 9, 9, 9))
    assert are_few(examples(9, 9, groups=["x", "x"]))
    assert not are_few(examples(9, 9, groups=["x", "y"]))
    assert not are_few(Examples("text", ["a"], ["x"], ["line 1"]))
    assert not are_few(Examples("text", ["a"], None, ["line 1"]))
    rest, held = hold_out(examples(9, 9, 9, 9, 9), 0.4, seed=1)
    assert [len(part) for part in rest.inputs] == [9, 9, 9]
    assert len(held) == 2
    assert len(hold_out_end(examples(1, 1), 0.5)[1]) == 0


def test_length_and_batch_follow_the_steps() -> None:
    config = make_config({"task": "tag"})
    found = {n: settled(config, examples(n)) for n in (40, 285, 100_000)}
    assert [one.max_length for one in found.values()] == [8, 17, 256]
    assert [one.batch_size for one in found.values()] == [4, 4, 32]
    given = make_config({"task": "tag", "max_length": 5, "batch_size": 2})
    assert settled(given, examples(285)) == given
    assert settled(config, examples(9, 9, 9, 9, 9)) is config


def test_a_long_sequence_is_answered_as_its_pieces() -> None:
    learner = prepared("tag", in_pieces(examples(60), 8), max_length=8)
    whole = examples(45, 5)
    (long, short) = learner.answer(learner.encode(whole))
    pieces = learner.pieces(whole)
    apart = learner.answer(learner.encode(pieces))
    assert (long.shape, short.shape) == ((45,), (5,))
    np.testing.assert_array_equal(np.concatenate(apart), np.concatenate([long, short]))
    # each piece begins anew: the state of the piece before is not carried on
    alone = learner.answer(learner.encode(pieces.take([1])))
    np.testing.assert_allclose(alone[0], apart[1], rtol=1e-5)


def test_python_learns_from_one_sequence() -> None:
    x, y = long_sequence(400)
    options = {"units": 16, "num_layers": 1, "epochs": 60, "learning_rate": 0.01, "dropout": 0.0}
    tagger = Tagger(**options).fit([x], [y])  # type: ignore[arg-type]
    assert tagger.learner_.config.max_length == 22
    new, wanted = long_sequence(90, seed=8)
    (found,) = tagger.predict([new])
    assert found.shape == (90,)
    error = np.abs(found - wanted).mean() / np.abs(wanted - wanted.mean()).mean()
    assert error < 0.35
    assert tagger.evaluate([new], [wanted])["mae"] == pytest.approx(np.abs(found - wanted).mean())


def test_a_table_of_one_sequence_from_file_to_answers(tmp_path: Path) -> None:
    x, y = long_sequence(120)
    lines = [f"{2000 + n // 12}-{n % 12 + 1:02},{a:.4f},{b:.4f},{t:.4f}"
             for n, ((a, b), t) in enumerate(zip(x, y, strict=True))]  # fmt: skip
    data = tmp_path / "macro.csv"
    data.write_text("month,rate,index,price\n" + "\n".join(lines) + "\n", encoding="utf-8")
    run = tmp_path / "run"
    options = ["--target", "price", "--units", "8", "--epochs", "3", "--num-layers", "1"]
    result = invoke("train", "tag", data, *options, "--out", run)
    assert result.exit_code == 0, result.stderr
    assert "few sequences (1): each is learnt from up to a point in time" in result.stderr
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    lines_kept = (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines_kept]
    # the last fifth of the steps, in pieces of at most 8
    assert [len(row["true"]) for row in rows] == [8, 8, 8]
    assert [v for row in rows for v in row["true"]] == pytest.approx(y[96:].tolist(), abs=1e-4)
    assert rows[-1]["row"] == "macro.csv, line 2, steps 113 to 120"
    assert results["data"]["validation"] == 2
    answers = list(csv.DictReader(io.StringIO(invoke("predict", run, data).stdout)))
    assert [row["month"] for row in answers] == [line.split(",")[0] for line in lines]
    assert all(np.isfinite(float(row["predicted"])) for row in answers)
    judged = json.loads(invoke("evaluate", run, data, "--json").stdout)
    errors = [abs(float(row["predicted"]) - float(row["price"])) for row in answers]
    assert judged["mae"] == pytest.approx(np.mean(errors), rel=1e-4)


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_report_draws_steps_and_no_single_length() -> None:
    draw = np.random.default_rng(5)
    wanted = draw.normal(size=40)
    results = {
        "task": "tag",
        "metrics": {"mae": 0.4},
        "points": {"wanted": wanted.tolist(), "predicted": (wanted + 0.4).tolist()},
        "by_length": {"edges": [8, 9], "error": [0.4], "count": [5]},
    }
    page = render_results(results)
    assert "Step by step" in page
    assert "One dot for each step" in page
    assert "Length and error" not in page
    two = {"edges": [8, 9, 12], "error": [0.4, 0.5], "count": [5, 4]}
    longer = render_results({**results, "by_length": two})
    assert "Length and error" in longer
    assert "share wrong" not in longer
    assert "단계별 참값과 예측값" in render_results(results, "ko")


def test_few_rows_do_not_beat_a_baseline_by_an_interval_alone() -> None:
    rival = {
        "name": "ridge regression on lags",
        "metrics": {"mae": 1285.0},
        "difference": {"mae": {"value": -454.0, "interval": [-584.0, -324.0], "p": 0.0625,
                               "test": "permutation"}},
    }  # fmt: skip
    results = {"task": "tag", "metrics": {"mae": 831.0}, "baselines": [rival]}
    assert "within chance" in render_results(results)
    rival["difference"]["mae"]["p"] = 0.01  # type: ignore[index]
    assert "beats every baseline" in render_results(results)
