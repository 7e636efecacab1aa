"""Layer normalisation in the engine: bits, teams, transformations, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cases
import isa_table
import subprocesses
from cases import CELLS, Arrays, Case
from sunhwan import engine
from sunhwan.engine import Cell, Run, kernel_calls, native, reference
from sunhwan.engine.chain import Chain
from sunhwan.errors import ShapeError, UsageError

NORMALIZED = {
    label: replace(CELLS[label], norm_epsilon=1e-3) for label in ("simple_rnn", "lstm", "gru")
}
each = pytest.mark.parametrize("label", NORMALIZED)
needs_kernels = pytest.mark.skipif(
    not native.available(), reason=f"kernels: {native.why_missing()}"
)


def _case(label: str, **options: Any) -> tuple[Case, Arrays]:
    case = Case(label, NORMALIZED[label], B=9, T=7, D=3, H=21, initial_state=True)
    case = replace(case, **options)
    return case, cases.arrays(case)


def _run(given: Arrays, **changed: Any) -> Run:
    names = ("kernel", "recurrent_kernel", "bias", "initial_state", "norm", "norm_cell")
    return Run(**{name: getattr(given, name) for name in names} | changed)


@each
@needs_kernels
def test_a_row_has_the_same_bits_alone_and_in_any_batch(label: str) -> None:
    case, given = _case(label)
    [(together, states)] = engine.rnns(case.cell, given.x, [_run(given)])
    for row in (0, 4, 8):
        start = tuple(s[row : row + 1] for s in given.initial_state or ())
        x = given.x[row : row + 1]
        [(alone, last)] = engine.rnns(case.cell, x, [_run(given, initial_state=start)])
        np.testing.assert_array_equal(alone[0], together[row])
        for one, all_rows in zip(last, states, strict=True):
            np.testing.assert_array_equal(one[0], all_rows[row])


_DIGEST = """
import hashlib
import numpy as np
import cases, isa_table
from dataclasses import replace
digest = hashlib.sha256()
for kind in ("simple_rnn", "lstm", "gru"):
    cell = replace(cases.CELLS[kind], norm_epsilon=1e-3, zoneout_h=0.1)
    case = cases.Case(kind, cell, 2, 30, 5, 300, mask="holes", reset=True, state_scale=True,
                      noise=True)
    given = cases.arrays(case)
    [got] = isa_table.results([(case, given)])
    for name in sorted(got):
        digest.update(np.ascontiguousarray(got[name]).tobytes())
    want = cases.expected(case, given)
    assert cases.mismatches(case, got, {name: want[name] for name in got}) == {}
print(digest.hexdigest())
"""


@needs_kernels
def test_a_team_that_shares_the_units_gives_the_bits_of_one_thread() -> None:
    """Two rows on four threads are shared by units: each member then has a part of every row."""
    alone, together = (
        subprocesses.printed(_DIGEST, SUNHWAN_THREADS=threads, NPROC="4") for threads in "14"
    )
    assert alone == together


@each
@needs_kernels
def test_gates_that_are_remembered_are_those_computed_again(
    label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many units are worth a record; backward then finds it, or not, with the same bits."""
    case, given = _case(label, B=2, T=18, H=720 if label == "simple_rnn" else 450, mask="holes")
    [remembered] = isa_table.results([(case, given)])
    real, tokens = kernel_calls.call_handler, []

    def without(target: str, options: Any, operands: Any, results: Any) -> Any:
        if "backward" in target:
            n = kernel_calls.BACKWARD_INPUTS.index("record")
            jax.debug.callback(lambda record: tokens.append(int(record[0, 0])), operands[n])
            operands = [0 * o if i == n else o for i, o in enumerate(operands)]
        return real(target, options, operands, results)

    monkeypatch.setattr(kernel_calls, "call_handler", without)
    [again] = isa_table.results([(case, given)])
    jax.effects_barrier()
    assert tokens[0] != 0
    want = cases.expected(case, given)
    assert cases.mismatches(case, remembered, {name: want[name] for name in again}) == {}
    for name, value in remembered.items():
        np.testing.assert_array_equal(value, again[name], err_msg=name)


@each
def test_the_sums_of_a_row_are_normalised_and_nothing_else_is(label: str) -> None:
    """All sums of the input shifted and scaled alike give the same outputs; the bias does not."""
    case, given = _case(label, T=1, initial_state=False, cell=replace(NORMALIZED[label],
                        norm_epsilon=1e-20))  # fmt: skip
    shift = np.random.default_rng(3).standard_normal((3, 1))
    moved = replace(given, kernel=5 * given.kernel.astype("d") + shift)
    want, got = (cases.run(case, arrays).outputs for arrays in (given, moved))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
    other = cases.run(case, replace(given, bias=given.bias + 0.5)).outputs
    assert np.abs(other - want).max() > 0.05


@each
def test_mapping_and_forward_derivatives_go_on(label: str) -> None:
    case, given = _case(label, B=2, T=4, H=5)
    gains = {n: getattr(given, n) for n in case.cell.norm_shapes(case.H)}

    def total(x: Any, gains: Any) -> Any:
        [(outputs, _)] = engine.rnns(case.cell, x, [_run(given, **gains)])
        return (outputs * given.d_outputs).sum()

    moved = jax.tree.map(lambda a: jnp.asarray(np.cos(a + 1)), (given.x, gains))
    _, slope = jax.jvp(total, (given.x, gains), moved)
    back = jax.grad(total, (0, 1))(given.x, gains)
    along = jax.tree.map(lambda g, m: float((g * m).sum()), back, moved)
    np.testing.assert_allclose(slope, sum(jax.tree.leaves(along)), rtol=2e-4)
    several = np.stack([given.x, 2 * given.x, given.x[::-1]])
    want = [total(x, gains) for x in several]
    np.testing.assert_allclose(jax.vmap(total, (0, None))(several, gains), want, rtol=1e-5)
    many = {n: np.stack([a, a[::-1], 1 - a]) for n, a in gains.items()}
    want = [total(given.x, {n: a[i] for n, a in many.items()}) for i in range(3)]
    np.testing.assert_allclose(jax.vmap(total, (None, 0))(given.x, many), want, rtol=1e-5)


# ---------------------------------------------------------------- what is refused


def _fitting(cell: Cell) -> dict[str, Any]:
    columns = len(cell.gates) * 5
    return {"kernel": np.zeros((4, columns), "f"), "recurrent_kernel": np.zeros((5, columns), "f")}


def _all_refuse(cell: Cell, message: str, **gains: Any) -> None:
    x = np.zeros((2, 3, 4), "f")
    with pytest.raises(ShapeError, match=message):
        engine.rnns(cell, x, [Run(**_fitting(cell), **gains)])
    with pytest.raises(ShapeError, match=message):
        reference.forward(cell, x, **_fitting(cell), **gains)


@each
def test_gains_that_are_missing_or_do_not_fit_are_named(label: str) -> None:
    cell = NORMALIZED[label]
    gains = {n: np.ones(shape, "f") for n, shape in cell.norm_shapes(5).items()}
    for name in gains:
        left = {n: a for n, a in gains.items() if n != name}
        about = f"a {cell.kind} with norm_epsilon=0.001"
        _all_refuse(cell, f"`{name}` is missing, which {about} needs", **left)
        _all_refuse(cell, f"`{name}` must have shape", **left, **{name: gains[name][:, :-1]})
        with pytest.raises(ShapeError, match=f"`{name}` must be None for .*norm_epsilon=0.0"):
            engine.rnns(replace(cell, norm_epsilon=0.0), np.zeros((2, 3, 4), "f"),
                        [Run(**_fitting(cell), **{name: gains[name]})])  # fmt: skip
    if label != "lstm":
        _all_refuse(cell, "`norm_cell` must be None", **gains, norm_cell=np.ones((2, 5), "f"))


def test_cells_that_cannot_be_normalised_are_refused() -> None:
    with pytest.raises(UsageError, match="`norm_epsilon` must be 0 for a gru with reset_after=Fal"):
        Cell("gru", reset_after=False, norm_epsilon=1e-3)
    for wrong in (-1e-3, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="`norm_epsilon` must be a number of at least 0"):
            Cell("lstm", norm_epsilon=wrong)


@needs_kernels
def test_a_chain_and_its_module_check_gains() -> None:
    cell, chain = NORMALIZED["gru"], Chain(2, 4)
    weights = _fitting(cell)
    with pytest.raises(ShapeError, match="`norm` is missing"):
        chain.recurrent(cell, **weights)
    with pytest.raises(ShapeError, match=r"`norm` must have shape \(2, 15\), received \(1, 15\)"):
        chain.recurrent(cell, **weights, norm=np.ones((1, 15)))
    raw = native.module().Stream(2, 4)
    good = (2, 1, 2, True, False, *weights.values(), None, None)
    gains, short = np.ones((2, 15), "f"), np.ones((1, 15), "f")
    of_cell = np.ones((2, 5), "f")
    for call in (
        (*good, None, None, 0, 0, 1e-3),
        (*good, gains, None, 0, 0, 0),
        (*good, gains, of_cell, 0, 0, 1e-3),
        (*good, short, None, 0, 0, 1e-3),
        (*good, gains, None, 0, 0, -1),
        (2, 1, 2, False, *good[4:], gains, None, 0, 0, 1e-3),
    ):
        with pytest.raises(ValueError, match=r"must|belong"):
            raw.recurrent(*call)
