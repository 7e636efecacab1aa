"""An embedding and the recurrent layer after it as one: the table is read where it lies."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import gate_records
from layer_pairs import array, randomize
from sunhwan import layers
from sunhwan.engine import Cell, Lookup, native, rnn, rnns
from sunhwan.engine.operands import Run

needs_kernels = pytest.mark.skipif(
    not native.available(), reason=f"kernels: {native.why_missing()}"
)
CELLS = [Cell("simple_rnn"), Cell("lstm"), Cell("gru"), Cell("gru", reset_after=False)]
# V, B, T, D, H: few ids that repeat (multiplied once, summed by id), hardly any that repeat (once a
# step), one row, a batch of many threads, a team that shares the units
SIZES = [
    (7, 5, 13, 3, 6),
    (901, 4, 11, 5, 17),
    (3, 1, 2, 1, 1),
    (40, 67, 9, 17, 33),
    (9, 2, 5, 3, 280),
]


def _weights(cell: Cell, V: int, D: int, H: int) -> list[np.ndarray]:
    columns = len(cell.gates) * H
    return [
        array(V, D, seed=1),
        array(D, columns, seed=2, scale=0.4),
        array(H, columns, seed=3, scale=0.4),
        array(*cell.bias_shape(H), seed=4, scale=0.4),
    ]


@needs_kernels
@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("cell", CELLS, ids=lambda c: f"{c.kind}-{c.reset_after}")
def test_a_lookup_gives_what_the_rows_give_that_it_stands_for(cell, sizes, with_mask) -> None:
    """To the bit, but for what is summed by id before it meets the weights: table and kernel."""
    V, B, T, D, H = sizes
    random = np.random.default_rng(V)
    ids = random.integers(0, V, (B, T))
    mask = random.random((B, T)) < 0.6 if with_mask else None

    def loss(weights, is_fused):
        table, *rest = weights
        x = Lookup(table, ids)
        outputs, states = rnn(
            cell, x if is_fused else x.rows(), *rest, mask=mask, go_backwards=with_mask
        )
        return (jnp.sin(outputs) * 3).sum() + sum((s**2).sum() for s in states), (outputs, states)

    step = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)
    one, other = (step(_weights(cell, V, D, H), is_fused) for is_fused in (True, False))
    (results, (d_table, d_kernel, *rest)), (results_of_rows, (*summed, d_u, d_b)) = one, other
    for a, b in zip(
        jax.tree.leaves((results, rest)),
        jax.tree.leaves((results_of_rows, [d_u, d_b])),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    for a, b in zip((d_table, d_kernel), summed, strict=True):
        # sums in another order: their rounding grows like the root of their number of terms
        terms = B * T + len(cell.gates) * H
        bound = 4 * np.finfo(np.float32).eps * np.sqrt(terms) * np.abs(b).max()
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)


@needs_kernels
@pytest.mark.parametrize("sizes", SIZES[:4], ids=str)
def test_what_forward_found_out_about_ids_is_found_again_to_the_same_bits(sizes) -> None:
    """Backward takes over groups and products of ids, and does without them: csrc/records.h."""
    V, B, T, D, H = sizes
    cell, random = Cell("gru"), np.random.default_rng(V)
    ids, mask = random.integers(0, V, (B, T)), random.random((B, T)) < 0.7

    def last(table, kernel):
        return rnn(cell, Lookup(table, ids), kernel, *rest, mask=mask)[0]

    table, kernel, *rest = _weights(cell, V, D, H)
    outputs, back = jax.vjp(last, table, kernel)
    assert gate_records.is_kept(back)  # else this test tests nothing
    cotangent = array(*outputs.shape, seed=5)
    handed_on = jax.block_until_ready(back(cotangent))
    assert not gate_records.is_kept(back)
    for one, other in zip(handed_on, back(cotangent), strict=True):
        np.testing.assert_array_equal(one, other)


@needs_kernels
@pytest.mark.parametrize("live", [0, 1])
def test_rows_of_a_table_that_no_live_step_reads_have_no_gradient(live: int) -> None:
    """Not even what lay in their memory before; also where every step is masked."""
    V, B, T, D, H = 11, 3, 4, 2, 5
    table, *rest = _weights(Cell("lstm"), V, D, H)
    ids, mask = np.full((B, T), 6), np.zeros((B, T), bool)
    mask[:live, -1] = True
    d_table = jax.grad(
        lambda table: rnn(Cell("lstm"), Lookup(table, ids), *rest, mask=mask)[1][0].sum()
    )(table)
    touched = np.flatnonzero(np.any(d_table != 0, axis=1))
    np.testing.assert_array_equal(touched, [6] * live)
    assert np.isfinite(d_table).all()


@needs_kernels
def test_two_runs_share_a_lookup() -> None:
    cell, V, B, T, D, H = Cell("lstm"), 6, 4, 7, 3, 5
    table, *rest = _weights(cell, V, D, H)
    ids = np.random.default_rng(2).integers(0, V, (B, T))

    def loss(table, is_fused):
        x = Lookup(table, ids)
        runs = [Run(*rest), Run(*(w * 0.7 for w in rest), go_backwards=True)]
        both = rnns(cell, x if is_fused else x.rows(), runs)
        return sum(jnp.sin(y * (n + 1)).sum() for n, (y, _) in enumerate(both))

    one, other = (jax.grad(loss)(table, is_fused) for is_fused in (True, False))
    # two gradients of the table are added in place of two of the rows
    np.testing.assert_allclose(one, other, rtol=0, atol=4e-6 * np.abs(other).max())


@pytest.mark.parametrize("cell", CELLS[1:3], ids=lambda c: c.kind)
def test_other_derivatives_and_vmap(cell) -> None:
    V, B, T, D, H = 5, 3, 4, 2, 3
    table, *rest = _weights(cell, V, D, H)
    ids = np.random.default_rng(3).integers(0, V, (2, B, T))

    def loss(table, ids, is_fused=True):
        x = Lookup(table, ids)
        outputs, _ = rnn(cell, x if is_fused else x.rows(), *rest)
        return jnp.sin(outputs).sum()

    def all_of(is_fused):
        def one(table, ids):
            return loss(table, ids, is_fused)

        direction = array(V, D, seed=9)
        return (
            jax.vmap(one, (None, 0))(table, ids),
            jax.vmap(jax.grad(one), (None, 0))(table, ids),
            jax.vmap(one, (0, None))(jnp.stack([table, -table]), ids[0]),
            jax.jvp(lambda t: one(t, ids[0]), (table,), (direction,))[1],
            jax.jvp(jax.grad(lambda t: one(t, ids[0])), (table,), (direction,))[1],
        )

    for a, b in zip(all_of(True), all_of(False), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


@needs_kernels
@pytest.mark.parametrize(
    ("ids", "where"),
    [([[0, 1], [2, 9]], "9 in row 1, step 1"), ([[0, -1], [2, 3]], "-1 in row 0, step 1")],
)
def test_an_id_outside_the_table_is_named(ids, where) -> None:
    table, *rest = _weights(Cell("gru"), 5, 2, 3)
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"embedding id {where}.*0 to 4"):
        jax.block_until_ready(rnn(Cell("gru"), Lookup(table, np.array(ids)), *rest))


def _calls(model: keras.Model, x: np.ndarray) -> str:
    """Return the text of the compiled prediction, in which calls of kernels are named."""
    values = [[v.value for v in group] for group in (model.trainable_variables,
                                                     model.non_trainable_variables)]  # fmt: skip

    def predict(trainable, other, x):
        return model.stateless_call(trainable, other, x)[0]

    return jax.jit(predict).lower(*values, x).compile().as_text()


@needs_kernels
def test_the_rows_are_never_computed_when_layers_follow_each_other() -> None:
    x = np.random.default_rng(4).integers(1, 9, (3, 6))
    table, lstm = layers.Embedding(9, 4, mask_zero=True), layers.LSTM(5)
    fused = keras.Sequential([table, lstm])
    fused.build((3, 6))
    randomize(fused)
    text = _calls(fused, x)
    assert "sunhwan_forward" in text
    assert "sunhwan_embedding_lookup" not in text

    between = keras.Sequential([table, keras.layers.Rescaling(1.0), lstm])
    between.build((3, 6))
    text = _calls(between, x)
    assert "sunhwan_embedding_lookup" in text
    np.testing.assert_array_equal(fused.predict(x, verbose=0), between.predict(x, verbose=0))


@needs_kernels
def test_rows_that_others_read_too_have_both_gradients() -> None:
    x = np.random.default_rng(5).integers(0, 9, (8, 6))
    weights = None
    found = []
    for L in (layers, keras.layers):
        ids = keras.Input((6,), dtype="int32")
        rows = L.Embedding(9, 4)(ids)
        pooled = keras.layers.GlobalMaxPooling1D()(rows)
        memory = L.Bidirectional(L.GRU(5))(rows)
        model = keras.Model(ids, keras.layers.Concatenate()([pooled, memory]))
        if weights is None:
            randomize(model)
            weights = model.get_weights()
        model.set_weights(weights)
        model.compile("sgd", "mse")
        model.fit(x, array(8, 14, seed=6), epochs=2, batch_size=8, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for ours, stock in zip(*found, strict=True):
        np.testing.assert_allclose(ours, stock, rtol=0, atol=2e-6 * max(1, np.abs(stock).max()))
