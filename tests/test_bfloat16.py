"""Products of bfloat16: the engine against the reference that rounds where the kernels do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cases
import gate_records
import isa_table
import subprocesses
from sunhwan import engine
from sunhwan.engine import native, plain, recurrence_parts
from sunhwan.engine.cell import Cell
from sunhwan.engine.chain import Chain
from sunhwan.engine.operands import checked_input, run_operands
from sunhwan.errors import UsageError

needs_bfloat16 = pytest.mark.skipif(
    not native.has_bfloat16(), reason="this machine has no kernels for products of bfloat16"
)
#: from a number to the next in bfloat16, as a part of it, at most
ULP = 2.0**-7


def rounded(case: cases.Case) -> cases.Case:
    """The case with products of bfloat16."""
    return replace(case, cell=replace(case.cell, products="bfloat16"))


def _nearest_tie(monkeypatch: pytest.MonkeyPatch, case: cases.Case, given: cases.Arrays) -> float:
    """How near the reference comes to rounding the other way, as a part of what is rounded.

    Operands that were handed in are rounded alike by everybody, so of the numbers that are rounded
    only those count that float32 cannot hold.
    """
    found = [1.0]
    true = recurrence_parts.into_product

    def watch(cell: Cell, y: Any) -> Any:
        made = np.asarray(y)[np.asarray(y, np.float32) != y]
        if made.size:
            significand = np.frexp(made)[0] * 256
            found.append(float(np.abs(np.abs(significand - np.floor(significand)) - 0.5).min()))
        return true(cell, y)

    with monkeypatch.context() as patch:
        patch.setattr(recurrence_parts, "into_product", watch)
        cases.expected(case, given)
    return found[1:] and min(found) / 256


def _chosen(monkeypatch: pytest.MonkeyPatch, case: cases.Case) -> cases.Arrays:
    """Arrays of a case whose roundings no error of float32 can turn over."""
    for seed in range(200):
        given = cases.arrays(case, seed=seed)
        terms = 8 + case.T + case.D + case.H + len(case.cell.gates) * case.H
        if _nearest_tie(monkeypatch, case, given) > terms * cases.EPS32:
            return given
    raise AssertionError(f"no seed of {case} keeps clear of ties")


SMALL = [
    replace(cases.Case(label, cell, B=2, T=2, D=3, H=3, initial_state=True), **more, name=name)
    for label, cell in cases.CELLS.items()
    for name, more in {
        label: {},
        f"{label}-one_step": {"T": 1, "B": 3, "D": 5, "H": 5},
        f"{label}-mask": {"mask": "right", "go_backwards": True},
        f"{label}-scales": {"input_scale": True, "state_scale": True, "return_sequences": False},
    }.items()
]


@needs_bfloat16
@pytest.mark.parametrize("case", SMALL, ids=str)
def test_each_operand_is_rounded_where_the_reference_rounds_it(
    case: cases.Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same roundings all results agree to float32, far below a rounding to bfloat16."""
    case = rounded(case)
    given = _chosen(monkeypatch, case)
    [got] = isa_table.results([(case, given)])
    want = cases.expected(case, given)
    assert cases.mismatches(case, got, {name: want[name] for name in got}) == {}
    exact = cases.expected(replace(case, cell=replace(case.cell, products="float32")), given)
    off = np.abs(got["outputs"] - exact["outputs"]).max()
    assert off > 10 * cases.tolerance(case, "outputs", exact["outputs"])


def _bounds(case: cases.Case, want: cases.Results) -> dict[str, float]:
    """Return how far each result may be off where a rounding may turn over.

    An error of float32 that takes an operand over a tie moves it by one `ULP` of itself. Ties are
    rare, so a sum of n products has few such operands, and is then off by about ``ULP / sqrt(n)``
    of its size: ``ULP`` of the largest value, beside the errors of float32 sums.
    """
    return {
        name: cases.tolerance(case, name, value) + ULP * float(np.abs(value).max(initial=0))
        for name, value in want.items()
    }


def _check(case: cases.Case, given: cases.Arrays, got: cases.Results) -> None:
    want = cases.expected(case, given)
    for name, bound in _bounds(case, want).items():
        if name in got:
            assert np.abs(got[name] - want[name]).max(initial=0) <= bound, f"{case}: {name}"


#: every twelfth case, those of most units and steps, and one whose units a team shares
TABLE = [
    *(
        rounded(case)
        for n, case in enumerate(cases.CASES)
        if n % 12 == 3 or case.name.endswith(("H130", "H256", "T200", "everything"))
    ),
    rounded(cases.Case("lstm-H400", cases.CELLS["lstm"], B=5, T=3, D=7, H=400, mask="right")),
]


@needs_bfloat16
def test_the_table_of_cases() -> None:
    batch = [(case, cases.arrays(case)) for case in TABLE]
    for (case, given), got in zip(batch, isa_table.results(batch), strict=True):
        _check(case, given, got)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_plain_jax_rounds_on_the_way_there(
    case: cases.Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the way back it takes gradients as they are, which is as near as roundings are."""
    case = rounded(case)
    given = _chosen(monkeypatch, case)

    def run(case: cases.Case, x: Any, run: engine.Run, mask: Any, reset: Any) -> Any:
        operands, sizes = checked_input(x, mask, reset)
        named = operands | run_operands(case.cell, sizes, run)
        return plain.rnn(case.cell, named, go_backwards=run.go_backwards, zero_output=False)

    [got] = isa_table.results([(case, given)], run)
    want = cases.expected(case, given)
    there = {name: want[name] for name in got if not name.startswith("d_")}
    assert cases.mismatches(case, {name: got[name] for name in there}, there) == {}
    _check(case, given, got)


@needs_bfloat16
@pytest.mark.parametrize(("D", "H"), [(1, 3), (34, 17), (33, 40), (300, 16)])
def test_ties_go_to_even_and_sums_are_exact(D: int, H: int) -> None:
    """Of whole numbers all is exact but the rounding of operands, which shows in bits."""
    rng = np.random.default_rng(D)
    x = rng.integers(-1100, 1100, (5, 1, D)).astype("f")
    w = rng.integers(-2, 3, (D, H)).astype("f")
    u = np.diag(rng.integers(1, 3, H)).astype("f")
    h0 = (2.0 * rng.integers(100, 700, (5, H)) + 1).astype("f")
    cell = Cell("simple_rnn", "linear", products="bfloat16")
    y, _ = engine.rnn(cell, x, w, u, initial_state=(jnp.asarray(h0),))
    near = [np.asarray(jnp.asarray(a, jnp.bfloat16).astype("f")) for a in (x[:, 0], h0)]
    np.testing.assert_array_equal(y[:, 0], near[0] @ w + near[1] @ u)
    assert (y[:, 0] != x[:, 0] @ w + h0 @ u).any()


@needs_bfloat16
@pytest.mark.parametrize("label", list(cases.CELLS))
def test_a_row_and_a_way_back_computed_again_have_the_same_bits(label: str) -> None:
    """Alone or among others; with the gates remembered, and from the checkpoints."""
    case = rounded(cases.Case(label, cases.CELLS[label], B=7, T=35, D=40, H=160))
    given = cases.arrays(case)

    def forward(x: Any, kernel: Any) -> Any:
        return engine.rnn(case.cell, x, kernel, given.recurrent_kernel, given.bias)[0]

    y, pull = jax.vjp(forward, jnp.asarray(given.x), jnp.asarray(given.kernel))
    # gates of a SimpleRNN cost so little that the machine's cache decides
    assert gate_records.is_kept(pull) or case.cell.kind == "simple_rnn"
    first = jax.block_until_ready(pull(given.d_outputs))
    assert not gate_records.is_kept(pull)
    for one, other in zip(first, pull(given.d_outputs), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(forward(given.x[3:4], given.kernel), y[3:4])


@needs_bfloat16
def test_what_is_no_number_stays_in_its_row() -> None:
    """NaN and infinity come out where they went in, and nowhere else."""
    cell = Cell("lstm", products="bfloat16")
    given = cases.arrays(cases.Case("odd", cell, B=3, T=4, D=5, H=7))
    x = given.x.copy()
    x[1, 2, 4], x[2, 3, 0] = np.nan, 3.4e38  # rounds to infinity
    y, _ = engine.rnn(cell, x, given.kernel, given.recurrent_kernel)
    clean, _ = engine.rnn(cell, given.x, given.kernel, given.recurrent_kernel)
    np.testing.assert_array_equal(y[0], clean[0])
    np.testing.assert_array_equal(np.isnan(y[1]), np.arange(4)[:, None].repeat(7, 1) >= 2)
    assert np.isfinite(y[2]).all()


def test_unknown_products_are_refused() -> None:
    with pytest.raises(UsageError, match=r"`products` must be one of .*, received 'float16'"):
        Cell("gru", products="float16")
    if native.available():
        chain = Chain(1, 3)
        with pytest.raises(UsageError, match="a chain has products of float32"):
            chain.recurrent(Cell("gru", products="bfloat16"), np.ones((3, 6)), np.ones((2, 6)))


def test_elsewhere_the_engine_does_the_same_in_plain_jax() -> None:
    code = """
import numpy as np
import test_bfloat16 as t
from sunhwan.engine import native, why_plain
case = t.rounded(t.cases.Case("elsewhere", t.cases.CELLS["gru"], B=3, T=4, D=5, H=7))
given = t.cases.arrays(case)
t._check(case, given, t.isa_table.results([(case, given)])[0])
print(why_plain("float32", "bfloat16"))
if native.available():
    native.why_plain = lambda *_: ""  # as if the engine did not look
    try:
        t.isa_table.results([(case, given)])
    except t.jax.errors.JaxRuntimeError as error:
        assert "this machine has no products of bfloat16" in str(error), error
    else:
        raise AssertionError("the handler took the call")
"""
    worst = native.available_isas()[-1] if native.available() else None
    assert subprocesses.printed(code, SUNHWAN_ISA=worst) in (
        f"{worst} has no products of bfloat16",
        native.why_missing(),
    )


@needs_bfloat16
def test_forward_mode_and_second_derivatives() -> None:
    """Directional derivatives are those of the gradient, but for the rounding of the way back."""
    case = rounded(cases.Case("lstm", cases.CELLS["lstm"], B=4, T=5, D=6, H=20))
    given = cases.arrays(case)
    weights = jnp.asarray(given.kernel), jnp.asarray(given.recurrent_kernel)
    rng = np.random.default_rng(7)
    there = tuple(jnp.asarray(rng.standard_normal(w.shape), "float32") for w in weights)

    def loss(kernel: Any, recurrent: Any) -> Any:
        y, _ = engine.rnn(case.cell, given.x, kernel, recurrent, given.bias)
        return (y * given.d_outputs).sum()

    _, along = jax.jvp(loss, weights, there)
    terms = [
        float((g * t).sum()) for g, t in zip(jax.grad(loss, (0, 1))(*weights), there, strict=True)
    ]
    assert float(along) == pytest.approx(sum(terms), abs=2.0**-5 * max(map(abs, terms)))
    bent = jax.jvp(jax.grad(loss), weights, there)[1]
    assert np.isfinite(bent).all()
    assert (bent != 0).any()
