"""Layers as ONNX's operators, computed by ONNX Runtime, against the layers themselves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from sunhwan import layers
from sunhwan.errors import UsageError
from sunhwan.layers.pooling import Pooling
from sunhwan.tasks import exporting_onnx
from sunhwan.tasks.exporting_keras import stock_model
from sunhwan.tasks.exporting_onnx import onnx_model
from sunhwan.tasks.exporting_recurrent import operator

D, H = 3, 5
#: sums of at most 8 products a step over 7 steps, each rounded to 24 bits
CLOSE = {"rtol": 2e-5, "atol": 2e-6}
CELLS = {
    "simple": (layers.SimpleRNN, {}),
    "lstm": (layers.LSTM, {}),
    "gru": (layers.GRU, {"reset_after": True}),
    "gru before": (layers.GRU, {"reset_after": False}),
}
GATES = {"simple": "h", "lstm": "ifco", "gru": "zrh", "gru before": "zrh"}


def cell(name: str, **options: Any) -> Any:
    kind, own = CELLS[name]
    return kind(H, **own, **options)


def randomise(layer: Any, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.7, weight.shape))


def wrapped(layer: Any, initial: int = 0) -> Any:
    """A model of one layer over numbers with a mask, and of initial states where there are any."""
    numbers, mask = keras.Input((None, D), name="numbers"), keras.Input((None,), None, "bool")
    states = [keras.Input((H,), name=f"state_{n}") for n in range(initial)]
    options = {"initial_state": states} if states else {}
    model = keras.Model([numbers, mask, *states], layer(numbers, mask=mask, **options))
    randomise(model)
    return model


def drawn(model: Any, lengths: Sequence[int], steps: int, seed: int = 2) -> list[Any]:
    """Rows of unequal length; padding is anything but zero, as nobody may look at it."""
    rng = np.random.default_rng(seed)
    count = len(lengths)
    states = [rng.normal(size=(count, H)).astype("float32") for _ in model.inputs[2:]]
    x = rng.normal(size=(count, steps, D)).astype("float32")
    return [x, np.arange(steps) < np.array(lengths)[:, None], *states]


def by_onnx(model: Any, given: list[Any]) -> Any:
    alone = onnxruntime.SessionOptions()
    alone.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_model(model).SerializeToString(), alone)
    lengths = given[1].sum(axis=1).astype("int32")
    names = [entry.name for entry in session.get_inputs()]
    feed = dict(zip(names, [given[0], lengths, *given[2:]], strict=True))
    return session.run(None, feed)[0]


def assert_same(model: Any, lengths: Sequence[int] = (7, 2, 4), steps: int = 7) -> Any:
    given = drawn(model, lengths, steps)
    wanted = np.asarray(model(given))
    found = by_onnx(model, given)
    live = given[1] if wanted.ndim == 3 else ...
    assert found.shape == wanted.shape
    assert np.abs(wanted[live]).max() > 0.01
    np.testing.assert_allclose(found[live], wanted[live], **CLOSE)
    return found


@pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("name", CELLS)
def test_every_direction_of_every_cell_with_unequal_lengths(name: str, use_bias: bool) -> None:
    for options in ({}, {"return_sequences": True}, {"go_backwards": True}):
        assert_same(wrapped(cell(name, use_bias=use_bias, **options)))


@pytest.mark.parametrize("name", CELLS)
def test_both_directions_for_any_batch_and_length(name: str) -> None:
    for keeps_steps in (False, True):
        inner = cell(name, return_sequences=keeps_steps)
        model = wrapped(layers.Bidirectional(inner))
        assert_same(model, (4, 1, 3), 6)  # also where no row is as long as the batch
        assert_same(model, (9,), 9)
        assert_same(model, (1, 1, 1, 1), 1)


@pytest.mark.parametrize("name", ["simple", "lstm", "gru"])
def test_initial_states(name: str) -> None:
    each = 2 if name == "lstm" else 1
    assert_same(wrapped(cell(name), initial=each))
    both = layers.Bidirectional(cell(name, return_sequences=True))
    assert_same(wrapped(both, initial=2 * each))


def with_one_gate(name: str, gate: str) -> Any:
    """A layer whose one gate has random weights; a bias of 1 holds the others open."""
    model = wrapped(cell(name), initial=2 if name == "lstm" else 1)
    rng, place = np.random.default_rng(3), GATES[name].index(gate) * H
    for weight in model.weights:
        values = np.full(weight.shape, float("bias" in weight.path))
        values[..., place : place + H] = rng.normal(size=(*weight.shape[:-1], H))
        weight.assign(values)
    return model


@pytest.mark.parametrize("name", CELLS)
def test_each_gate_is_where_it_belongs(name: str) -> None:
    answers = [assert_same(with_one_gate(name, gate)) for gate in GATES[name]]
    for number, answer in enumerate(answers):
        # were two gates mixed up, they would give the same
        assert all(np.abs(answer - other).max() > 1e-3 for other in answers[:number])


@pytest.mark.parametrize("name", ["linear", "tanh", "sigmoid", "relu", "hard_sigmoid"])
def test_activations(name: str) -> None:
    for one, other in ((name, "tanh"), ("hard_sigmoid", name)):
        options = {"recurrent_activation": one, "activation": other}
        assert_same(wrapped(layers.Bidirectional(cell("lstm", **options))), (2, 1, 2), 2)
        assert_same(wrapped(cell("gru", **options)), (2, 1, 2), 2)


def test_a_bias_is_added_once() -> None:
    layer = cell("lstm")
    layer.build((None, None, D))
    layer.cell.bias.assign(np.arange(4 * H))
    found = operator([layer]).weights[2].reshape(2, 4, H)
    np.testing.assert_array_equal(found[0, :, 0], [0, 3 * H, H, 2 * H])  # i o f c
    assert not found[1].any()


@pytest.mark.parametrize("mode", ["mean", "max", "attention"])
def test_pooling_and_its_stock_form_with_a_mask(mode: str) -> None:
    numbers, mask = keras.Input((None, D), name="numbers"), keras.Input((None,), None, "bool")
    model = keras.Model([numbers, mask], Pooling(mode)(numbers, mask=mask))
    randomise(model)
    assert_same(model, (7, 2, 4))
    given = drawn(model, (7, 2, 4), 7)
    stock = stock_model(model)
    np.testing.assert_allclose(np.asarray(stock(given)), np.asarray(model(given)), **CLOSE)
    empty = drawn(model, (2, 0), 3)
    assert not by_onnx(model, empty)[1].any()
    assert not np.asarray(stock(empty))[1].any()


def test_a_graph_says_what_made_it_and_has_free_axes() -> None:
    proto = onnx_model(wrapped(layers.LSTM(H, return_sequences=True, name="said")))
    assert (proto.producer_name, proto.opset_import[0].version) == ("sunhwan", 18)
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in [*proto.graph.input, *proto.graph.output]
    }
    assert shapes == {
        "numbers": ["batch", "time", D], "lengths": ["batch"], "said": ["batch", "time", H],
    }  # fmt: skip
    used = {name for node in proto.graph.node for name in node.input}
    assert {constant.name for constant in proto.graph.initializer} <= used


def test_equal_models_give_equal_bytes() -> None:
    one, other = (onnx_model(wrapped(layers.GRU(H, name="gru"))) for _ in range(2))
    assert one.SerializeToString() == other.SerializeToString()


def nested() -> Any:
    inner = keras.Input((None, D))
    return keras.Model(inner, layers.GRU(H)(inner), name="inner")


class Doubled(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cell("lstm", activation="gelu"), "has activation=gelu, and only tanh, sigmoid"),
        (lambda: cell("gru", go_backwards=True, return_sequences=True), "from last to first"),
        (lambda: cell("gru", return_state=True), "has return_state=True"),
        (lambda: cell("gru", zoneout=0.2), "has zoneout=0.2, which is not exported to ONNX"),
        (lambda: layers.LSTM(H, use_peephole=True), "has use_peephole=True, which is not"),
        (lambda: cell("gru", use_layer_norm=True), "has use_layer_norm=True, which is not"),
        (lambda: layers.GRU(H, return_state_sequences=True), "has return_state_sequences=True"),
        (lambda: layers.LSTM(H, projection_units=2), "has projection_units=2, which is not exp"),
        (lambda: cell("gru", dtype="mixed_float16"), "must be in float32, received float16"),
        (lambda: layers.Bidirectional(cell("gru"), merge_mode="sum"), "merge_mode='sum'"),
        (
            lambda: layers.Bidirectional(cell("gru"), backward_layer=cell("gru before",
                                         go_backwards=True)),
            "have different cells",
        ),
        (lambda: keras.layers.RNN(keras.layers.GRUCell(H)), "(RNN) is not exported to ONNX"),
        (
            lambda: layers.Bidirectional(keras.layers.RNN(keras.layers.StackedRNNCells(
                [keras.layers.GRUCell(H)]))),
            "has no operator in ONNX",
        ),
        (lambda: keras.layers.TimeDistributed(keras.layers.Dense(2)), "(TimeDistributed) is not"),
        (nested, "layer `inner` (Functional) is not exported"),
        (Doubled, "(Doubled) is not exported"),
        (lambda: keras.layers.Dense(2, activation="gelu"), "has activation=gelu"),
        (lambda: keras.layers.Lambda(lambda x: x[:, 0], output_shape=(D,)), "(Lambda) is not"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_onnx_cannot_say_is_refused(make: Any, message: str) -> None:
    numbers = keras.Input((None, D))
    answer = make()(numbers)
    model = keras.Model(numbers, answer[0] if isinstance(answer, list) else answer)
    with pytest.raises(UsageError) as caught:
        onnx_model(model)
    assert message in caught.value.message


def test_other_masks_and_slices_are_refused() -> None:
    ids = keras.Input((None,), dtype="int32", name="ids")
    rows = layers.Embedding(9, D)(ids)
    model = keras.Model(ids, layers.GRU(H)(rows, mask=keras.ops.not_equal(ids, 3)))
    with pytest.raises(UsageError, match="only ids != 0 is"):
        onnx_model(model)
    with pytest.raises(UsageError, match=r"only \[..., n\] is exported"):
        onnx_model(keras.Model(ids, layers.GRU(H)(rows[:, 1:])))


def test_too_many_weights_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting_onnx, "_MOST_BYTES", 300)
    with pytest.raises(UsageError, match=r"the weights have 308 bytes, .* holds 300 at most"):
        onnx_model(wrapped(layers.SimpleRNN(7)))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'sunhwan\[onnx\]'"):
        exporting_onnx.require_onnx()
    monkeypatch.undo()
    exporting_onnx.require_onnx()
    assert onnx is sys.modules["onnx"]
