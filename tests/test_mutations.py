"""Mistakes that the comparison must catch, made in what the compiled kernels are given.

test_cases.py makes them in the reference; here each reaches the kernels, forward and backward, and
must be far outside every tolerance. Where a mistake changes only the way back, so must a gradient.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

import cases
import isa_table
import sunhwan
import test_cases
from layer_pairs import NAMES, array
from sunhwan.engine import kernel_calls, native

pytestmark = pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
#: one case in five, so that one compiled program holds a mistake in all of them
_SOME = cases.CASES[2::5]


def _seen(case: cases.Case, got: cases.Results, want: cases.Results) -> float:
    return max(cases.mismatches(case, got, want).values(), default=0.0)


@pytest.mark.parametrize("mutation", test_cases.MUTATIONS)
def test_a_mistake_in_what_the_kernels_are_given_is_seen(mutation: str) -> None:
    """Outputs, states and gradients of the mutant against the reference of the good case."""
    wanted, mutants = [], []
    for case in _SOME:
        given = cases.arrays(case)
        mutant = test_cases.MUTATIONS[mutation](case, given)
        without_a_step = mutation not in test_cases.SEEN_WITHOUT_A_STEP
        if mutant is None or (case.mask == "all_empty" and without_a_step):
            continue
        wanted.append((case, cases.expected(case, given)))
        mutants.append(mutant)
    assert mutants
    for (case, want), got in zip(wanted, isa_table.results(mutants), strict=True):
        seen = _seen(case, got, {name: want[name] for name in got})
        assert seen > test_cases.FAR, f"{case}: {mutation} is not seen ({seen})"


def _gate_alone(case: cases.Case, gate: int) -> cases.Arrays:
    """Return arrays in which only one gate has weights."""
    given = cases.arrays(case)

    def alone(array: Any) -> Any:
        kept = np.zeros_like(array)
        columns = slice(gate * case.H, (gate + 1) * case.H)
        kept[..., columns] = array[..., columns]
        return kept

    names = ("kernel", "recurrent_kernel", "bias")
    return replace(given, **{name: alone(getattr(given, name)) for name in names})


@pytest.mark.parametrize("label", cases.CELLS)
def test_b33_each_gate_alone(label: str) -> None:
    """A gate whose columns lie elsewhere would show: all others have no weight at all."""
    cell = cases.CELLS[label]
    base = cases.Case(label, cell, 3, 4, 5, 7, initial_state=True)
    batch = [(base, _gate_alone(base, gate)) for gate in range(len(cell.gates))]
    found = isa_table.results(batch)
    for (case, given), got in zip(batch, found, strict=True):
        assert cases.mismatches(case, got, cases.expected(case, given)) == {}
    for n, (case, given) in enumerate(batch):
        for m, got in enumerate(found):
            if m != n:
                assert _seen(case, got, cases.expected(case, given)) > test_cases.FAR


@pytest.mark.parametrize("what", ["mask", "bias", "checkpoints", "record", "dc_sequence"])
def test_a_mistake_between_forward_and_backward_is_seen(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way back is given another mask, bias, checkpoints or gradients of cells.

    No record of gates is harmless.
    """
    options = {"mask": "holes", "return_state_sequences": True}
    case = cases.Case("lstm-between", cases.CELLS["lstm"], 5, 37, 3, 19, **options)
    given = cases.arrays(case)
    real = kernel_calls.call_handler

    def altered(target: str, options: Any, operands: Any, results: Any) -> Any:
        if "backward" in target:
            operands = list(operands)
            n = kernel_calls.BACKWARD_INPUTS.index(what)
            operands[n] = jax.numpy.roll(operands[n], 1, axis=-1)
        return real(target, options, operands, results)

    want = cases.expected(case, given)
    monkeypatch.setattr(kernel_calls, "call_handler", altered)
    (got,) = isa_table.results([(case, given)])
    seen = _seen(case, got, {name: want[name] for name in got})
    if what == "record":
        assert seen == 0
    else:
        assert seen > test_cases.FAR


@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_in_the_layer_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison with the stock layer fails if ours forgets direction, mask or bias."""
    from sunhwan.layers import loop

    x = array(3, 6, 4)
    mask = np.arange(6) < np.array([[6], [2], [4]])
    layer = getattr(sunhwan.layers, name)(5, go_backwards=True, bias_initializer="ones")
    layer.build(x.shape)
    good = np.asarray(layer(x, mask=mask))
    engine = loop.engine
    real = engine.rnns

    def run_with(change: Any) -> Any:
        def wrong(cell: Any, x: Any, runs: Any, **options: Any) -> Any:
            runs, options = change(list(runs), dict(options))
            return real(cell, x, runs, **options)

        monkeypatch.setattr(engine, "rnns", wrong)
        return np.asarray(layer(x, mask=mask))

    changes = {
        "nothing": lambda runs, options: (runs, options),
        "flip": lambda runs, options: ([replace(r, go_backwards=False) for r in runs], options),
        "bias": lambda runs, options: ([replace(r, bias=None) for r in runs], options),
        "mask": lambda runs, options: (runs, options | {"mask": None}),
        "shift": lambda runs, options: (
            runs,
            options | {"mask": jax.numpy.roll(options["mask"], 1, axis=1)},
        ),
    }
    worst = {what: np.abs(run_with(change) - good).max() for what, change in changes.items()}
    assert worst.pop("nothing") == 0
    assert min(worst.values()) > 1e-3, worst
