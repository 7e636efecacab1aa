"""The one table of cases for every numerical test, with their arrays and tolerances.

Use it as::

    @pytest.mark.parametrize("case", cases.CASES, ids=str)
    def test_something(case):
        arrays = cases.arrays(case)
        want = cases.expected(case, arrays)
        got = {"outputs": ..., "states[0]": ..., "d_x": ...}
        assert cases.mismatches(case, got, want) == {}
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike, NDArray

import cases_variants
from case import CELLS, MASKS, Case
from sunhwan.engine import reference
from sunhwan.engine.cell import ACTIVATIONS

#: distance from 1 to the next float32
EPS32 = float(np.finfo(np.float32).eps)
#: results by name: outputs, states[n], and the gradients d_x, d_kernel, ..., d_initial_state[n]
Results = dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Arrays:
    """Arguments of one call and the derivatives that come back to it.

    ``d_outputs`` is [B, T, P], or [B, P] without ``return_sequences``; ``d_states`` is None
    without ``return_state``, and ``d_sequences``, [B, T, H] each, without
    ``return_state_sequences``.
    """

    x: NDArray[np.floating]
    kernel: NDArray[np.floating]
    recurrent_kernel: NDArray[np.floating]
    bias: NDArray[np.floating] | None
    initial_state: tuple[NDArray[np.floating], ...] | None
    mask: NDArray[np.bool_] | None
    d_outputs: NDArray[np.floating]
    d_states: tuple[NDArray[np.floating], ...] | None
    reset: NDArray[np.bool_] | None = None
    peephole: NDArray[np.floating] | None = None
    norm: NDArray[np.floating] | None = None
    norm_cell: NDArray[np.floating] | None = None
    input_scale: NDArray[np.floating] | None = None
    state_scale: NDArray[np.floating] | None = None
    noise: NDArray[np.uint32] | None = None
    projection: NDArray[np.floating] | None = None
    d_sequences: tuple[NDArray[np.floating], ...] | None = None


def _gate_functions() -> Iterator[Case]:
    """Yield every gate function in every slot."""
    for label, cell in CELLS.items():
        base = Case(label, cell, B=3, T=6, D=5, H=7, initial_state=True)
        for name in ACTIVATIONS:
            used = replace(cell, activation=name)
            yield replace(base, name=f"{label}-activation-{name}", cell=used)
        for name in ACTIVATIONS if label != "simple_rnn" else ():
            used = replace(cell, recurrent_activation=name)
            if used != cell:  # the default pair is there already
                yield replace(base, name=f"{label}-recurrent_activation-{name}", cell=used)


def _masks() -> Iterator[Case]:
    """Yield every mask, forward and, where the order matters most, backwards."""
    for label, cell in CELLS.items():
        base = Case(label, cell, B=5, T=8, D=2, H=17, initial_state=True)
        for mask in MASKS:
            yield replace(base, name=f"{label}-mask-{mask}", mask=mask)
        for mask in ("right", "holes") if label in ("lstm", "gru_before") else ("left",):
            name = f"{label}-mask-{mask}-backwards"
            yield replace(base, name=name, mask=mask, go_backwards=True)


def _zero_outputs() -> Iterator[Case]:
    """Yield zero_output_for_mask both ways, and where it means nothing: without sequences."""
    for label, cell in CELLS.items():
        base = Case(label, cell, B=4, T=7, D=5, H=3, initial_state=True, zero_output_for_mask=True)
        yield replace(base, name=f"{label}-zero_output", mask="holes")
        if label in ("lstm", "gru"):
            name = f"{label}-zero_output-backwards"
            yield replace(base, name=name, mask="left", go_backwards=True)
        if label == "gru":
            name = f"{label}-zero_output-last"
            yield replace(base, name=name, mask="right", return_sequences=False)


def _options() -> Iterator[Case]:
    """Yield bias, direction and what is returned."""
    for label, cell in CELLS.items():
        base = Case(label, cell, B=3, T=5, D=13, H=7)
        yield replace(base, name=f"{label}-no_bias", use_bias=False)
        yield replace(
            base, name=f"{label}-no_bias-holes", use_bias=False, mask="holes", initial_state=True
        )
        yield replace(base, name=f"{label}-backwards", go_backwards=True, return_state=False)
        last = replace(base, return_sequences=False)
        yield replace(last, name=f"{label}-last", mask="right", return_state=False)
        yield replace(last, name=f"{label}-last-backwards", go_backwards=True, initial_state=True)


def _sizes() -> Iterator[Case]:
    """Yield units around the widths of vectors, with B, T and D that divide nothing."""
    table = (  # B, T, D, H
        (3, 4, 2, 1),
        (2, 4, 13, 3),
        (3, 6, 1, 7),
        (19, 3, 2, 16),
        (4, 2, 31, 17),
        (2, 7, 5, 30),
        (9, 4, 13, 33),
        (3, 2, 1, 65),
    )
    for m, (label, cell) in enumerate(CELLS.items()):
        for n, (B, T, D, H) in enumerate(table):
            if label in ("lstm", "gru") or n % 2 == m % 2:
                mask = "holes" if (n // 2 + m) % 2 else None
                name = f"{label}-B{B}-T{T}-D{D}-H{H}" + ("-holes" if mask else "")
                yield Case(name, cell, B, T, D, H, mask=mask, initial_state=n % 3 == 0)


def _edges() -> Iterator[Case]:
    """Yield sizes of one, long sequences and many units."""
    for label, cell in CELLS.items():
        yield Case(f"{label}-all_sizes_1", cell, 1, 1, 1, 1, initial_state=True)
    for label in ("lstm", "gru_before"):
        yield Case(f"{label}-T1", CELLS[label], B=3, T=1, D=5, H=7, mask="one_empty")
        yield Case(f"{label}-H130", CELLS[label], B=3, T=4, D=31, H=130, initial_state=True)
    for label in ("simple_rnn", "gru"):
        yield Case(f"{label}-B1", CELLS[label], B=1, T=6, D=5, H=7, mask="left")
        yield Case(f"{label}-H256", CELLS[label], B=2, T=3, D=5, H=256, initial_state=True)
    for label, cell in CELLS.items():
        mask = "right" if label in ("lstm", "gru_before") else None
        yield Case(f"{label}-T200", cell, B=2, T=200, D=3, H=5, mask=mask)


CASES: tuple[Case, ...] = (
    *_gate_functions(),
    *_masks(),
    *_zero_outputs(),
    *_options(),
    *_sizes(),
    *_edges(),
    *cases_variants.variants(),
)


def is_variant(case: Case) -> bool:
    """Tell whether a case asks for what Keras's own layers do not have."""
    asked = (case.reset, case.peephole, case.input_scale, case.state_scale, case.noise)
    normalized, projected = case.cell.norm_epsilon > 0, case.P > 0
    options = (any(case.cell.zoneout), normalized, case.return_state_sequences, projected)
    return any(asked) or any(options)


#: what Keras's own layers can do too
STOCK: tuple[Case, ...] = tuple(case for case in CASES if not is_variant(case))


def _mask(case: Case, rng: np.random.Generator) -> NDArray[np.bool_] | None:
    """Return bool[B, T], True where a step counts, or None."""
    B, T = case.B, case.T
    steps = np.arange(T)
    lengths = 1 + np.arange(B) * (T - 1) // max(B - 1, 1)  # 1 to T, or T // 2 for a single row
    lengths = rng.permutation(lengths)[:, None] if B > 1 else np.array([[max(T // 2, 1)]])
    if case.mask == "holes":
        mask = rng.random((B, T)) < 0.6
        mask[0, :3] = np.array([True, False, True])[:T]
        mask[-1, -2:] = np.array([True, False])[:T]
        return mask
    kinds = {
        None: None,
        "right": steps < lengths,
        "left": steps >= T - lengths,
        "one_empty": (steps < lengths) & (np.arange(B) != B // 2)[:, None],
        "all_empty": np.zeros((B, T), dtype=bool),
        "first_only": np.tile(steps == 0, (B, 1)),
        "all_true": np.ones((B, T), dtype=bool),
    }
    return kinds[case.mask]


def arrays(case: Case, dtype: DTypeLike = np.float32, seed: int = 0) -> Arrays:
    """Return the arrays of a case: the same numbers, all exact in float32, in each ``dtype``.

    Everything is random, biases included, so that no two gates, units or steps can be swapped
    unseen. Weights are scaled by the root of what they sum over, so that a step neither
    amplifies nor forgets much; by less where a gate function leaves 0 to 1 and so can amplify.
    """
    rng = np.random.default_rng([zlib.crc32(case.name.encode()), seed])
    B, T, D, H, cell = case.B, case.T, case.D, case.H, case.cell
    gates_amplify = cell.recurrent_activation in ("relu", "linear", "tanh")
    gain = 0.4 if gates_amplify or cell.activation in ("relu", "linear") else 1.0
    columns, P = len(cell.gates) * H, case.P or H

    def draw(*shape: int, scale: float = 1.0) -> NDArray[np.floating]:
        return (scale * rng.standard_normal(shape)).astype(np.float32).astype(dtype)

    def scale(*shape: int) -> NDArray[np.floating]:
        # as dropout makes them: a third is 0, and the rest not all the same
        return (rng.random(shape) < 2 / 3) * draw(*shape, scale=0.3) + (rng.random(shape) < 0.6)

    return Arrays(
        x=draw(B, T, D),
        kernel=draw(D, columns, scale=gain / np.sqrt(D)),
        recurrent_kernel=draw(P, columns, scale=gain / np.sqrt(P)),
        bias=draw(*cell.bias_shape(H), scale=0.5 * gain) if case.use_bias else None,
        initial_state=tuple(draw(B, size, scale=0.7) for size in case.sizes)
        if case.initial_state
        else None,
        mask=_mask(case, rng),
        d_outputs=draw(B, T, P) if case.return_sequences else draw(B, P),
        d_states=tuple(draw(B, size) for size in case.sizes) if case.return_state else None,
        reset=rng.random((B, T)) < 0.25 if case.reset else None,
        peephole=draw(3, H, scale=0.6) if case.peephole else None,
        input_scale=scale(B, len(cell.gates), D) if case.input_scale else None,
        state_scale=scale(B, len(cell.gates), P) if case.state_scale else None,
        noise=rng.integers(0, 2**32, (B, 2), dtype=np.uint32) if case.noise else None,
        # gains about 1, as they are learnt to be
        **{n: draw(*s, scale=0.3) + 0.8 for n, s in cell.norm_shapes(H).items()},
        projection=draw(H, P, scale=gain / np.sqrt(H)) if case.P else None,
        d_sequences=tuple(draw(B, T, size) for size in case.sizes)
        if case.return_state_sequences
        else None,
    )


def variants(given: Arrays) -> dict[str, NDArray]:
    """Return the arrays of variants that a case has, by their arguments' names."""
    names = ("reset", "peephole", "norm", "norm_cell", "input_scale", "state_scale", "noise")
    names += ("projection",)
    return {name: getattr(given, name) for name in names if getattr(given, name) is not None}


def run(case: Case, given: Arrays) -> reference.Run:
    """Return the reference run of a case, in float64."""
    return reference.forward(
        case.cell,
        given.x,
        given.kernel,
        given.recurrent_kernel,
        given.bias,
        initial_state=given.initial_state,
        mask=given.mask,
        go_backwards=case.go_backwards,
        zero_output_for_mask=case.zero_output_for_mask,
        **variants(given),
    )


def expected(case: Case, given: Arrays, gradients: bool = True) -> Results:
    """Return by name what a layer gives back for this case, computed by the reference.

    ``states`` are there with ``return_state``, ``sequences`` with ``return_state_sequences``,
    ``d_initial_state`` with ``initial_state``,
    ``d_bias`` with ``use_bias``, ``d_peephole`` with ``peephole``,
    ``d_projection`` with a projection. Without ``return_sequences``
    the output is the last h, for which ``zero_output_for_mask`` has no meaning (Keras's
    documentation; see `stock_keras.layer`).
    """
    done = run(case, given)
    results: Results = {"outputs": done.outputs if case.return_sequences else done.states[0]}
    if case.return_state:
        results |= {f"states[{n}]": state for n, state in enumerate(done.states)}
    if case.return_state_sequences:
        results |= {f"sequences[{n}]": state for n, state in enumerate(done.sequences)}
    if not gradients:
        return results
    d_outputs = given.d_outputs if case.return_sequences else None
    d_states = [np.zeros(state.shape) for state in done.states]
    for n, d_state in enumerate(given.d_states or ()):
        d_states[n] += d_state
    if not case.return_sequences:
        d_states[0] += given.d_outputs
    back = reference.backward(done, d_outputs, d_states, given.d_sequences)
    results |= {
        "d_x": back.x,
        "d_kernel": back.kernel,
        "d_recurrent_kernel": back.recurrent_kernel,
    }
    if back.bias is not None:
        results["d_bias"] = back.bias
    for name in ("peephole", "projection", "norm", "norm_cell"):
        if (value := getattr(back, name)) is not None:
            results[f"d_{name}"] = value
    if case.initial_state:
        results |= {f"d_initial_state[{n}]": d for n, d in enumerate(back.initial_state)}
    return results


_OF_WEIGHTS = {"d_kernel", "d_recurrent_kernel", "d_bias", "d_peephole", "d_norm", "d_norm_cell"}
_OF_WEIGHTS |= {"d_projection"}


def tolerance(case: Case, name: str, value: NDArray[np.floating], eps: float = EPS32) -> float:
    """Return how far a float32 result may be from ``value``, the float64 one called ``name``.

    A sum of n products, in any order, fused or not, is off by at most n eps/2 times the sum of
    their magnitudes, and as rounding errors have either sign, by about sqrt(n) eps/2 (Higham,
    Accuracy and Stability of Numerical Algorithms, 2002). A gate adds up n = D + H products
    going forward and G*H going back. Steps hand their errors on, not amplified with the weights
    of `arrays`: after T steps that is sqrt(T n) eps/2 <= (T + n) eps/4. The gradient of a weight
    then sums B*T such terms. Gate functions by polynomials, and differences such as 1 - z, add a
    few eps, for which 8 stand. Normalisation divides sums and their errors by the same deviation,
    which in the cases is about as large as the sums. With a safety factor of 4 on the sums::

        tolerance = eps (8 + T + D + H + [backward: G*H + [weights: B*T]]) max|value|

    Errors count against the largest value, since every result sums over values of that size; a
    result that must be 0 everywhere must be so exactly.
    """
    terms = 8 + case.T + case.D + case.H + case.P
    if name.startswith("d_"):
        terms += len(case.cell.gates) * case.H
    if name in _OF_WEIGHTS:
        terms += case.B * case.T
    return eps * terms * float(np.max(np.abs(value), initial=0.0))


def mismatches(case: Case, got: Results, want: Results, eps: float = EPS32) -> dict[str, float]:
    """Return, for each result outside its tolerance, how many tolerances it is off.

    A missing or extra result, another shape, or a NaN is infinitely far off.
    """
    off: dict[str, float] = {}
    for name in got.keys() | want.keys():
        if name not in got or name not in want or np.shape(got[name]) != np.shape(want[name]):
            off[name] = float("inf")
            continue
        error = np.abs(np.asarray(got[name], dtype=np.float64) - want[name])
        bound = tolerance(case, name, want[name], eps)
        if not (error <= bound).all():
            worst = float(error.max())
            off[name] = worst / bound if bound and worst == worst else float("inf")
    return off
