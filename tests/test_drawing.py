"""The drawing of a model: what it tells, what it counts, where its arrows go, what it refuses."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from keras import Input, Sequential
from keras.layers import Dense

from drawing_models import MODELS, network
from sunhwan.errors import UsageError
from sunhwan.insight.drawing import Drawing, draw
from sunhwan.layers import GRU, LSTM, Bidirectional

SVG = "{http://www.w3.org/2000/svg}"


class Box(NamedTuple):
    part: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def x(self) -> float:
        return (self.left + self.right) / 2


class Arrow(NamedTuple):
    """From its first point by the next one to the tip of its head."""

    part: str
    start: tuple[float, float]
    turn: tuple[float, float]
    tip: tuple[float, float]


class Seen:
    """What stands in a drawing, read from its XML."""

    def __init__(self, drawing: Drawing) -> None:
        self.root = ElementTree.fromstring(drawing.svg)
        self.texts = ["".join(one.itertext()) for one in self.root.iter(f"{SVG}text")]
        self.boxes = [
            _box(one) for one in self.root.iter(f"{SVG}rect") if "data-part" in one.attrib
        ]
        self.arrows = []
        paths = list(self.root.iter(f"{SVG}path"))
        for line, head in zip(paths[::2], paths[1::2], strict=True):
            start, turn, *_ = _points(line)
            self.arrows.append(Arrow(line.attrib["data-part"], start, turn, _points(head)[0]))

    def parts(self, part: str) -> list[Box]:
        return [one for one in self.boxes if one.part == part]

    def ways(self, part: str) -> list[float]:
        """How far each arrow of a part goes to the right."""
        return [one.tip[0] - one.start[0] for one in self.arrows if one.part == part]


def _box(element: Any) -> Box:
    x, y, width, height = (float(element.attrib[name]) for name in ("x", "y", "width", "height"))
    return Box(element.attrib["data-part"], x, y, x + width, y + height)


def _points(path: Any) -> list[tuple[float, float]]:
    numbers = [float(one) for one in re.findall(r"-?[\d.]+", path.attrib["d"])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


@pytest.fixture(scope="module", autouse=True)
def blank_weights():
    """Weights of zeros: none is looked at, and random ones are compiled for every new shape."""
    kinds = (keras.initializers.VarianceScaling, keras.initializers.Orthogonal,
             keras.initializers.RandomUniform)  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds:
            patch.setattr(
                kind, "__call__", lambda _, shape, dtype=None, **__: np.zeros(shape, dtype)
            )
        yield


@pytest.fixture(scope="module")
def drawn(blank_weights) -> dict[str, tuple[Any, Drawing]]:
    built = {name: build() for name, (build, _) in MODELS.items()}
    return {name: (model, draw(model)) for name, model in built.items()}


@pytest.mark.parametrize("name", MODELS)
def test_the_structure_is_named(drawn, name):
    _, drawing = drawn[name]
    assert drawing.structure == MODELS[name][1]
    assert Seen(drawing).texts[0] == drawing.structure


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_told_once(drawn, name):
    model, drawing = drawn[name]
    texts = Seen(drawing).texts
    *rows, total = [one for one in texts if re.search(r"[\d,]+ parameters", one)]
    numbers = [int(re.findall(r"([\d,]+) parameters", one)[0].replace(",", "")) for one in rows]
    assert sum(numbers) == model.count_params()
    assert total.startswith(f"{model.count_params():,} parameters in all")


@pytest.mark.parametrize("name", MODELS)
def test_boxes_do_not_touch_and_arrows_end_at_them(drawn, name):
    seen = Seen(drawn[name][1])
    for one, other in combinations(seen.boxes, 2):
        apart = min(one.right, other.right) <= max(one.left, other.left)
        assert apart or min(one.bottom, other.bottom) <= max(one.top, other.top), (one, other)
    for arrow in seen.arrows:
        if arrow.part == "leaves" or (arrow.part == "state" and _is_at_dots(seen, arrow)):
            continue
        assert any(_touches(box, *arrow.tip) for box in seen.boxes), arrow
        assert arrow.part != "round" or arrow.turn[0] > arrow.start[0], arrow


def _touches(box: Box, x: float, y: float) -> bool:
    """True if a point lies on the edge of a box, numbers being rounded to a tenth."""
    is_inside = box.left - 0.2 <= x <= box.right + 0.2 and box.top - 0.2 <= y <= box.bottom + 0.2
    gaps = x - box.left, box.right - x, y - box.top, box.bottom - y
    return is_inside and min(map(abs, gaps)) <= 0.2


def _is_at_dots(seen: Seen, arrow: Arrow) -> bool:
    """True if the state goes into the steps that are left out: the box it comes from is one."""
    return any(_touches(box, *arrow.start) for box in seen.parts("cell"))


@pytest.mark.parametrize("name", MODELS)
def test_all_of_it_is_within_the_picture(drawn, name):
    seen = Seen(drawn[name][1])
    *_, width, height = map(float, seen.root.attrib["viewBox"].split())
    for box in seen.boxes:
        assert box.left > 0
        assert box.right < width
        assert box.top > 0
        assert box.bottom < height
    for arrow in seen.arrows:
        for x, y in (arrow.start, arrow.tip):
            assert 0 < x < width
            assert 0 < y < height
    for text in seen.root.iter(f"{SVG}text"):
        assert 0 < float(text.attrib["x"]) < width
        assert 0 < float(text.attrib["y"]) < height


@pytest.mark.parametrize(("length", "steps", "cells"), [
    (3, None, 3), (6, None, 6), (7, None, 4), (500, None, 4), (None, None, 4),
    (500, 2, 2), (None, 9, 9), (7, 9, 7), (5, 3, 3),
])  # fmt: skip
def test_a_cell_for_each_step(length, steps, cells):
    layers = [Bidirectional(LSTM(2, return_sequences=True)), LSTM(2), Dense(1)]
    seen = Seen(draw(Sequential([Input((length, 3)), *layers]), steps=steps))
    assert len(seen.parts("cell")) == 3 * cells
    assert len(seen.parts("merge")) == cells
    assert len(seen.parts("input")) == cells
    assert len(seen.parts("output")) == 1
    last = "T" if length is None else str(length)
    assert f"x{last}" in seen.texts
    assert ("…" in seen.texts) == (cells != length)


def test_states_go_from_left_to_right(drawn):
    ways = Seen(drawn["reviews"][1]).ways("state")
    # h and c from each of four cells to the next, through the dots
    assert len(ways) == 2 * 4
    assert min(ways) > 0


def test_two_directions_go_both_ways(drawn):
    ways = Seen(drawn["tagger"][1]).ways("state")
    assert [way > 0 for way in ways] == [True] * 4 + [False] * 4


def test_what_reads_backwards_goes_to_the_left_and_turns_its_steps_round(drawn):
    seen = Seen(drawn["backwards"][1])
    # the second layer reads first what the first one read last
    assert max(seen.ways("state")) < 0
    order = [one for one in seen.texts if re.fullmatch(r"y\d", one)]
    assert order == ["y7", "y6", "y5", "y1"]


def test_indices_that_are_not_known_count_from_the_end():
    layers = [GRU(2, go_backwards=True, return_sequences=True)]
    texts = Seen(draw(Sequential([Input((None, 3)), *layers]))).texts
    assert [one for one in texts if one.startswith("y")] == ["yT", "yT−1", "yT−2", "y1"]


@pytest.mark.parametrize(("go_backwards", "place"), [(False, -1), (True, 0)])
def test_one_arrow_leaves_the_step_that_was_read_last(go_backwards, place):
    layers = [GRU(2, go_backwards=go_backwards), Dense(1)]
    seen = Seen(draw(Sequential([Input((3, 2)), *layers])))
    [dense] = seen.parts("box")
    cells = seen.parts("cell")
    [up] = [arrow for arrow in seen.arrows if arrow.start[1] == cells[0].top]
    assert len(cells) == 3
    assert up.tip == pytest.approx((cells[place].x, dense.bottom), abs=0.11)
    assert dense.x == pytest.approx(cells[place].x, abs=0.11)


def test_a_decoder_begins_with_the_states_of_its_encoder(drawn):
    seen = Seen(drawn["encoder and decoder"][1])
    [begins] = [one for one in seen.arrows if one.part == "begins"]
    cells = sorted(seen.parts("cell"))
    half = len(cells) // 2
    assert _touches(cells[half - 1], *begins.start)
    assert _touches(cells[half], *begins.tip)
    assert "h, c" in seen.texts
    assert {"xS", "x′T", "yT"} <= set(seen.texts)


def test_what_states_go_through_is_told(drawn):
    seen = Seen(drawn["from an image"][1])
    assert len(seen.parts("bridge")) == 1
    assert {"begins with Dense 32", f"({512 * 32 + 32:,} parameters)"} <= set(seen.texts)


def test_states_that_come_from_outside_or_go_there(drawn):
    stateful = Seen(drawn["stateful"][1])
    assert "goes on from the batch before" in stateful.texts
    assert len(stateful.ways("enters")) == 1
    assert stateful.ways("leaves") == []
    language = Seen(drawn["a language"][1])
    assert "begins with h_1, c_1" in language.texts
    assert len(language.ways("enters")) == len(language.ways("leaves")) == 2 * 2


def test_layers_that_are_called_twice_are_told_once(drawn):
    texts = Seen(drawn["twins"][1]).texts
    assert sum("shared weights" in one for one in texts) == 2


def test_masks_are_told_and_not_drawn(drawn):
    seen = Seen(drawn["numbers"][1])
    assert "with mask bool[B, T]" in seen.texts
    assert not any("NotEqual" in one for one in Seen(drawn["classes"][1]).texts)


def test_columns_that_are_treated_alike_are_one_row(drawn):
    assert "3 × Embedding" in " ".join(Seen(drawn["tags of columns"][1]).texts)


def test_names_may_hold_anything():
    layers = [GRU(4, name='<&">\x07순환'), Dense(2, name="'답'")]
    model = Sequential([Input((4, 3), name="입력"), *layers], name="<모형 & 'co'>")
    drawing = draw(model, language="ko")
    seen = Seen(drawing)
    assert '<&">·순환 · GRU 4' in seen.texts
    assert "입력 · 입력" in seen.texts
    assert seen.root.attrib["aria-label"].startswith("<모형 & 'co'>, ")


def test_korean(drawn):
    for name, word in (("reviews", "다대일"), ("letters", "다대다"), ("from one", "일대다"),
                       ("a single step", "일대일")):  # fmt: skip
        model, english = drawn[name]
        korean = draw(model, language="ko")
        texts = Seen(korean).texts
        assert texts[0] == word
        assert korean.structure == english.structure
        assert f"모두 매개변수 {model.count_params():,}개" in texts[-1]


def test_a_page_may_hold_many(drawn):
    for _, drawing in drawn.values():
        assert " id=" not in drawing.svg
        assert "url(" not in drawing.svg
        root = ElementTree.fromstring(drawing.svg)
        assert root.attrib["role"] == "img"
        assert root[0].tag == f"{SVG}title"
        assert root[0].text
        assert root[1].tag == f"{SVG}desc"
        assert root[1].text
        assert "var(--ink" in drawing.svg
        assert "<style" not in drawing.svg


def test_the_same_model_gives_the_same_bytes(drawn):
    for model, drawing in drawn.values():
        assert draw(model).svg == drawing.svg == drawing._repr_svg_()
    model, _ = drawn["reviews"]
    again = keras.models.clone_model(model)
    assert draw(again) == draw(model)


def _unbuilt() -> Any:
    return Sequential([LSTM(3), Dense(1)])


class InCode(keras.Model):
    """A model that has no graph."""

    def __init__(self) -> None:
        super().__init__(name="in_code")
        self.lstm = LSTM(3)

    def call(self, x: Any) -> Any:
        return self.lstm(x)


@pytest.mark.parametrize(("build", "said"), [
    (lambda: LSTM(3), "must be a Keras model, received LSTM"),
    (lambda: "runs/reviews", "must be a Keras model, received str"),
    (_unbuilt, "is not built"),
    (InCode, r"`in_code` \(InCode\) says in its `call` alone"),
    (lambda: Sequential([Input((3,)), Dense(1)], name="plain"), "`plain` has no recurrent layer"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused(build, said):
    with pytest.raises(UsageError, match=said) as refused:
        draw(build())
    assert refused.value.hint


@pytest.mark.parametrize("steps", [0, 1, 41, -3, 2.0, True, "4"])
def test_steps_out_of_range_are_refused(drawn, steps):
    with pytest.raises(UsageError, match="`steps` must be a whole number from 2 to 40"):
        draw(drawn["reviews"][0], steps=steps)


def test_languages_that_nobody_wrote_are_refused(drawn):
    with pytest.raises(UsageError, match="`language` must be one of en, ko, received 'de'"):
        draw(drawn["reviews"][0], language="de")


def test_saving(drawn, tmp_path):
    _, drawing = drawn["reviews"]
    path = drawing.save(tmp_path / "new" / "model.SVG")
    assert path.read_text("utf-8") == drawing.svg
    for name in ("model.png", "model"):
        with pytest.raises(UsageError, match=r"must end in \.svg") as refused:
            drawing.save(tmp_path / name)
        assert "model.svg" in (refused.value.hint or "")
    assert [one.name for one in tmp_path.iterdir()] == ["new"]
    assert [one.name for one in path.parent.iterdir()] == ["model.SVG"]


def test_a_deep_network_is_drawn_in_full():
    seen = Seen(draw(network(num_layers=16, bidirectional=True, pooling="mean")))
    assert len(seen.parts("cell")) == 16 * 2 * 4
