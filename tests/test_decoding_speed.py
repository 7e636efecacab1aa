"""Writing beside the tutorials' ways: the same letters, and what is kept of the times."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sunhwan.cli import app
from sunhwan.errors import TrainingError, UsageError
from sunhwan.tasks import decoding_speed
from sunhwan.tasks.decoding_peers import StockTranslator
from sunhwan.tasks.decoding_speed import CASES, SIDES, Decoding, prepare
from sunhwan.tasks.options import make
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_learner import TranslateLearner
from sunhwan.tasks.translate_parts import Pairs

command = import_module("sunhwan.cli.bench")
SMALL = {case.name: replace(case, units=12) for case in CASES}


@pytest.mark.parametrize("name", ["write-letters", "seq2seq-64", "attention-1"])
def test_all_sides_write_the_same(name: str) -> None:
    case = replace(SMALL[name], count=24, at_once=min(SMALL[name].at_once, 5))
    written = {}
    for side in SIDES:
        write, (paths, seconds) = prepare(case, side)
        texts, taken = write(24 if case.attention is None else 7)
        written[side] = texts
        assert (len(paths) > 0) == (side == "sunhwan")
        assert seconds > 0
        assert taken > 0
    assert written["sunhwan"] == written["whole"] == written["states"]
    if case.attention is None:
        assert [len(text) for text in written["whole"]] == [24]
    else:
        assert len(written["whole"]) == 7
        # some end early, and none is empty
        assert len({len(text) for text in written["whole"]}) > 1
    # no single letter over and over, which would hide a mistake
    assert len(set("".join(written["whole"]))) > 5


def test_what_is_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        decoding_speed, "CASES", [replace(SMALL["write-letters"], count=30, seldom=3)]
    )
    path = tmp_path / "figures.json"
    options = ["--models", "write-letters", "--rounds", "3", "--steps", "20"]
    result = CliRunner().invoke(app, ["bench", *options, "--json", str(path)])
    assert result.exit_code == 0, result.stderr
    record = json.loads(path.read_text("utf-8"))
    assert record["command"] == "sunhwan bench " + " ".join(options)
    [found] = record["models"]
    assert found["count_per_round"] == {"sunhwan": 20, "whole": 3, "states": 20}
    assert found["same_letters"] == {"whole": 20, "states": 20}
    rates = found["letters_per_second"]
    assert list(rates) == list(SIDES)
    for side in SIDES:
        assert len(rates[side]["rounds"]) == 3
        assert rates[side]["median"] == sorted(rates[side]["rounds"])[1] > 0
        assert found["seconds_of_first_call"][side] > 0
    for way in ("whole", "states"):
        ratio = rates["sunhwan"]["median"] / rates[way]["median"]
        assert found["ratio"][way] == pytest.approx(ratio, rel=0.02)
    [shown] = [line for line in result.stdout.splitlines() if line.startswith("write-")]
    assert float(shown.split()[-1]) == pytest.approx(found["ratio"]["states"], abs=0.06)


def test_other_letters_are_an_error() -> None:
    case = SMALL["attention-1"]
    assert decoding_speed._compare(case, "whole", ["ab", "c"], ["ab"]) == 2
    for texts in (["a"], ["abc"], [""], ["ab", "x"]):
        with pytest.raises(TrainingError, match="all sides must write the same, but `whole` wrote"):
            decoding_speed._compare(case, "whole", ["ab", "c"], texts)
    # a language model may have written less
    assert decoding_speed._compare(SMALL["write-letters"], "whole", ["abc"], ["ab"]) == 2


def test_the_ratio_is_of_medians() -> None:
    rates = {"sunhwan": [90.0, 10.0, 80.0], "whole": [4.0, 2.0, 3.0], "states": [40.0]}
    found = Decoding("x", {}, rates, dict.fromkeys(SIDES, 1.0), {}, [])
    assert found.ratio("whole") == pytest.approx(80 / 3)
    assert found.ratio("states") == 2.0
    assert found.quartiles("whole") == (2.5, 3.0, 3.5)


def test_names_of_both_kinds_are_known() -> None:
    training, writing = command._choose(["all"])
    assert [case.name for case in writing] == [case.name for case in CASES]
    assert len(training) == 5
    with pytest.raises(UsageError, match="no model called `seq2seq`") as caught:
        command._choose(["seq2seq"])
    assert "did you mean `seq2seq-1`?" in str(caught.value)


def test_only_what_keras_has_too_is_rebuilt() -> None:
    pairs = Pairs(["ab", "cb"], ["A", "B"], [])
    learner = TranslateLearner(make(TranslateConfig, {"cell": "gru", "units": 4}))
    learner.prepare(pairs)
    with pytest.raises(UsageError, match="one layer of LSTM"):
        StockTranslator(learner.model)
    learner = TranslateLearner(make(TranslateConfig, {"units": 4, "attention": "additive"}))
    learner.prepare(pairs)
    with pytest.raises(UsageError, match=r"multiplicative attention, .* received additive"):
        StockTranslator(learner.model)
    learner = TranslateLearner(make(TranslateConfig, {"units": 4, "attention": "multiplicative"}))
    learner.prepare(pairs)
    stock = StockTranslator(learner.model)
    sources, end = np.array([[2, 3, 0], [2, 2, 3]], np.int32), learner.end
    assert stock.write("whole", sources, end, 4) == stock.write("states", sources, end, 4)
