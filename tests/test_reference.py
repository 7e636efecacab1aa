"""The reference against differences, against Keras's own layers, and against itself."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import cases
import stock_keras
from cases import CASES, CELLS, STOCK, Arrays, Case, Results
from sunhwan.engine import reference
from sunhwan.engine.cell import Cell
from sunhwan.errors import ShapeError

Array = NDArray[np.floating]
_OPTIONAL = ("bias", "peephole", "projection", "norm", "norm_cell")


def _arguments(given: Arrays) -> dict[str, Array]:
    """Return every differentiable argument by name."""
    named = {"x": given.x, "kernel": given.kernel, "recurrent_kernel": given.recurrent_kernel}
    named |= {n: a for n in _OPTIONAL if (a := getattr(given, n)) is not None}
    return named | {f"initial_state[{n}]": s for n, s in enumerate(given.initial_state or ())}


def _with(given: Arrays, name: str, value: Array) -> Arrays:
    """Return the arrays with one argument replaced."""
    changed = _arguments(given) | {name: value}
    states = [changed.pop(n) for n in list(changed) if n.startswith("initial_state")]
    arguments: dict[str, Any] = changed | {"initial_state": tuple(states) or None}
    return replace(given, **arguments)


# ---------------------------------------------------------------- (a) differences


def _tiny_cases() -> Iterator[Case]:
    """Yield B=2, T=3, D=2, H=3 with each cell of the table, masked and reversed."""
    for n, cell in enumerate(dict.fromkeys(case.cell for case in CASES)):
        if cell.norm_epsilon:  # three units of nearly no variance bend too much for differences
            cell = replace(cell, norm_epsilon=0.3)
        name = "-".join([cell.kind, cell.activation, cell.recurrent_activation])
        name += "" if cell.reset_after else "-before"
        name += f"-norm{n}" if cell.norm_epsilon else ""
        tiny = Case(f"tiny-{name}", cell, B=2, T=3, D=2, H=3, initial_state=True)
        yield replace(tiny, mask=(None, "holes")[n % 2], go_backwards=n % 3 == 0)
    for label, cell in CELLS.items():
        tiny = Case(f"tiny-{label}", cell, B=2, T=3, D=2, H=3, initial_state=True)
        yield replace(tiny, name=f"{tiny}-no_bias", use_bias=False)
        yield replace(tiny, name=f"{tiny}-right-backwards", mask="right", go_backwards=True)
        yield replace(tiny, name=f"{tiny}-one_empty", mask="one_empty")
        yield replace(tiny, name=f"{tiny}-zero", mask="holes", zero_output_for_mask=True)
        zoneout = replace(cell, zoneout_h=0.3, zoneout_c=0.4 if cell.kind == "lstm" else 0.0)
        yield replace(tiny, name=f"{tiny}-scales", input_scale=True, state_scale=True)
        yield replace(tiny, name=f"{tiny}-zoneout", cell=zoneout, noise=True)
        yield replace(
            tiny, name=f"{tiny}-everything", cell=zoneout, T=4, mask="holes", go_backwards=True,
            reset=True, input_scale=True, state_scale=True, peephole=cell.kind == "lstm",
        )  # fmt: skip
    lstm = Case("tiny-lstm", CELLS["lstm"], B=2, T=3, D=2, H=3, initial_state=True, peephole=True)
    yield replace(lstm, name="tiny-lstm-peephole")
    yield replace(lstm, name="tiny-lstm-peephole-reset", reset=True)
    small = replace(lstm, name="tiny-lstm-projection", H=4, P=3, mask="holes")
    yield replace(small, peephole=False)
    yield replace(
        small, name="tiny-lstm-projection-everything", go_backwards=True, noise=True, reset=True,
        cell=replace(CELLS["lstm"], zoneout_h=0.3, zoneout_c=0.4), input_scale=True,
        state_scale=True, zero_output_for_mask=True, T=5,
    )  # fmt: skip


def _flat(case: Case, given: Arrays) -> Array:
    """Return all outputs, last states and states of every step of a run as one vector."""
    return np.concatenate([part.ravel() for part in _parts(cases.run(case, given))])


def _parts(run: reference.Run) -> tuple[Array, ...]:
    return (run.outputs, *run.states, *run.sequences)


def _jacobian_by_differences(case: Case, given: Arrays, name: str, step: float) -> Array:
    """Return d results / d argument, one column per element, by central differences."""
    value = _arguments(given)[name]
    columns = []
    for index in np.ndindex(value.shape):
        nudge = np.zeros_like(value)
        nudge[index] = step
        up = _flat(case, _with(given, name, value + nudge))
        down = _flat(case, _with(given, name, value - nudge))
        columns.append((up - down) / (2 * step))
    return np.stack(columns, axis=1)


def _jacobian(case: Case, given: Arrays) -> dict[str, Array]:
    """Return d results / d argument for each argument, one backward per result."""
    run = cases.run(case, given)
    sizes = [part.size for part in _parts(run)]
    rows: dict[str, list[Array]] = {}
    for one in np.eye(sum(sizes)):
        pieces = np.split(one, np.cumsum(sizes)[:-1])
        d_outputs, *d_all = (
            d.reshape(part.shape) for d, part in zip(pieces, _parts(run), strict=True)
        )
        back = reference.backward(
            run, d_outputs, d_all[: case.cell.states], d_all[case.cell.states :]
        )
        for name in ("x", "kernel", "recurrent_kernel", *_OPTIONAL):
            if getattr(back, name) is not None:
                rows.setdefault(name, []).append(getattr(back, name).ravel())
        for n, d_state in enumerate(back.initial_state):
            rows.setdefault(f"initial_state[{n}]", []).append(d_state.ravel())
    return {name: np.stack(row) for name, row in rows.items()}


@pytest.mark.parametrize("case", list(_tiny_cases()), ids=str)
def test_every_derivative_equals_central_differences(case: Case) -> None:
    given = cases.arrays(case, np.float64)
    jacobian = _jacobian(case, given)
    assert jacobian.keys() == _arguments(given).keys()
    for name, analytic in jacobian.items():
        # step 1e-5: cut-off about step^2 = 1e-10, rounding 1e-16 / step = 1e-11
        numeric = _jacobian_by_differences(case, given, name, 1e-5)
        assert np.abs(numeric).max() > 1e-3, f"{name} has no influence: the case tests nothing"
        assert analytic.shape == numeric.shape
        assert np.abs(analytic - numeric).max() < 1e-8, name


# ---------------------------------------------------------------- (b) Keras


@functools.cache
def _stock(chunk: int, size: int = 20) -> dict[str, Results]:
    """Return the results of Keras's layers for one part of the table."""
    part = STOCK[chunk * size : (chunk + 1) * size]
    found = stock_keras.results([(case, cases.arrays(case)) for case in part])
    return {case.name: results for case, results in zip(part, found, strict=True)}


@pytest.mark.parametrize("case", STOCK, ids=str)
def test_outputs_states_and_gradients_equal_keras(case: Case) -> None:
    got = _stock(STOCK.index(case) // 20)[case.name]
    want = cases.expected(case, cases.arrays(case))
    assert cases.mismatches(case, got, want) == {}


# ---------------------------------------------------------------- wrong arguments


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", np.zeros((2, 3)), r"`x` must have shape \[B, T, D\], received \(2, 3\)"),
        ("x", np.full((2, 3, 4), "a"), "`x` must hold real numbers"),
        ("kernel", np.zeros((5, 20)), r"\[D, G\*H\] with D = 4, G\*H = 20, received \(5, 20\)"),
        ("kernel", np.zeros((4, 15)), "`kernel` must have shape"),
        ("recurrent_kernel", np.zeros((5, 15)), r"`recurrent_kernel`.* received \(5, 15\)"),
        ("bias", np.zeros((2, 20)), r"`bias` must have shape \[G\*H\] with G\*H = 20"),
        ("initial_state", (np.zeros((2, 5)),), "must be a tuple of 2 .* received tuple of 1"),
        ("initial_state", np.zeros((2, 2, 5)), "must be a tuple of 2 .* received ndarray"),
        ("initial_state", (np.zeros((2, 5)), np.zeros((1, 5))), r"`initial_state\[1\]`.*B = 2"),
        ("mask", np.ones((2, 4), dtype=bool), r"`mask` must be bool\[B, T\] with B = 2, T = 3"),
        ("mask", np.ones((2, 3)), "received float64"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(name: str, value: object, message: str) -> None:
    fitting: dict[str, Any] = {
        "x": np.zeros((2, 3, 4)),
        "kernel": np.zeros((4, 20)),
        "recurrent_kernel": np.zeros((5, 20)),
        "bias": np.zeros(20),
    }
    with pytest.raises(ShapeError, match=message):
        reference.forward(Cell("lstm"), **fitting | {name: value})


def test_a_bias_of_the_other_gru_is_refused() -> None:
    for reset_after, shape in ((True, (15,)), (False, (2, 15))):
        with pytest.raises(ShapeError, match="`bias` must have shape"):
            reference.forward(
                Cell("gru", reset_after=reset_after),
                np.zeros((2, 3, 4)),
                np.zeros((4, 15)),
                np.zeros((5, 15)),
                np.zeros(shape),
            )


def test_derivatives_that_do_not_fit_are_named() -> None:
    run = reference.forward(
        Cell("simple_rnn"), np.zeros((2, 3, 4)), np.zeros((4, 5)), np.zeros((5, 5))
    )
    with pytest.raises(ShapeError, match="`d_outputs` must have shape"):
        reference.backward(run, np.zeros((2, 5)))
    with pytest.raises(ShapeError, match=r"`d_states\[0\]` must have shape"):
        reference.backward(run, d_states=(np.zeros((5, 2)),))
    assert reference.backward(run).bias is None
