"""The table of cases: that it covers what it must, and that mistakes cannot pass its tolerances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

import cases
from cases import CASES, CELLS, MASKS, Arrays, Case
from sunhwan.engine.cell import ACTIVATIONS

#: a mistake changes the call, or (None) has no meaning for this case
Mutation = Callable[[Case, Arrays], tuple[Case, Arrays] | None]
#: how many tolerances a mistake must be off: far beyond what an unlucky rounding could hide
FAR = 100.0


def _columns(case: Case, array: NDArray[np.floating], order: list[int]) -> NDArray[np.floating]:
    """Return the weights with their gates in another order."""
    gates = np.split(array, len(case.cell.gates), axis=-1)
    return np.concatenate([gates[n] for n in order], axis=-1)


def _swap_gates(first: int, second: int) -> Mutation:
    def mutate(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
        cell = case.cell
        if second >= len(cell.gates):
            return None
        # i and c are multiplied: with the same function they cannot be told apart
        alike = cell.kind == "lstm" and cell.activation == cell.recurrent_activation
        if alike and (first, second) == (0, 2):
            return None
        order = list(range(len(cell.gates)))
        order[first], order[second] = second, first
        bias = None if given.bias is None else _columns(case, given.bias, order)
        return case, replace(
            given,
            kernel=_columns(case, given.kernel, order),
            recurrent_kernel=_columns(case, given.recurrent_kernel, order),
            bias=bias,
        )

    return mutate


def _drop_bias(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    return None if given.bias is None else (case, replace(given, bias=np.zeros_like(given.bias)))


def _swap_bias_rows(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    if given.bias is None or given.bias.ndim == 1:
        return None
    return case, replace(given, bias=given.bias[::-1])


def _shift_mask(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    if given.mask is None or np.array_equal(given.mask, np.roll(given.mask, 1, axis=1)):
        return None
    return case, replace(given, mask=np.roll(given.mask, 1, axis=1))


def _forget_mask(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    if given.mask is None or given.mask.all():
        return None
    return case, replace(given, mask=None)


def _miss_flip(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    return (replace(case, go_backwards=False), given) if case.go_backwards else None


def _miss_flip_of_mask(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    if not case.go_backwards or given.mask is None:
        return None
    return case, replace(given, mask=given.mask[:, ::-1])


def _swap_reset(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    # with one unit r * (h U) is (r * h) U, and with h = 0 both are 0
    if (
        case.cell.norm_epsilon
        or case.cell.kind != "gru"
        or case.H == 1
        or (case.T == 1 and not case.initial_state)
    ):
        return None
    bias = given.bias
    if bias is not None:
        bias = bias.sum(axis=0) if case.cell.reset_after else np.stack([bias, 0 * bias])
    cell = replace(case.cell, reset_after=not case.cell.reset_after)
    return replace(case, cell=cell), replace(given, bias=bias)


def _forget_state(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    if given.initial_state is None:
        return None
    return case, replace(given, initial_state=tuple(0 * s for s in given.initial_state))


def _swap_states(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    if given.initial_state is None or len(given.initial_state) == 1 or case.P:
        return None
    return case, replace(given, initial_state=given.initial_state[::-1])


def _copy_output(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    if not (case.zero_output_for_mask and case.return_sequences):
        return None
    return replace(case, zero_output_for_mask=False), given


def _forget(name: str) -> Mutation:
    def mutate(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
        return None if getattr(given, name) is None else (case, replace(given, **{name: None}))

    return mutate


def _change(name: str, change: Callable[[NDArray], NDArray]) -> Mutation:
    def mutate(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
        value = getattr(given, name)
        # a SimpleRNN has one gate, whose scale has no neighbour
        if value is None or np.array_equal(change(value), value):
            return None
        return case, replace(given, **{name: change(value)})

    return mutate


def _swap_rates(case: Case, given: Arrays) -> tuple[Case, Arrays] | None:
    h, c = case.cell.zoneout_h, case.cell.zoneout_c
    if case.cell.kind != "lstm" or h == c:
        return None
    return replace(case, cell=replace(case.cell, zoneout_h=c, zoneout_c=h)), given


MUTATIONS: dict[str, Mutation] = {
    **{f"gates {a} and {b} swapped": _swap_gates(a, b) for a, b in combinations(range(4), 2)},
    "bias dropped": _drop_bias,
    "bias rows swapped": _swap_bias_rows,
    "mask shifted by one": _shift_mask,
    "mask forgotten": _forget_mask,
    "flip missed": _miss_flip,
    "flip of the mask missed": _miss_flip_of_mask,
    "reset_after swapped": _swap_reset,
    "initial state forgotten": _forget_state,
    "h and c swapped": _swap_states,
    "output copied instead of 0": _copy_output,
    "resets forgotten": _forget("reset"),
    "resets a step late": _change("reset", lambda a: np.roll(a, 1, axis=1)),
    "peepholes forgotten": _forget("peephole"),
    "peepholes of i and f swapped": _change("peephole", lambda a: a[[1, 0, 2]]),
    "peepholes of f and o swapped": _change("peephole", lambda a: a[[0, 2, 1]]),
    "gains forgotten": _change("norm", np.ones_like),
    "gains of input and state swapped": _change("norm", lambda a: a[::-1]),
    "gain and offset of the cell swapped": _change("norm_cell", lambda a: a[::-1]),
    "scales of the input forgotten": _forget("input_scale"),
    "scales of the input at the next gate": _change("input_scale", lambda a: np.roll(a, 1, axis=1)),
    "scales of the state forgotten": _forget("state_scale"),
    "scales of the state at the next gate": _change("state_scale", lambda a: np.roll(a, 1, axis=1)),
    "projection of the next unit": _change("projection", lambda a: np.roll(a, 1, axis=0)),
    "projection onto the next unit": _change("projection", lambda a: np.roll(a, 1, axis=1)),
    "keys forgotten": _forget("noise"),
    "keys swapped": _change("noise", lambda a: a[:, ::-1]),
    "rates of h and c swapped": _swap_rates,
}
#: where every step is masked, weights, gates and direction change nothing
SEEN_WITHOUT_A_STEP = ("mask forgotten", "initial state forgotten", "h and c swapped")


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mistake_is_far_outside_the_tolerance(mutation: str) -> None:
    relevant = 0
    for case in CASES:
        given = cases.arrays(case)
        mutant = MUTATIONS[mutation](case, given)
        if mutant is None or (case.mask == "all_empty" and mutation not in SEEN_WITHOUT_A_STEP):
            continue
        relevant += 1
        want = cases.expected(case, given, gradients=False)
        got = cases.expected(*mutant, gradients=False)
        off = cases.mismatches(case, got, want)
        assert max(off.values(), default=0.0) > FAR, f"{case}: {mutation} is not seen, off by {off}"
    assert relevant >= 4


@pytest.mark.parametrize("mutation", [name for name in MUTATIONS if "gates" in name])
def test_a_mistake_in_backward_alone_is_far_outside_the_tolerance(mutation: str) -> None:
    for case in CASES:
        given = cases.arrays(case)
        mutant = MUTATIONS[mutation](case, given)
        if mutant is None or case.mask == "all_empty":
            continue
        want = cases.expected(case, given)
        off = cases.mismatches(case, want | {"d_x": cases.expected(*mutant)["d_x"]}, want)
        assert off.get("d_x", 0.0) > FAR, f"{case}: {mutation} is not seen, off by {off}"


def test_missing_misshapen_and_nan_results_are_mismatches() -> None:
    case = CASES[0]
    want = cases.expected(case, cases.arrays(case))
    assert cases.mismatches(case, want, want) == {}
    broken = dict(want)
    del broken["d_x"]
    assert cases.mismatches(case, broken, want) == {"d_x": np.inf}
    assert cases.mismatches(case, want | {"extra": want["d_x"]}, want) == {"extra": np.inf}
    assert cases.mismatches(case, want | {"d_x": want["d_x"][:1]}, want) == {"d_x": np.inf}
    nan = np.where(want["d_x"] == want["d_x"].max(), np.nan, want["d_x"])
    assert cases.mismatches(case, want | {"d_x": nan}, want) == {"d_x": np.inf}
    assert cases.mismatches(case, {"y": np.full(3, 1e-30)}, {"y": np.zeros(3)}) == {"y": np.inf}


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("label", CELLS)
def test_each_cell_meets_each_option(label: str) -> None:
    cell = CELLS[label]
    own = [c for c in CASES if (c.cell.kind, c.cell.reset_after) == (cell.kind, cell.reset_after)]
    assert {case.cell.activation for case in own} == set(ACTIVATIONS)
    if label != "simple_rnn":
        assert {case.cell.recurrent_activation for case in own} == set(ACTIVATIONS)
    assert {case.mask for case in own} == {None, *MASKS}
    for option in (
        "use_bias",
        "initial_state",
        "return_sequences",
        "return_state",
        "go_backwards",
        "zero_output_for_mask",
        "reset",
        "input_scale",
        "state_scale",
        "noise",
        "return_state_sequences",
    ):
        assert {getattr(case, option) for case in own} == {False, True}, option
    assert any(case.go_backwards and case.mask for case in own)
    assert {1, 7, 17} <= {case.H for case in own}


def test_sizes_cover_what_breaks_kernels() -> None:
    assert {1, 3, 7, 16, 17, 30, 33, 65, 130, 256} <= {case.H for case in CASES}
    assert {1, 2, 5, 13, 31} <= {case.D for case in CASES}
    assert {1, 200} <= {case.T for case in CASES}
    assert 1 in {case.B for case in CASES}
    for case in CASES:
        sizes = (case.B, case.T, case.D, case.H)
        assert len(set(sizes)) == 4 or sizes == (1, 1, 1, 1), f"{case}: sizes could be mixed up"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_arrays_are_the_same_numbers_in_every_dtype_and_moderate(case: Case) -> None:
    single, double = cases.arrays(case), cases.arrays(case, np.float64)
    for name in ("x", "kernel", "recurrent_kernel", "d_outputs"):
        assert getattr(single, name).dtype == np.float32
        assert getattr(double, name).dtype == np.float64
        assert np.array_equal(getattr(single, name), getattr(double, name))
        assert not np.array_equal(getattr(single, name), getattr(cases.arrays(case, seed=1), name))
    results = cases.expected(case, single)
    largest = {name: float(np.abs(value).max()) for name, value in results.items()}
    assert 0.1 < largest["outputs"] < 5, largest
    assert largest["d_x"] < 30, largest
