"""States of every step on request: by kernel, in the layers, and refused where they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

import sunhwan
from cases import CELLS
from layer_pairs import NAMES, array, flat, gradients, randomize
from sunhwan import engine, layers
from sunhwan.engine import Cell, native, reference
from sunhwan.errors import UsageError
from sunhwan.layers.watching import watching

B, T, D, H = 3, 7, 4, 5
MASK = np.random.default_rng(3).random((B, T)) < 0.6
CELL = {"SimpleRNN": Cell("simple_rnn"), "LSTM": Cell("lstm"), "GRU": Cell("gru")}
needs_kernels = pytest.mark.skipif(
    not native.available(), reason=f"kernels: {native.why_missing()}"
)


def _layer(name: str, **options: Any) -> Any:
    layer = getattr(layers, name)(H, return_state_sequences=True, **options)
    layer.build((B, T, D))
    randomize(layer)
    return layer


def _wanted(layer: Any, x: Any, mask: Any, zeroes: bool) -> list[Any]:
    cell = layer.cell
    run = reference.forward(
        CELL[type(layer).__name__],
        x,
        *(np.asarray(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)),
        mask=mask,
        go_backwards=layer.go_backwards,
        zero_output_for_mask=zeroes and layer.return_sequences,
    )
    output = run.outputs if layer.return_sequences else run.states[0]
    return [output, *(run.states if layer.return_state else ()), *run.sequences]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("return_sequences", "return_state", "go_backwards"),
    [(False, False, True), (True, False, False), (False, True, False), (True, True, True)],
)
def test_a_layer_gives_output_last_states_and_the_states_of_every_step(
    name: str, return_sequences: bool, return_state: bool, go_backwards: bool
) -> None:
    options = {
        "return_sequences": return_sequences,
        "return_state": return_state,
        "go_backwards": go_backwards,
    }
    x = array(B, T, D)
    for mask, zeroes in ((None, False), (MASK, True)):
        layer = _layer(name, zero_output_for_mask=zeroes, **options)
        got, want = layer(x, mask=mask), _wanted(layer, x, mask, zeroes)
        assert isinstance(got, tuple)
        assert layer.compute_output_shape((B, T, D)) == tuple(part.shape for part in want)
        for one, other in zip(got, want, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)
    bare = getattr(layers, name)(H, zero_output_for_mask=True, **options)
    bare.build((B, T, D))
    bare.set_weights(layer.get_weights())
    for one, other in zip(flat(bare(x, mask=MASK)), flat(got), strict=False):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_that_is_watched_gives_them_too(name: str) -> None:
    x, options = array(B, T, D), {"return_sequences": True, "go_backwards": True}
    layer = _layer(name, zero_output_for_mask=True, **options)
    with watching():
        watched = layer(x, mask=MASK)
    for one, other in zip(watched, layer(x, mask=MASK), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)


def test_gradients_through_the_states_are_those_of_plain_jax() -> None:
    x = array(B, T, D)
    layer = _layer("LSTM", zero_output_for_mask=True, return_sequences=True, return_state=True)
    by_kernel = gradients(layer, x, mask=MASK)
    with watching():
        want = gradients(layer, x, mask=MASK)
    for one, other in zip(by_kernel, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def test_a_functional_model_learns_from_the_cells_and_hands_the_mask_on() -> None:
    ids = keras.Input((T,), dtype="int32")
    rows = layers.Embedding(9, D, mask_zero=True)(ids)
    y, h_all, c_all = layers.LSTM(H, return_state_sequences=True, name="memory")(rows)
    assert (y.shape, h_all.shape, c_all.shape) == ((None, H), (None, T, H), (None, T, H))
    second = layers.GRU(3, name="second")(c_all)
    model = keras.Model(ids, [second, y])
    randomize(model)
    numbers = np.random.default_rng(4).integers(0, 3, (B, T))
    mask = numbers != 0
    table, one, two = (model.layers[n] for n in (1, -2, -1))
    x = np.asarray(table.embeddings)[numbers]
    cells = _wanted(one, x, mask, False)[-1]
    two.return_state_sequences = True
    want = _wanted(two, cells, mask, False)[0]
    two.return_state_sequences = False
    np.testing.assert_allclose(model(numbers)[0], want, rtol=0, atol=2e-6)
    before = one.get_weights()
    model.compile("sgd", ["mse", None])
    model.fit(numbers, [array(B, 3), array(B, H)], epochs=1, verbose=0)
    assert all((a != b).any() for a, b in zip(before, one.get_weights(), strict=True))


def test_stateful_layers_jit_and_half_precision() -> None:
    x = array(B, T, D)
    layer = _layer("LSTM", stateful=True)
    first, second = layer(x), layer(x)
    whole = _layer("LSTM")(np.concatenate([x, x], axis=1))
    for one, other, both in zip(first[1:], second[1:], whole[1:], strict=True):
        np.testing.assert_allclose(np.concatenate([one, other], 1), both, rtol=0, atol=2e-6)
    layer = _layer("LSTM", dtype="bfloat16", recurrent_initializer="glorot_uniform")
    weights = [v.value for v in layer.trainable_variables]
    fixed = [v.value for v in layer.non_trainable_variables]
    compiled = jax.jit(lambda x: layer.stateless_call(weights, fixed, x)[0])(x)
    assert [str(part.dtype) for part in compiled] == ["bfloat16"] * 3
    for one, other in zip(flat(compiled), flat(layer(x)), strict=True):
        # compiled, XLA may leave out that x is rounded to 8 bits
        np.testing.assert_allclose(one.astype("f"), other.astype("f"), rtol=0, atol=0.03)


def test_what_is_set_is_saved_and_what_is_not_is_not_in_the_config(tmp_path: Path) -> None:
    x = keras.Input((T, D))
    model = keras.Model(x, layers.GRU(H, return_state_sequences=True, name="memory")(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    given = array(B, T, D)
    for one, other in zip(loaded(given), model(given), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "return_state_sequences" not in layers.LSTM(3).get_config()


# ---------------------------------------------------------------- the engine


def _run(cell: Cell, seed: int = 0) -> tuple[Any, dict[str, Any]]:
    columns = len(cell.gates) * H
    weights = {
        "kernel": array(D, columns, seed=seed + 1, scale=0.5),
        "recurrent_kernel": array(H, columns, seed=seed + 2, scale=0.5),
    }
    return array(B, T, D, seed=seed), weights


@needs_kernels
@pytest.mark.parametrize("label", CELLS)
def test_what_was_not_asked_for_is_never_passed(label: str) -> None:
    cell = CELLS[label]
    x, weights = _run(cell)

    def text(asked: bool, part: int) -> str:
        def loss(x: Any) -> Any:
            y, states = engine.rnn(cell, x, **weights, return_state_sequences=asked)
            return (y, *states)[part].sum()

        return str(jax.make_jaxpr(jax.grad(loss))(x))

    is_lstm = label == "lstm"
    assert "c_sequence" not in text(False, 0)
    assert ("c_sequence" in text(True, -1)) == is_lstm
    assert ("dc_sequence" in text(True, -1)) == is_lstm
    assert "dc_sequence" not in text(True, 0)


def test_vmap_forward_mode_and_second_derivatives() -> None:
    cell = CELLS["lstm"]
    x, weights = _run(cell)
    many = np.stack([x, x[::-1] * 0.5])

    def states(x: Any) -> Any:
        return engine.rnn(cell, x, **weights, return_state_sequences=True)[1]

    mapped = jax.vmap(states)(many)
    for n, one in enumerate(many):
        for got, want in zip(mapped, states(one), strict=True):
            np.testing.assert_array_equal(got[n], want)

    def loss(x: Any) -> Any:
        return sum((s**2).sum() for s in states(x)[cell.states :])

    direction = array(B, T, D, seed=9)
    gradient = jax.grad(loss)(x)
    along = jax.jvp(loss, (x,), (direction,))[1]
    np.testing.assert_allclose((gradient * direction).sum(), along, rtol=2e-5)
    bent = jax.jvp(jax.grad(loss), (x,), (direction,))[1]
    step = 1e-2
    up, down = (jax.grad(loss)(x + s * step * direction) for s in (1, -1))
    scale = np.abs(bent).max()
    np.testing.assert_allclose(bent, (up - down) / (2 * step), rtol=0, atol=2e-3 * scale)


def test_two_runs_side_by_side_have_their_own_sequences() -> None:
    cell = CELLS["lstm"]
    x, one = _run(cell)
    _, other = _run(cell, seed=10)
    runs = [engine.Run(**one), engine.Run(**other, go_backwards=True)]
    together = engine.rnns(cell, x, runs, return_state_sequences=True, return_sequences=False)
    for run, (outputs, states) in zip(runs, together, strict=True):
        [(_, alone)] = engine.rnns(cell, x, [run], return_state_sequences=True)
        assert outputs is None
        for got, want in zip(states, alone, strict=True):
            np.testing.assert_array_equal(got, want)
        for last, sequence in zip(states[:2], states[2:], strict=True):
            np.testing.assert_array_equal(sequence[:, -1], last)


# ---------------------------------------------------------------- where they cannot be


def test_keras_own_loop_and_bidirectional_refuse() -> None:
    layer = layers.LSTM(3, activation="gelu", name="memory", return_state_sequences=True)
    wanted = "layer `memory` cannot have `return_state_sequences` in Keras's own loop"
    with pytest.raises(UsageError, match=wanted):
        layer(array(B, T, D))
    with pytest.raises(UsageError, match="is Bidirectional, which takes no layer with `return_st"):
        layers.Bidirectional(layers.GRU(3, return_state_sequences=True))


@needs_kernels
def test_a_stream_leaves_states_that_nobody_reads() -> None:
    x = keras.Input((None, D))
    y, *_ = layers.LSTM(H, return_state_sequences=True, return_state=True)(x)
    model = keras.Model(x, keras.layers.Dense(2)(y))
    randomize(model)
    steps, given = sunhwan.stream(model), array(1, T, D)
    for row in given[0]:
        got = steps.step(row).copy()
    np.testing.assert_allclose(got, model(given)[0], rtol=0, atol=2e-6)
    _, h_all = layers.GRU(H, return_state_sequences=True)(x)
    with pytest.raises(UsageError, match="only a chain of layers can be streamed"):
        sunhwan.stream(keras.Model(x, keras.layers.Dense(2)(h_all)))
