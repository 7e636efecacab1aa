"""`sunhwan.stream`: a model's steps against its `predict`, what is refused, and what they cost."""

from __future__ import annotations

import ctypes
import functools
import re
import tracemalloc
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

import subprocesses
import sunhwan
from sunhwan import layers
from sunhwan.engine import native
from sunhwan.errors import KernelError, UsageError
from sunhwan.layers.id_dropout import IdDropout

pytestmark = pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
K = keras.layers
_RNG = np.random.default_rng(7)
#: two ways to sum a few dozen products of numbers around 1, and what later layers make of it
_CLOSE = {"rtol": 0, "atol": 2e-6}


def normal(*shape: int) -> NDArray[np.float32]:
    return _RNG.standard_normal(shape, "float32")


@pytest.fixture(autouse=True)
def _drawn_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every weight random, biases and statistics too, without a compilation for each shape."""

    def drawn(_: Any, shape: Any, dtype: Any = None, **__: Any) -> NDArray[np.float32]:
        return normal(*shape) * np.float32(0.3)

    def positive(_: Any, shape: Any, dtype: Any = None, **__: Any) -> NDArray[np.float32]:
        return np.abs(normal(*shape)) + np.float32(0.2)

    for kind in ("VarianceScaling", "RandomUniform", "Orthogonal", "Zeros"):
        monkeypatch.setattr(getattr(keras.initializers, kind), "__call__", drawn)
    monkeypatch.setattr(keras.initializers.Ones, "__call__", positive)


def chain(*parts: Any) -> Any:
    return keras.Sequential(parts)


def answers(model: Any, x: NDArray[Any]) -> NDArray[np.float32]:
    """What `predict` gives, without the time to compile it for each shape."""
    return np.asarray(model(x, training=False))


IDS = (None,)
#: models that can be streamed, with the shape of what they read
MODELS: dict[str, tuple[tuple[int | None, ...], list[Any]]] = {
    "film reviews": (IDS, [layers.Embedding(40, 6), layers.LSTM(5), K.Dense(1, "sigmoid")]),
    "newswires": (
        IDS,
        [
            layers.Embedding(40, 6),
            layers.GRU(17, return_sequences=True),
            layers.GRU(9),
            K.Dense(7, "softmax"),
        ],
    ),
    "products": ((8, 2), [layers.LSTM(5, return_sequences=True), layers.LSTM(3), K.Dense(1)]),
    "letters": (
        IDS,
        [K.Embedding(40, 6), K.SpatialDropout1D(0.3), layers.LSTM(5, return_sequences=True),
         K.TimeDistributed(K.Dropout(0.4)), K.TimeDistributed(K.Dense(4, "tanh")),
         K.Dense(40), K.Softmax()],
    ),
    "stock": (
        (None, 3),
        [K.SimpleRNN(4, return_sequences=True, dropout=0.2), K.LSTM(7, return_sequences=True),
         K.GRU(5, reset_after=False, recurrent_dropout=0.2)],
    ),
    "normalized": (
        (None, 3),
        [K.BatchNormalization(), K.GaussianNoise(0.5), layers.GRU(6, return_sequences=True),
         K.LayerNormalization(), K.Dense(5, use_bias=False), K.ReLU(),
         layers.SimpleRNN(4, "relu"), K.BatchNormalization(scale=False), K.Dropout(0.5),
         K.LayerNormalization(center=False, epsilon=0.1), K.Activation("hard_sigmoid")],
    ),
}  # fmt: skip


def inputs(model: Any, B: int, T: int) -> NDArray[Any]:
    shape = model.inputs[0].shape
    return _RNG.integers(1, 40, (B, T)) if len(shape) == 2 else normal(B, T, shape[-1])


@pytest.mark.parametrize("name", MODELS)
def test_a_step_gives_what_predict_gives_of_all_steps_so_far(name: str) -> None:
    shape, parts = MODELS[name]
    model = chain(keras.Input(shape), *parts)
    x = inputs(model, 3, 8)
    got = sunhwan.stream(model, batch_size=3).run(x)
    want = answers(model, x)
    np.testing.assert_allclose(got if want.ndim == 3 else got[:, -1], want, **_CLOSE)
    if want.ndim == 2 and shape[0] is None:  # each prefix has an answer of its own
        np.testing.assert_allclose(got[:, 2], answers(model, x[:, :3]), **_CLOSE)
    alone = sunhwan.stream(model)
    for row in range(3):
        np.testing.assert_array_equal(alone.run(x[row]), got[row])
        alone.reset()


def test_recurrent_layers_alone_have_the_bits_of_predict() -> None:
    model = chain(
        keras.Input((None, 3)),
        layers.LSTM(17, return_sequences=True),
        layers.GRU(33, return_sequences=True),
        layers.SimpleRNN(5, return_sequences=True, zoneout=0.3),
        layers.LSTM(7, return_sequences=True, zoneout=(0.1, 0.4), use_peephole=True),
    )
    x = normal(1, 20, 3)
    want = model.predict(x, verbose=0)[0]
    np.testing.assert_array_equal(sunhwan.stream(model).run(x[0]), want)


#: layers behind a table with mask_zero=True
MASKED: dict[str, list[Any]] = {
    "all steps": [layers.LSTM(5, return_sequences=True), K.Dense(3, "tanh"),
                  layers.GRU(4, return_sequences=True), K.TimeDistributed(K.Dense(2))],
    "zeros": [layers.GRU(5, return_sequences=True, zero_output_for_mask=True),
              layers.LSTM(4, zero_output_for_mask=True), K.Dense(3), K.Softmax()],
    "stock": [K.GRU(5, return_sequences=True, zero_output_for_mask=True),
              K.LSTM(4, zero_output_for_mask=True)],
    "stock, held": [K.LSTM(5, return_sequences=True), K.SimpleRNN(4)],
}  # fmt: skip


@pytest.mark.parametrize("is_functional", [False, True])
@pytest.mark.parametrize("name", MASKED)
def test_masked_steps(name: str, is_functional: bool) -> None:
    model = chain(keras.Input(IDS), K.Embedding(9, 4, mask_zero=True), *MASKED[name])
    if is_functional:
        x = given = keras.Input(IDS)
        for layer in model.layers:
            x = layer(x)
        model = keras.Model(given, x)
    ids = _RNG.integers(1, 9, (3, 7))
    ids[0, :2] = ids[1, 3:5] = ids[2, 5:] = 0
    got, want = sunhwan.stream(model, batch_size=3).run(ids), answers(model, ids)
    np.testing.assert_allclose(got if want.ndim == 3 else got[:, -1], want, **_CLOSE)


def test_masking() -> None:
    model = chain(keras.Input((None, 2)), K.Masking(-1.0), layers.LSTM(5), K.Dense(3))
    x = normal(2, 6, 2)
    x[0, 4:] = x[1, :2] = -1
    x[1, 3, 0] = -1
    got = sunhwan.stream(model, batch_size=2).run(x)[:, -1]
    np.testing.assert_allclose(got, answers(model, x), **_CLOSE)
    given = keras.Input((None, 2))
    same = keras.Model(given, model.layers[2](model.layers[1](model.layers[0](given))))
    np.testing.assert_array_equal(sunhwan.stream(same, batch_size=2).run(x)[:, -1], got)


def test_models_in_models_and_layers_that_return_their_states() -> None:
    inner = chain(keras.Input((None, 4)), K.Dense(5, "relu"), layers.GRU(3))
    given = keras.Input(IDS, dtype="int32")
    x, *_ = layers.LSTM(6, return_sequences=True, return_state=True)(
        K.Embedding(40, 3)(IdDropout(0.5)(given))
    )
    model = keras.Model(given, inner(K.Dense(4)(x)))
    ids = inputs(model, 1, 5)
    stream = sunhwan.stream(model)
    np.testing.assert_allclose(stream.run(ids[0])[-1], answers(model, ids)[0], **_CLOSE)
    assert [state.shape for state in stream.state] == [(1, 6), (1, 6), (1, 3)]
    assert re.fullmatch(
        rf"Stream\(batch_size=1, fused {native.active_isa()}: embedding\w* \(Embedding\) → "
        r"lstm\w* \(LSTM\) → .* → gru\w* \(GRU\)\)",
        repr(stream),
    )


@pytest.mark.parametrize(
    "make", [lambda: layers.Embedding(5, 3), lambda: K.LSTM(4), lambda: K.Dense(2)]
)
def test_a_single_layer(make: Any) -> None:
    layer = make()
    x = np.array([[1, 4, 2]]) if isinstance(layer, K.Embedding) else normal(1, 3, 6)
    want = np.asarray(layer(x))[0]
    got = sunhwan.stream(layer).run(x[0])
    np.testing.assert_allclose(got if want.ndim == 2 else got[-1], want, **_CLOSE)


def test_weights_are_copied_and_a_stateful_layer_is_left_alone() -> None:
    layer = layers.GRU(4, stateful=True)
    model = chain(keras.Input(batch_shape=(1, 3, 2)), layer, K.Dense(2))
    x = normal(1, 3, 2)
    want = answers(model, x)
    stream = sunhwan.stream(model)
    held = np.asarray(layer.states[0])
    assert held.any()
    for weight in model.trainable_weights:
        weight.assign(weight * 0)
    np.testing.assert_allclose(stream.run(x[0])[-1], want[0], **_CLOSE)
    np.testing.assert_array_equal(layer.states[0], held)


class Scaled(K.Dense):
    """A layer of somebody else's."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return 2 * super().call(inputs, training)


class Own(keras.Model):
    """A model of somebody else's."""

    def call(self, inputs: Any) -> Any:
        return inputs


def functional(make: Any, *shape: int | None) -> Any:
    given = keras.Input(shape or (None, 3))
    return keras.Model(given, make(given))


def two_inputs() -> Any:
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    return keras.Model([a, b], K.Add()([a, b]))


def shortcut(x: Any) -> Any:
    return K.Add()([x, layers.GRU(3, return_sequences=True)(x)])


def quantized() -> Any:
    model = functional(K.Dense(4, name="answer"))
    model.get_layer("answer").quantize("int8")
    return model


def inner_mask() -> Any:
    table = keras.Sequential([keras.Input((None,)), K.Embedding(5, 3, mask_zero=True)], name="in")
    return keras.Sequential([keras.Input((None,)), table, layers.LSTM(2)])


def own_mask(x: Any) -> Any:
    return layers.GRU(2)(x, mask=keras.ops.any(x != 1.5, axis=-1))


def own_state(x: Any) -> Any:
    return layers.GRU(3)(x, initial_state=keras.ops.zeros((1, 3)))


def half(x: Any) -> Any:
    return K.Dense(2, dtype="mixed_bfloat16", name="h")(x)


_STEPS = "must read steps (batch, time, features), its input has shape"
#: what a model does with its input, and what is said of it
PARTS: dict[str, tuple[Any, str]] = {
    "both ways": (layers.Bidirectional(layers.GRU(2)), "reads the sequence from its end, too"),
    "backwards": (layers.GRU(2, go_backwards=True, name="g"), "layer `g` (GRU) cannot be run "
                  "step by step: go_backwards=True reads the sequence from its end"),
    "activation": (layers.LSTM(2, activation="gelu"), "activation=gelu has no kernel"),
    "dense": (K.Dense(2, "gelu", name="d"), "`d` (Dense) cannot be run step by step: activation="),
    "pooling": (K.GlobalMaxPooling1D(), "it reads several steps at once"),
    "convolution": (K.Conv1D(2, 3), "it reads several steps at once"),
    "attention": (lambda x: K.Attention()([x, x]), "it looks at all steps at once"),
    "custom": (Scaled(2, name="s"), "layer `s` (Scaled) cannot be run step by step: nothing is"),
    "operation": (lambda x: x * 2, "(Multiply) cannot be run step by step: nothing is known"),
    "shortcut": (shortcut, "(Add) cannot be run step by step: only a chain of layers"),
    "state": (lambda x: layers.GRU(3, return_state=True)(x)[1], "does not give what its last"),
    "initial state": (own_state, "(GRU) cannot be run step by step: it is called with `initial_"),
    "training": (lambda x: K.Dropout(0.5)(x, training=True), "it is called with `training`"),
    "inner": (K.TimeDistributed(K.LayerNormalization()), "LayerNormalization in it is neither"),
    "a cell": (K.RNN(K.LSTMCell(3)), "only SimpleRNN, LSTM and GRU have a kernel"),
    "bent": (K.ReLU(max_value=6), "max_value, negative_slope and threshold have no kernel"),
    "nothing": (K.Dropout(0.5), "has no layer that does something"),
    "half": (half, "layer `h` (Dense) cannot be run step by step: its compute dtype is bfloat16"),
    "masked softmax": (lambda x: K.Softmax()(K.Masking()(x)), "(Softmax) cannot be run step by"),
    "mask of its own": (own_mask, "(GRU) cannot be run step by step: it is called with a mask"),
}  # fmt: skip
#: models, and what is said of them
REFUSED: dict[str, tuple[Any, str]] = {
    **{name: (functools.partial(functional, part), told) for name, (part, told) in PARTS.items()},
    "flatten": (lambda: functional(K.Flatten(), 4, 3), "(Flatten) cannot be run step by step: it"),
    "axis": (lambda: functional(K.BatchNormalization(axis=1), 4, 3), "its axis is 1, not that of"),
    "late table": (lambda: functional(lambda x: K.Embedding(3, 2)(K.ReLU()(x)), None), _STEPS),
    "no sequence": (lambda: functional(K.Dense(2), 3), f"{_STEPS} (None, 3)"),
    "two inputs": (two_inputs, "has 2 inputs and 1 outputs"),
    "quantized": (quantized, "`answer` (Dense) cannot be run step by step: its"),
    "own model": (lambda: Own(name="mine"), "model `mine` (Own) has a `call` of its own"),
    "mask of a model": (inner_mask, "`in` (Sequential) cannot be run step by step: a mask would"),
    "no weights": (lambda: keras.Sequential([layers.GRU(2)]), "has no weights yet"),
    "unbuilt layer": (lambda: layers.GRU(2, name="g"), "layer `g` (GRU) has no weights yet"),
    "a path": (lambda: "m.keras", "must be a Keras model or layer, received str 'm.keras'"),
    "layer without sizes": (lambda: K.ReLU(name="r"), "on its own it does not tell how many"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_chain_of_steps_is_refused(name: str) -> None:
    make, told = REFUSED[name]
    with pytest.raises(UsageError) as found:
        sunhwan.stream(make())
    assert told in found.value.message
    assert name != "half" or "under the policy float32" in str(found.value.hint)


def test_without_kernels_there_is_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUNHWAN_ISA", "none")
    monkeypatch.setattr(native, "_load", native._load.__wrapped__)  # as in a new process
    with pytest.raises(KernelError) as found:
        sunhwan.stream(chain(keras.Input((None, 3)), layers.GRU(2)))
    assert str(found.value) == (
        "the compiled kernels are missing: SUNHWAN_ISA=none switches the kernels off\n"
        "hint: unset SUNHWAN_ISA"
    )


_BITS = """
import numpy as np
from cases import CELLS
from sunhwan.engine import native, rnn
from sunhwan.engine.chain import Chain
from sunhwan.engine.stream import Stream

rng = np.random.default_rng(3)
for cell in CELLS.values():
    G = len(cell.gates)
    shapes = (2, 6, 5), (5, G * 19), (19, G * 19), cell.bias_shape(19), (19, 3)
    x, kernel, recurrent, bias, last = (rng.standard_normal(s, "float32") / 2 for s in shapes)
    outputs, _ = rnn(cell, x, kernel, recurrent, bias)
    chain = Chain(2, 5)
    chain.recurrent(cell, kernel, recurrent, bias)
    chain.dense(last)
    stream = Stream(chain, ["memory", "dense"])
    np.testing.assert_allclose(stream.run(x), outputs @ last, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(stream.state[0], outputs[:, -1])
print(native.active_isa())
"""


@pytest.mark.parametrize("isa", native.available_isas() if native.available() else [])
def test_each_instruction_set_poisoned(isa: str) -> None:
    assert subprocesses.printed(_BITS, SUNHWAN_ISA=isa, SUNHWAN_POISON="1") == isa


class _Heap(ctypes.Structure):
    """What glibc's `mallinfo2` returns."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost",
    )]  # fmt: skip


def allocated() -> int:
    """Bytes that the C library has given out."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("this C library does not tell what it has given out")
    libc.mallinfo2.restype = _Heap
    found = libc.mallinfo2()
    return int(found.uordblks + found.hblkhd)


@pytest.mark.parametrize("name", ["film reviews", "normalized"])
def test_no_step_allocates(name: str) -> None:
    shape, parts = MODELS[name]
    stream = sunhwan.stream(chain(keras.Input(shape), *parts))
    x: Any = 3 if len(shape) == 1 else normal(3)

    def steps(count: int) -> None:
        for _ in range(count):
            stream.step(x)

    steps(100)
    arena, heap = native.module().arena_bytes(), allocated()
    tracemalloc.start()
    try:
        steps(10)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        steps(2000)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    steps(10_000)
    assert after - before < 500  # a number or two that Python happens to hold
    assert peak - before < 2000  # what lives within a step
    assert native.module().arena_bytes() == arena
    assert allocated() - heap < 4096  # nothing that grows with the steps
