"""JAX's transformations of the engine: by kernel and in plain JAX they must give the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gate_records
import subprocesses
from layer_pairs import array
from sunhwan.engine import Cell, embedding_lookup, native, plain, rnn

pytestmark = pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
B, T, D, H = 3, 4, 5, 7
CELLS = {
    "simple_rnn": Cell("simple_rnn"),
    "lstm": Cell("lstm"),
    "gru": Cell("gru"),
    "gru_before": Cell("gru", reset_after=False),
}
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [0, 0, 0, 0]], dtype=bool)


def weights(cell: Cell, scale: float = 0.5) -> dict[str, Any]:
    """Return random operands by name."""
    columns = len(cell.gates) * H
    return {
        "x": array(B, T, D, seed=1),
        "kernel": array(D, columns, seed=2, scale=scale),
        "recurrent_kernel": array(H, columns, seed=3, scale=scale),
        "bias": array(*cell.bias_shape(H), seed=4, scale=scale),
        "initial_state": tuple(array(B, H, seed=5 + n) for n in range(cell.states)),
    }


def by_plain(cell: Cell, x: Any, kernel: Any, recurrent_kernel: Any, bias: Any, **rest: Any) -> Any:
    """`plain.rnn` in the manner of `engine.rnn`."""
    operands = {"x": x, "kernel": kernel, "recurrent": recurrent_kernel}
    operands |= dict(zip(("h0", "c0"), rest["initial_state"], strict=False))
    operands |= {} if bias is None else {"bias": bias}
    if rest.get("mask") is not None:
        operands["mask"] = jnp.asarray(rest["mask"])
    return plain.rnn(cell, operands, go_backwards=False, zero_output=False)


def loss(run: Callable[..., Any], cell: Cell, mask: Any = MASK) -> Callable[[Any], Any]:
    """Return a number that depends on every output and state, each in its own way."""

    def value(operands: Any) -> Any:
        outputs, states = run(cell, **operands, mask=mask)
        parts = [outputs, *states]
        return sum((jnp.sin(p) * array(*p.shape, seed=20 + n)).sum() for n, p in enumerate(parts))

    return value


def close(got: Any, want: Any, scale: float = 1.0) -> None:
    """Compare nests, against the largest value of each array: float32 sums of B*T*H terms."""
    left, right = jax.tree.leaves(got), jax.tree.leaves(want)
    assert len(left) == len(right) > 0
    for a, b in zip(left, right, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        largest = float(np.abs(b).max(initial=0))
        np.testing.assert_allclose(a, b, rtol=0, atol=scale * 2e-5 * largest)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_first_derivatives(cell: Cell) -> None:
    """grad, jvp and the two against each other: the tangent along v is the gradient times v."""
    operands = weights(cell)
    direction = jax.tree.map(lambda a: array(*a.shape, seed=9), operands)

    def both(run: Any) -> Any:
        value = loss(run, cell)
        return jax.jit(lambda o, d: (jax.value_and_grad(value)(o), jax.jvp(value, (o,), (d,))))(
            operands, direction
        )

    got, want = both(rnn), both(by_plain)
    close(got, want)
    inner = sum(
        float((g * d).sum())
        for g, d in zip(jax.tree.leaves(got[0][1]), jax.tree.leaves(direction), strict=True)
    )
    assert inner == pytest.approx(float(got[1][1]), rel=1e-4)


def test_every_operand_may_be_the_only_one_that_is_differentiated() -> None:
    cell = CELLS["lstm"]
    operands = weights(cell)
    whole = jax.jit(jax.grad(loss(rnn, cell)))(operands)
    for name in operands:

        def value(part: Any, name: str = name) -> Any:
            return loss(rnn, cell)({**operands, name: part})

        close(jax.jit(jax.grad(value))(operands[name]), whole[name])
    bare = {**operands, "bias": None}
    got, want = (jax.jit(jax.grad(loss(run, cell)))(bare) for run in (rnn, by_plain))
    close(got, want)
    # an output that plays no part, and none of them
    one = jax.jit(jax.grad(lambda o: rnn(cell, **o)[1][1].sum()))(operands)
    two = jax.jit(jax.grad(lambda o: by_plain(cell, **o)[1][1].sum()))(operands)
    close(one, two)
    nothing = jax.jit(jax.grad(lambda o: 0.0 * o["x"].sum() + 0 * len(rnn(cell, **o))))(operands)
    assert all(float(np.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(nothing))


@pytest.mark.parametrize("cell", [CELLS["lstm"], CELLS["gru"]], ids=["lstm", "gru"])
def test_vmap_in_every_place(cell: Cell) -> None:
    """Over x and states, over weights, over both, vmap(grad) and grad(vmap)."""
    operands = weights(cell)
    many = jax.tree.map(lambda a: jnp.stack([a, -a, 0.5 * a]), operands)

    def everything(run: Any) -> Any:
        found = []
        for batched in (("x", "initial_state"), ("kernel",), ("bias", "x"), tuple(operands)):
            mixed = {n: many[n] if n in batched else operands[n] for n in operands}
            axes = ({n: 0 if n in batched else None for n in operands},)
            value = loss(run, cell)
            each = jax.vmap(value, in_axes=axes)
            found += [
                each(mixed),
                jax.vmap(jax.grad(value), in_axes=axes)(mixed),
                jax.grad(lambda m, e=each: (e(m) ** 2).sum())(mixed),
            ]
        return found

    got, want = (jax.jit(everything, static_argnums=0)(run) for run in (rnn, by_plain))
    close(got, want, scale=4)


def test_vmap_over_masks_and_inner_axes() -> None:
    cell, operands = CELLS["gru"], weights(CELLS["gru"])
    masks = np.stack([MASK, ~MASK, MASK[::-1]], axis=1)  # [B, 3, T]
    xs = np.moveaxis(np.stack([operands["x"], -operands["x"], operands["x"]]), 0, -1)

    def run_all(run: Any) -> Any:
        return jax.vmap(
            lambda m, x: run(cell, **{**operands, "x": x}, mask=m), in_axes=(1, 3), out_axes=1
        )(masks, xs)

    close(jax.jit(lambda: run_all(rnn))(), jax.jit(lambda: run_all(by_plain))())


@pytest.mark.parametrize("cell", [CELLS["simple_rnn"], CELLS["gru"]], ids=["simple_rnn", "gru"])
def test_second_derivatives(cell: Cell) -> None:
    """Hessian of the bias, forward over reverse and reverse over reverse, against float64."""
    operands = weights(cell)

    def hessians(run: Any, operands: Any, second: Any) -> Any:
        rest = {k: v for k, v in operands.items() if k != "bias"}
        value = loss(run, cell)
        return jax.jit(second(jax.grad(lambda b: value({**rest, "bias": b}))))(operands["bias"])

    got = [hessians(rnn, operands, second) for second in (jax.jacfwd, jax.jacrev)]
    with jax.enable_x64(True):
        double = jax.tree.map(lambda a: jnp.asarray(a, "float64"), operands)
        want = np.asarray(hessians(by_plain, double, jax.jacfwd))
    assert want.dtype == np.float64
    for found in got:
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-4 * np.abs(want).max())


def test_second_derivatives_of_every_operand_by_differences() -> None:
    """Hessian times a direction is the change of the gradient along it (step h, error h^2)."""
    cell, operands = CELLS["lstm"], weights(CELLS["lstm"])
    direction = jax.tree.map(lambda a: array(*a.shape, seed=8), operands)
    gradient = jax.grad(loss(rnn, cell))
    moved = jax.jit(lambda o, d: jax.jvp(gradient, (o,), (d,))[1])(operands, direction)
    with jax.enable_x64(True):
        double, along = (
            jax.tree.map(lambda a: jnp.asarray(a, "float64"), t) for t in (operands, direction)
        )
        exact = jax.jit(jax.grad(loss(by_plain, cell)))
        ahead, behind = (
            exact(jax.tree.map(lambda a, d, s=step: a + s * d, double, along))
            for step in (1e-5, -1e-5)
        )
        want = jax.tree.map(lambda a, b: (a - b) / 2e-5, ahead, behind)
    for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max())


def test_checkpoint_scan_and_donation() -> None:
    """B48: remat, a recurrence inside scan, and arguments that are given away."""
    cell, operands = CELLS["gru"], weights(CELLS["gru"])

    def repeated(run: Any, operands: Any) -> Any:
        def body(state: Any, x: Any) -> Any:
            outputs, last = run(cell, **{**operands, "x": x, "initial_state": state}, mask=MASK)
            return last, outputs.sum()

        xs = jnp.stack([operands["x"], operands["x"][:, ::-1]])
        last, sums = jax.lax.scan(body, operands["initial_state"], xs)
        return jnp.sin(last[0]).sum() + (sums**2).sum()

    for transform in (lambda f: f, jax.checkpoint):
        got, want = (
            jax.jit(jax.value_and_grad(transform(lambda o, r=run: repeated(r, o))))(operands)
            for run in (rnn, by_plain)
        )
        close(got, want, scale=4)
    value = loss(rnn, cell)
    step = jax.jit(
        lambda o: jax.tree.map(lambda a, g: a - 0.1 * g, o, jax.grad(value)(o)), donate_argnums=0
    )
    given = jax.tree.map(jnp.array, operands)
    want = step(jax.tree.map(jnp.array, operands))
    once = step(given)
    assert given["kernel"].is_deleted()
    for a, b in zip(jax.tree.leaves(once), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_trained_inside_scan_really_change() -> None:
    """B49: no weight is captured by the trace."""
    cell, operands = CELLS["simple_rnn"], weights(CELLS["simple_rnn"])

    def train(run: Any) -> Any:
        value = loss(run, cell)

        def step(o: Any, _: Any) -> Any:
            current, g = jax.value_and_grad(value)(o)
            return jax.tree.map(lambda a, b: a - 0.05 * b, o, g), current

        return jax.lax.scan(step, jax.tree.map(jnp.asarray, operands), length=5)

    (end, losses), want = (jax.jit(lambda r=run: train(r))() for run in (rnn, by_plain))
    assert np.all(np.diff(losses) < 0)
    assert float(np.abs(end["kernel"] - operands["kernel"]).max()) > 1e-2
    close((end, losses), want, scale=10)


def test_a_pullback_may_be_used_twice() -> None:
    """What the engine may keep from forward to backward is a convenience: the bits are the same."""
    cell, operands = CELLS["lstm"], weights(CELLS["lstm"])
    _, pull = jax.vjp(loss(rnn, cell), operands)
    first, second = pull(jnp.float32(1)), pull(jnp.float32(1))
    again = jax.vjp(loss(rnn, cell), operands)[1](jnp.float32(1))
    for a, b, c in zip(*map(jax.tree.leaves, (first, second, again)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


# ---------------------------------------------------------------- Embedding


def test_transformations_of_the_embedding() -> None:
    table, tables = array(6, 5), array(3, 6, 5, seed=1)
    ids = np.array([[1, 5, 5], [0, 1, 5]])
    many = np.stack([ids, 5 - ids, ids[::-1]])

    def everything(look: Any) -> Any:
        def value(table: Any, ids: Any) -> Any:
            rows = look(table, ids)
            return (jnp.sin(rows) * array(*rows.shape, seed=7)).sum()

        return [
            look(table, ids),
            jax.grad(value)(table, ids),
            jax.vmap(value, in_axes=(None, 0))(table, many),
            jax.vmap(value)(tables, many),
            jax.vmap(jax.grad(value), in_axes=(None, 0))(table, many),
            jax.vmap(jax.grad(value), in_axes=(0, None))(tables, ids),
            jax.jvp(lambda t: value(t, ids), (table,), (tables[0],)),
            jax.hessian(lambda t: value(t, ids))(table),
            jax.grad(jax.checkpoint(lambda t: value(t, ids)))(table),
            jax.lax.scan(lambda c, i: (c + look(table, i).sum(), None), 0.0, many)[0],
        ]

    got = jax.jit(lambda: everything(embedding_lookup))()
    want = jax.jit(lambda: everything(lambda table, ids: jnp.asarray(table)[jnp.asarray(ids)]))()
    close(got, want)


_OUTSIDE = """
import jax, jax.numpy as jnp, numpy as np, keras, sunhwan
from sunhwan.engine import embedding_lookup
table = jnp.ones((10, 4))

def message(run):
    try:
        jax.block_until_ready(run())
        jax.effects_barrier()
    except Exception as error:
        return str(error)
    return "nothing"

for wrong in (10, -1):
    ids = np.array([[1, 2, 3], [4, wrong, 6]], dtype=np.int32)
    wanted = f"embedding id {wrong} in row 1, step 1 of the batch is outside the table"
    def model():
        new = keras.Sequential([sunhwan.layers.Embedding(10, 4), sunhwan.layers.GRU(3)])
        new.compile("sgd", "mse")
        return new

    for run in (
        lambda: embedding_lookup(table, ids),
        lambda: jax.jit(embedding_lookup)(table, ids),
        lambda: jax.grad(lambda t: embedding_lookup(t, ids).sum())(table),
        lambda: model().fit(ids, np.zeros((2, 3)), shuffle=False, verbose=0),
        lambda: model().predict(ids, verbose=0),
    ):
        found = message(run)
        assert wanted + ", whose ids are 0 to 9" in found, found
good = jax.vmap(lambda i: embedding_lookup(table, i))(np.array([[1, 2], [3, 9]]))
jax.effects_barrier()
assert good.shape == (2, 2, 4)
print("good")
"""


@pytest.mark.parametrize("isa", [None, "none"])
def test_ids_outside_the_table_are_errors_with_id_row_and_step(isa: str | None) -> None:
    done = subprocesses.python(_OUTSIDE, SUNHWAN_ISA=isa)
    assert done.stdout.strip() == "good", done.stderr[-3000:]


@pytest.mark.parametrize("zoneout", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["simple_rnn", "lstm", "gru"])
def test_gates_that_are_gone_are_computed_again_to_the_same_bits(kind: str, zoneout: float) -> None:
    """Backward finds forward's gate records, and does without them: csrc/records.h."""
    cell, units = Cell(kind, zoneout_h=zoneout), 150
    columns = len(cell.gates) * units
    x, kernel = array(5, 19, 130, seed=1), array(130, columns, seed=2) / 11
    recurrent = array(units, columns, seed=3) / 12
    mask = np.arange(19) < np.array([[19], [7], [1], [12], [18]])

    def last(x: Any, kernel: Any, recurrent: Any) -> Any:
        return rnn(cell, x, kernel, recurrent, mask=mask)[0]

    outputs, back = jax.vjp(last, x, kernel, recurrent)
    _, another = jax.vjp(last, x, kernel, recurrent)
    assert gate_records.is_kept(back)  # else this test tests nothing
    assert gate_records.is_kept(another)
    cotangent = array(*outputs.shape, seed=4)
    remembered = jax.block_until_ready(back(cotangent))
    assert not gate_records.is_kept(back)
    assert gate_records.is_kept(another)
    native.module().release_arena()
    assert not gate_records.is_kept(another)
    for one, *others in zip(remembered, back(cotangent), another(cotangent), strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)
