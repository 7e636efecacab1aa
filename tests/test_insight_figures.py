"""Figures and sections about what a network remembers: drawn for a page, and for paper."""

from __future__ import annotations

import io
import re
from typing import Any

import keras
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from sunhwan import insight, layers
from sunhwan.errors import UsageError
from sunhwan.runs import canvas
from sunhwan.runs.insight_page import render_insight
from sunhwan.runs.results_insight import sections, verdicts
from sunhwan.runs.wording import Words

RNG = np.random.default_rng(7)
X = RNG.standard_normal((4, 12, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> Any:
    keras.utils.set_random_seed(3)
    both = layers.Bidirectional(layers.LSTM(3), name="both")
    return keras.Sequential([keras.Input((12, 2)), both, keras.layers.Dense(2)])


def _colours(figure: Any) -> set[str]:
    """All colours of a figure, as it is written into SVG."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    return set(re.findall(r"#[0-9a-f]{6}", buffer.getvalue()))


def _drawn(model: Any) -> dict[str, Any]:
    [ahead, back] = insight.activity(model, X)
    return {
        "flow": insight.flow_figure(insight.gradient_flow(model, X)),
        "horizon": insight.horizon_figure(insight.memory_horizon(model, X)),
        "saturation": insight.saturation_figure([ahead, back]),
        "states": insight.states_figure(ahead, tokens=[f"t{n}" for n in range(12)]),
        "influence": insight.influence_figure(
            insight.integrated_gradients(model, X, directions=True)
        ),
    }


def test_figures_for_paper_have_colours_of_their_own(model):
    found = _drawn(model)
    on_page = {*canvas.SERIES, canvas.INK, canvas.MUTED, canvas.RULE, canvas.ACCENT}
    for name, figure in found.items():
        assert not _colours(figure) & on_page, name
        assert _colours(figure) & {canvas.ON_PAPER.accent, *canvas.ON_PAPER.series}, name
        FigureCanvasAgg(figure).print_png(io.BytesIO())
    assert len(found["states"].axes) == 6  # i f c o, h and c
    labels = [text.get_text() for text in found["states"].axes[-1].get_xticklabels()]
    assert labels == [f"t{n}" for n in range(12)]


def test_figures_of_what_is_not_there_are_refused(model):
    [seen, _] = insight.activity(model, X)
    with pytest.raises(UsageError, match="there are 4 rows, received number 4"):
        insight.states_figure(seen, 4)
    with pytest.raises(UsageError, match="expected at least one flow"):
        insight.flow_figure([])
    simple = keras.Sequential([keras.Input((12, 2)), layers.SimpleRNN(2)])
    with pytest.raises(UsageError, match="no layer has gates between 0 and 1"):
        insight.saturation_figure(insight.activity(simple, X))
    simple.set_weights([np.zeros((2, 2)), np.zeros((2, 2)), np.zeros(2)])
    with pytest.raises(UsageError, match="no input changes the answer"):
        insight.horizon_figure(insight.memory_horizon(simple, X))


def _texts(model: Any) -> dict[str, Any]:
    tokens = [[f"<{row}&{step}>" for step in range(12)] for row in range(4)]
    return insight.findings(
        model, X, untrained=model, tokens=tokens, predicted=["a", "b", "c", "d"], wanted=["a"] * 4
    )


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_page_has_all_its_sections_in_both_languages(model, lang):
    found = _texts(model) | {"rows": 4, "count": 9}
    words = Words(lang)
    page = render_insight(found, name="<mine>", drawing="<svg>drawn</svg>", lang=lang)
    for name in ("drawing", "flow", "horizon", "influence", "example", "gates"):
        assert f"<h2>{words(f'section.insight_{name}')}</h2>" in page, name
    assert "<h1>&lt;mine&gt;</h1>" in page
    assert "&lt;0&amp;3&gt;" in page
    assert "<0&3>" not in page
    assert "<svg>drawn</svg>" in page
    assert "script" not in page
    assert "mathdefault" not in page
    assert ">10⁻" in page or ">1</text>" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert f'lang="{lang}"' in page
    if lang == "ko":
        assert "기울기가" in page
        assert not re.search(r">[^<]*\b(the|gradient)\b[^<]*<", page)


def test_shares_of_words_are_those_that_were_found(model):
    found = _texts(model)
    first = found["influence"][0]
    told = insight.integrated_gradients(model, X)
    np.testing.assert_allclose(first["values"], told.values[0], rtol=1e-6)
    np.testing.assert_allclose(
        np.add(first["ahead"], first["back"]), first["values"], atol=1e-6, rtol=1e-5
    )
    assert first["predicted"] == "a"
    assert len(found["example"]["maps"]) == 2
    assert found["example"]["maps"][0]["steps"] == 12


def test_numbers_have_bars_and_a_network_with_one_step_has_nothing_to_carry():
    model = keras.Sequential([keras.Input((1, 2)), layers.GRU(3, name="once")])
    found = insight.findings(model, X[:, :1])
    [line] = verdicts(found, Words("en"))
    assert line == "once: it reads one step at a time, so there is nothing to carry."
    titles = [section.title for section in sections(found, Words("en"))]
    assert "How far the gradient reaches back" not in titles
    assert "Why this answer" in titles


def test_one_row_has_nothing_to_be_compared_with(model):
    assert "horizon" not in insight.findings(model, X[:1])


def test_verdicts_tell_factor_and_steps():
    flow = {"name": "m", "norms": [1.0] * 31, "rate": 0.5, "half_life": 1.0, "estimate": 0.4,
            "verdict": "vanishes"}  # fmt: skip
    [line] = verdicts({"flow": [flow]}, Words("en"))
    assert (
        "m: the gradient vanishes. Each step back leaves 0.5 of it, half is gone after 1 " in line
    )
    assert "over 30 steps" in line


def test_entries_for_other_rows_are_refused(model):
    with pytest.raises(UsageError, match="must have one entry for each row"):
        insight.findings(model, X, tokens=[["a"]] * 4, predicted=["a"])


def test_where_shares_do_not_add_up_steps_are_left_out_instead():
    keras.utils.set_random_seed(1)
    wild = keras.Sequential([keras.Input((40, 2)), layers.SimpleRNN(8), keras.layers.Dense(1)])
    kernel, recurrent, *rest = wild.get_weights()
    wild.set_weights([4 * kernel, 6 * recurrent, *rest])
    x = RNG.standard_normal((3, 40, 2)).astype(np.float32)
    found = insight.findings(wild, x)
    rough = [one for one in found["influence"] if one.get("by") == "occlusion"]
    assert rough
    assert all(one["gap"] > 0.01 for one in rough)
    told = insight.occlusion(wild, x)
    other = x.copy()
    other[0, 7] = 0
    fall = np.asarray(wild(x))[0, 0] - np.asarray(wild(other))[0, 0]
    assert told[0, 7] == pytest.approx(fall, abs=1e-4)
    assert any(np.allclose(one["values"], row) for one in rough for row in told)
    page = render_insight(found, name="wild")
    assert "which does not add up to anything" in page
