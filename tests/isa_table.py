"""Cases through the engine in one program: quick enough for many processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

import cases
from sunhwan import engine

_QUICK = {"xla_backend_optimization_level": 0}
_WEIGHTS = (
    "x",
    "kernel",
    "recurrent_kernel",
    "bias",
    "initial_state",
    "peephole",
    "projection",
    "norm",
    "norm_cell",
)
#: runs a case: of case, input, run, mask and resets, the outputs and the last states
Way = Callable[[cases.Case, Any, engine.Run, Any, Any], Any]


def by_engine(case: cases.Case, x: Any, run: engine.Run, mask: Any, reset: Any) -> Any:
    """The case as the engine runs it: by kernel where there is one."""
    [result] = engine.rnns(
        case.cell,
        x,
        [run],
        mask=mask,
        reset=reset,
        zero_output_for_mask=case.zero_output_for_mask,
        return_sequences=case.return_sequences,
        return_state_sequences=case.return_state_sequences,
    )
    return result


def results(
    batch: Sequence[tuple[cases.Case, cases.Arrays]], way: Way = by_engine
) -> list[cases.Results]:
    """Return outputs, states and gradients of each case by the names of `cases.expected`."""

    def forward(case: cases.Case, given: cases.Arrays, weights: Any) -> Any:
        rest = cases.variants(given) | weights
        x, reset = rest.pop("x"), rest.pop("reset", None)
        run = engine.Run(**rest, go_backwards=case.go_backwards)
        outputs, states = way(case, x, run, given.mask, reset)
        out = {"outputs": outputs if case.return_sequences else states[0]}
        if case.return_state:
            out["states"] = states[: case.cell.states]
        if case.return_state_sequences:
            out["sequences"] = states[case.cell.states :]
        return out

    def everything(operands: Any, upstream: Any) -> Any:
        found = []
        for (case, given), weights, back in zip(batch, operands, upstream, strict=True):
            out, pull = jax.vjp(lambda w, c=case, g=given: forward(c, g, w), weights)
            found.append((out, pull(back)[0]))
        return found

    operands = [
        {name: getattr(g, name) for name in _WEIGHTS if getattr(g, name) is not None}
        for _, g in batch
    ]
    upstream = [
        {"outputs": g.d_outputs}
        | ({} if g.d_states is None else {"states": g.d_states})
        | ({} if g.d_sequences is None else {"sequences": g.d_sequences})
        for _, g in batch
    ]
    found = jax.jit(everything, compiler_options=_QUICK)(operands, upstream)
    return [_flat(out, "") | _flat(back, "d_") for out, back in found]


def _flat(tree: Any, prefix: str) -> cases.Results:
    flat: cases.Results = {}
    for name, value in tree.items():
        if isinstance(value, tuple):
            flat |= {f"{prefix}{name}[{i}]": np.asarray(v) for i, v in enumerate(value)}
        else:
            flat[prefix + name] = np.asarray(value)
    return flat


def check(chosen: Sequence[cases.Case]) -> None:
    """Compare with the reference; the first case that is off is an error that names it."""
    batch = [(case, cases.arrays(case)) for case in chosen]
    for (case, given), got in zip(batch, results(batch), strict=True):
        want = cases.expected(case, given)
        off = cases.mismatches(case, got, {name: want[name] for name in got})
        if off:
            raise AssertionError(f"{case}: {off}")
