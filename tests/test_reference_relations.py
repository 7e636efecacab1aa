"""Relations that the reference must keep and that need no second opinion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import cases
from cases import CELLS, Arrays, Case, Results
from sunhwan.engine import reference
from sunhwan.engine.cell import Cell

#: results that are sums over the batch
WEIGHTS = ("d_kernel", "d_recurrent_kernel", "d_bias")


def _close(got: NDArray[np.floating], want: NDArray[np.floating]) -> bool:
    """Tell whether float64 results agree; 1e-12 is some thousand roundings of the largest value."""
    scale = max(1.0, float(np.max(np.abs(want), initial=0.0)))
    return np.shape(got) == np.shape(want) and bool((np.abs(got - want) <= 1e-12 * scale).all())


def _relation_cases() -> Iterator[Case]:
    """Yield each cell without a mask and with masks, forward and backwards."""
    for label, cell in CELLS.items():
        base = Case(label, cell, B=3, T=7, D=2, H=5, initial_state=True)
        yield replace(base, name=f"{label}-no_mask")
        yield replace(base, name=f"{label}-holes", mask="holes")
        yield replace(base, name=f"{label}-one_empty", mask="one_empty")
        yield replace(base, name=f"{label}-right-backwards", mask="right", go_backwards=True)


relations = pytest.mark.parametrize("case", list(_relation_cases()), ids=str)


def _same(got: Results, want: Results) -> bool:
    return got.keys() == want.keys() and all(_close(got[name], want[name]) for name in want)


def _masked(given: Arrays) -> NDArray[np.bool_]:
    """Return bool[B, T], True where a step is skipped."""
    return np.zeros(given.x.shape[:2], dtype=bool) if given.mask is None else ~given.mask


@relations
def test_two_halves_that_hand_on_the_state_equal_the_whole(case: Case) -> None:
    given = cases.arrays(case, np.float64)
    cut = 3
    early, late = slice(None, cut), slice(cut, None)
    last = case.T - cut
    parts = (slice(last, None), slice(None, last)) if case.go_backwards else (early, late)
    halves = [replace(given, x=given.x[:, part], mask=~_masked(given)[:, part]) for part in parts]
    first = cases.run(case, halves[0])
    second = cases.run(case, replace(halves[1], initial_state=first.states))
    back_second = reference.backward(second, given.d_outputs[:, late], given.d_states)
    back_first = reference.backward(first, given.d_outputs[:, early], back_second.initial_state)
    d_x = np.zeros_like(given.x)
    d_x[:, parts[0]], d_x[:, parts[1]] = back_first.x, back_second.x
    got = {
        "outputs": np.concatenate([first.outputs, second.outputs], axis=1),
        "d_x": d_x,
    }
    for name in ("kernel", "recurrent_kernel", "bias"):
        got[f"d_{name}"] = getattr(back_first, name) + getattr(back_second, name)
    got |= {f"states[{n}]": state for n, state in enumerate(second.states)}
    got |= {f"d_initial_state[{n}]": d for n, d in enumerate(back_first.initial_state)}
    assert _same(got, cases.expected(case, given))


@relations
def test_rows_do_not_know_their_place_in_the_batch(case: Case) -> None:
    given = cases.arrays(case, np.float64)
    order = np.array([2, 0, 1])
    permuted = replace(
        given,
        x=given.x[order],
        mask=None if given.mask is None else given.mask[order],
        initial_state=tuple(s[order] for s in given.initial_state or ()),
        d_outputs=given.d_outputs[order],
        d_states=tuple(d[order] for d in given.d_states or ()),
    )
    want = {
        name: value if name in WEIGHTS else value[order]
        for name, value in cases.expected(case, given).items()
    }
    assert _same(cases.expected(case, permuted), want)


@pytest.mark.parametrize("label", CELLS)
def test_right_padding_with_a_mask_equals_no_padding(label: str) -> None:
    case = Case(label, CELLS[label], B=3, T=5, D=2, H=4, initial_state=True)
    given = cases.arrays(case, np.float64)
    padding = ((0, 0), (0, 2), (0, 0))
    padded = replace(
        given,
        x=np.pad(given.x, padding, constant_values=7.0),
        mask=np.tile(np.arange(7) < 5, (3, 1)),
        d_outputs=np.pad(given.d_outputs, padding),
    )
    got = cases.expected(replace(case, T=7), padded)
    assert not got["d_x"][:, 5:].any()
    assert (got["outputs"][:, 5:] == got["outputs"][:, 4:5]).all()
    got["outputs"], got["d_x"] = got["outputs"][:, :5], got["d_x"][:, :5]
    assert _same(got, cases.expected(case, given))


@relations
def test_masked_steps_equal_steps_removed_by_hand_row_by_row(case: Case) -> None:
    given = cases.arrays(case, np.float64)
    live = ~_masked(given)
    order = slice(None, None, -1) if case.go_backwards else slice(None)
    # derivatives of copied outputs would belong to the step before, which is not tested here
    given = replace(given, d_outputs=given.d_outputs * live[:, order, None])
    want = cases.expected(case, given)
    sums = {name: np.zeros_like(want[name]) for name in WEIGHTS}
    for b in range(case.B):
        row = slice(b, b + 1)
        alone = replace(
            given,
            x=given.x[row, live[b]],
            mask=None,
            initial_state=tuple(s[row] for s in given.initial_state or ()),
            d_outputs=given.d_outputs[row, live[b, order]],
            d_states=tuple(d[row] for d in given.d_states or ()),
        )
        got = cases.expected(replace(case, B=1), alone)
        sums = {name: total + got.pop(name) for name, total in sums.items()}
        rows = {name: value[row] for name, value in want.items() if name not in sums}
        rows["outputs"] = rows["outputs"][:, live[b, order]]
        rows["d_x"] = rows["d_x"][:, live[b]]
        assert _same(got, rows)
    assert _same(sums, {name: want[name] for name in sums})


@relations
def test_backwards_equals_forward_on_flipped_input(case: Case) -> None:
    given = cases.arrays(case, np.float64)
    mask = None if given.mask is None else given.mask[:, ::-1]
    flipped = replace(given, x=given.x[:, ::-1], mask=mask)
    got = cases.expected(replace(case, go_backwards=not case.go_backwards), flipped)
    got["d_x"] = got["d_x"][:, ::-1]
    want = cases.expected(case, given)
    assert all(np.array_equal(got[name], want[name]) for name in want)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("zero_output_for_mask", [False, True])
@relations
def test_nothing_in_a_masked_step_changes_a_bit(
    case: Case, poison: float, zero_output_for_mask: bool
) -> None:
    case = replace(case, zero_output_for_mask=zero_output_for_mask)
    given = cases.arrays(case, np.float64)
    x = np.where(_masked(given)[:, :, None], poison, given.x)
    got, want = cases.expected(case, replace(given, x=x)), cases.expected(case, given)
    assert all(np.array_equal(got[name], want[name]) for name in want)


@pytest.mark.parametrize("label", CELLS)
@pytest.mark.parametrize("go_backwards", [False, True])
def test_no_step_returns_the_initial_state(label: str, go_backwards: bool) -> None:
    case = Case(
        label, CELLS[label], B=3, T=0, D=2, H=4, initial_state=True, go_backwards=go_backwards
    )
    given = cases.arrays(case, np.float64)
    assert given.initial_state is not None
    assert given.d_states is not None
    got = cases.expected(case, given)
    assert got["outputs"].shape == (3, 0, 4)
    assert got["d_x"].shape == (3, 0, 2)
    for n in range(case.cell.states):
        assert np.array_equal(got[f"states[{n}]"], given.initial_state[n])
        assert np.array_equal(got[f"d_initial_state[{n}]"], given.d_states[n])
    assert not any(got[name].any() for name in WEIGHTS)


@pytest.mark.parametrize("label", CELLS)
def test_rows_masked_everywhere_return_the_initial_state(label: str) -> None:
    case = Case(label, CELLS[label], B=3, T=5, D=2, H=4, mask="all_empty", initial_state=True)
    given = cases.arrays(case, np.float64)
    assert given.initial_state is not None
    got = cases.expected(case, given)
    assert (got["outputs"] == given.initial_state[0][:, None]).all()
    for n, state in enumerate(given.initial_state):
        assert np.array_equal(got[f"states[{n}]"], state)


def test_an_empty_batch_has_empty_results_and_zero_gradients() -> None:
    case = Case("empty", Cell("lstm"), B=0, T=4, D=2, H=3)
    got = cases.expected(case, cases.arrays(case, np.float64))
    assert got["outputs"].shape == (0, 4, 3)
    assert got["d_x"].shape == (0, 4, 2)
    assert got["d_kernel"].shape == (2, 12)
    assert not got["d_kernel"].any()
