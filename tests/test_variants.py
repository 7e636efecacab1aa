"""Scales, zoneout, peepholes and resets: relations, zoneout's choice, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from numpy.typing import NDArray

import cases
from cases import CELLS, Arrays, Case
from sunhwan import engine
from sunhwan.engine import Cell, Run, reference
from sunhwan.engine.zoneout import chosen
from sunhwan.errors import ShapeError, UsageError

cells = pytest.mark.parametrize("label", CELLS)
backwards = pytest.mark.parametrize("go_backwards", [False, True])


def _case(label: str, **options: Any) -> tuple[Case, Arrays]:
    case = Case(label, CELLS[label], B=4, T=7, D=3, H=5, initial_state=True)
    case = replace(case, **options)
    return case, cases.arrays(case, np.float64)


def _zoned(label: str, h: float = 0.3, c: float = 0.4) -> Cell:
    return replace(CELLS[label], zoneout_h=h, zoneout_c=c if label == "lstm" else 0.0)


def _assert_close(got: cases.Results, want: cases.Results) -> None:
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=0, atol=1e-12, err_msg=name)


# ---------------------------------------------------------------- zoneout's choice


def _fmix32(v: int) -> int:
    v ^= v >> 16
    v = v * 0x85EBCA6B % 2**32
    v ^= v >> 13
    v = v * 0xC2B2AE35 % 2**32
    return v ^ v >> 16


@pytest.mark.parametrize("state", [0, 1])
def test_the_choice_is_its_equation_in_whole_numbers(state: int) -> None:
    noise = np.array([[0, 0], [2**32 - 1, 2**32 - 1], [0x12345678, 0x9ABCDEF0]], np.uint32)
    steps, units, rate = 4, 3, 0.4375
    want = [
        [
            [
                _fmix32(
                    _fmix32((t * units + u + int(one)) % 2**32)
                    ^ (int(two) + state * 0x9E3779B9) % 2**32
                )
                < rate * 2**32
                for u in range(units)
            ]
            for t in range(steps)
        ]
        for one, two in noise
    ]
    np.testing.assert_array_equal(chosen(rate, noise, steps, units, state), want)
    by_jax = jax.jit(lambda noise: chosen(rate, noise, steps, units, state))(noise)
    np.testing.assert_array_equal(by_jax, want)


def _within(share: float, rate: float, count: int) -> bool:
    """Tell whether a share is within 5 standard deviations of the binomial distribution."""
    return abs(share - rate) < 5 * np.sqrt(rate * (1 - rate) / count)


@pytest.mark.parametrize("rate", [0.02, 0.25, 0.5, 0.9])
def test_the_share_that_is_kept_is_the_rate_and_h_and_c_rows_and_places_are_independent(
    rate: float,
) -> None:
    noise = np.random.default_rng(3).integers(0, 2**32, (20, 2), dtype=np.uint32)
    noise[1] = noise[0] + np.array([1, 0], np.uint32)  # keys of neighbours
    noise[2] = noise[0] + np.array([0, 1], np.uint32)
    h, c = (chosen(rate, noise, 50, 40, state) for state in (0, 1))
    for kept in (h, c):
        assert _within(kept.mean(), rate, kept.size)
        for axes in ((0, 1), (0, 2), (1, 2)):
            count = kept.size // kept.mean(axis=axes).size
            assert all(_within(share, rate, count) for share in kept.mean(axis=axes))
    pairs = [(h, c), (h[:, 1:], h[:, :-1]), (h[..., 1:], h[..., :-1]), (h[1:], h[:-1])]
    pairs += [(h[0], h[1]), (h[0], h[2]), (h[0], c[2])]
    for one, other in pairs:
        assert _within((one & other).mean(), rate**2, one.size)


@cells
@backwards
def test_a_kept_element_is_exactly_the_one_before(label: str, go_backwards: bool) -> None:
    case, given = _case(label, cell=_zoned(label), noise=True, go_backwards=go_backwards)
    found = engine.trace(
        case.cell,
        given.x.astype(np.float32),
        Run(
            *(a.astype(np.float32) for a in (given.kernel, given.recurrent_kernel, given.bias)),
            tuple(s.astype(np.float32) for s in given.initial_state or ()),
            go_backwards,
            noise=given.noise,
        ),
    )
    for number, (state, rate) in enumerate(zip(found.states, case.cell.zoneout, strict=True)):
        kept = chosen(rate, given.noise, case.T, case.H, number)
        states = np.asarray(state)
        if go_backwards:
            states, kept = states[:, ::-1], kept[:, ::-1]
        np.testing.assert_array_equal(states[:, 1:] == states[:, :-1], kept[:, 1:])


@cells
def test_without_noise_a_step_is_the_expectation_over_the_choice(label: str) -> None:
    case, given = _case(label, T=1, cell=_zoned(label, 0.25, 0.375))
    bare = cases.run(replace(case, cell=CELLS[label]), given)
    run = cases.run(case, given)
    for rate, got, new, old in zip(
        case.cell.zoneout, run.states, bare.states, given.initial_state or (), strict=True
    ):
        np.testing.assert_allclose(got, rate * old + (1 - rate) * new, rtol=1e-13)


# ---------------------------------------------------------------- relations


@cells
def test_scales_of_one_rates_of_zero_and_peepholes_of_zero_are_none(label: str) -> None:
    case, given = _case(label, mask="holes")
    gates = len(case.cell.gates)
    plain = cases.expected(case, given)
    same = replace(
        given,
        input_scale=np.ones((case.B, gates, case.D)),
        state_scale=np.ones((case.B, gates, case.H)),
        noise=np.full((case.B, 2), 7, np.uint32),
        reset=np.zeros((case.B, case.T), bool),
        peephole=np.zeros((3, case.H)) if label == "lstm" else None,
    )
    got = cases.expected(case, same)
    got.pop("d_peephole", None)
    _assert_close(got, plain)


@cells
def test_a_scale_of_all_gates_is_that_of_the_input(label: str) -> None:
    case, given = _case(label)
    factor = np.random.default_rng(4).standard_normal((case.B, case.D))
    gates = len(case.cell.gates)
    scaled = replace(given, input_scale=np.repeat(factor[:, None], gates, axis=1))
    got = cases.expected(case, scaled)
    want = cases.expected(case, replace(given, x=given.x * factor[:, None]))
    want["d_x"] = want["d_x"] * factor[:, None]
    _assert_close(got, want)


@cells
@backwards
@pytest.mark.parametrize("mask", [None, "all_true"])
def test_a_reset_of_all_rows_parts_a_run_in_two(
    label: str, go_backwards: bool, mask: str | None
) -> None:
    case, given = _case(label, go_backwards=go_backwards, mask=mask, peephole=label == "lstm")
    cut = 4  # the step that is reset: the second part begins with it
    reset = np.zeros((case.B, case.T), bool)
    reset[:, cut] = True
    parts = (slice(cut + 1, None), slice(None, cut + 1)) if go_backwards else (
        slice(None, cut), slice(cut, None)
    )  # fmt: skip
    early = case.T - cut - 1 if go_backwards else cut
    whole = cases.expected(case, replace(given, reset=reset))
    found = []
    for part, upstream, start in zip(
        parts, (slice(None, early), slice(early, None)), (given.initial_state, None), strict=True
    ):
        half = replace(
            given, x=given.x[:, part], mask=None if mask is None else given.mask[:, part],
            d_outputs=given.d_outputs[:, upstream], initial_state=start,
            d_states=given.d_states if start is None else None,
        )  # fmt: skip
        options = {"initial_state": start is not None, "return_state": start is None}
        found.append(cases.expected(replace(case, **options), half))
    first, second = found
    want = {n: first[n] + second[n] for n in first if n in _weights(first)}
    want["outputs"] = np.concatenate([first["outputs"], second["outputs"]], axis=1)
    want["d_x"] = np.zeros_like(given.x)
    want["d_x"][:, parts[0]], want["d_x"][:, parts[1]] = first["d_x"], second["d_x"]
    want |= {n: v for n, v in first.items() if n.startswith("d_initial_state")}
    want |= {n: v for n, v in second.items() if n.startswith("states")}
    _assert_close(whole, want)


def _weights(results: cases.Results) -> set[str]:
    """Return the names of weights' gradients."""
    return {n for n in results if n.startswith("d_") and n != "d_x" and "initial" not in n}


@cells
def test_the_first_step_reset_forgets_the_initial_state_and_a_masked_one_does_not(
    label: str,
) -> None:
    case, given = _case(label, cell=_zoned(label), noise=True)
    reset = np.zeros((case.B, case.T), bool)
    reset[:, 0] = True
    got = cases.expected(case, replace(given, reset=reset))
    for n in range(case.cell.states):
        assert not got.pop(f"d_initial_state[{n}]").any()
    bare = cases.expected(replace(case, initial_state=False), replace(given, initial_state=None))
    _assert_close(got, bare)
    mask = ~reset
    masked = cases.expected(case, replace(given, reset=reset, mask=mask))
    _assert_close(masked, cases.expected(case, replace(given, mask=mask)))


@cells
def test_backwards_equals_forward_on_flipped_input_with_flipped_resets(label: str) -> None:
    case, given = _case(
        label, cell=_zoned(label), mask="holes", reset=True, input_scale=True, state_scale=True,
        peephole=label == "lstm",
    )  # fmt: skip
    flipped = replace(
        given, x=given.x[:, ::-1], mask=given.mask[:, ::-1], reset=given.reset[:, ::-1]
    )
    got = cases.expected(replace(case, go_backwards=True), flipped)
    got["d_x"] = got["d_x"][:, ::-1]
    _assert_close(got, cases.expected(case, given))


def test_the_choice_goes_by_the_place_in_the_input_whatever_the_direction() -> None:
    """With nothing but what is kept: a cell that forgets all else shows where d was 1."""
    cell = Cell("simple_rnn", "linear", zoneout_h=0.5)
    x = np.arange(1.0, 7.0)[None, :, None]
    noise = np.array([[5, 6]], np.uint32)
    weights = (np.ones((1, 1)), np.zeros((1, 1)))
    kept = chosen(0.5, noise, 6, 1, 0)[0, :, 0]
    assert 0 < kept.sum() < 6
    ahead = reference.forward(cell, x, *weights, noise=noise).outputs[0, :, 0]
    back = reference.forward(cell, x, *weights, noise=noise, go_backwards=True).outputs[0, :, 0]
    np.testing.assert_array_equal(ahead == x[0, :, 0], ~kept)
    np.testing.assert_array_equal(back[::-1] == x[0, :, 0], ~kept)


# ---------------------------------------------------------------- the engine's arguments


def test_scales_are_constants_and_peepholes_are_not() -> None:
    case, given = _case("lstm", peephole=True, input_scale=True, state_scale=True)

    def total(part: dict[str, Any]) -> Any:
        run = Run(given.kernel, given.recurrent_kernel, given.bias, given.initial_state, **part)
        return engine.rnns(case.cell, given.x, [run])[0][0].sum()

    with jax.enable_x64(True):
        part = {n: getattr(given, n) for n in ("peephole", "input_scale", "state_scale")}
        got = jax.grad(total)(part)
    assert np.abs(got["peephole"]).min() > 0
    assert not got["input_scale"].any()
    assert not got["state_scale"].any()


def _fitting() -> dict[str, Any]:
    return {"kernel": np.zeros((4, 20), "f"), "recurrent_kernel": np.zeros((5, 20), "f")}


WRONG: list[tuple[str, NDArray[Any], str]] = [
    ("peephole", np.zeros((5, 3), "f"), r"\(3, H\) = \(3, 5\), received \(5, 3\)"),
    ("peephole", np.zeros((3, 5), "d"), "dtype float32 like the rest, received float64"),
    ("input_scale", np.zeros((2, 4), "f"), r"\(B, G, D\) = \(2, 4, 4\), received \(2, 4\)"),
    ("state_scale", np.zeros((2, 3, 5), "f"), r"\(B, G, H\) = \(2, 4, 5\)"),
    ("noise", np.zeros((2,), "u4"), r"\(B, 2\) = \(2, 2\), received \(2,\)"),
    ("noise", np.zeros((2, 2), "i4"), "dtype uint32, received int32"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_what_does_not_fit_the_engine_is_named(name: str, value: Any, message: str) -> None:
    x = np.zeros((2, 3, 4), "f")
    with jax.enable_x64(True), pytest.raises(ShapeError, match=f"`{name}` must have .*{message}"):
        engine.rnns(Cell("lstm"), x, [Run(**_fitting(), **{name: value})])


@pytest.mark.parametrize(
    ("reset", "message"),
    [
        (np.zeros((3, 2), bool), r"shape \(B, T\) = \(2, 3\), received \(3, 2\)"),
        (np.zeros((2, 3), "f"), "dtype bool, received float32"),
    ],
)
def test_resets_that_do_not_fit_are_named(reset: Any, message: str) -> None:
    x = np.zeros((2, 3, 4), "f")
    with pytest.raises(ShapeError, match=f"`reset` must have .*{message}"):
        engine.rnn(Cell("lstm"), x, **_fitting(), reset=reset)
    with pytest.raises(ShapeError, match=r"`reset` must be bool\[B, T\]"):
        reference.forward(Cell("lstm"), x, **_fitting(), reset=reset)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("peephole", np.zeros((5, 3))),
        ("input_scale", np.zeros((2, 5, 4))),
        ("state_scale", np.zeros((2, 4, 4))),
        ("noise", np.zeros((2, 2), np.int32)),
        ("noise", np.zeros((3, 2), np.uint32)),
    ],
)
def test_what_does_not_fit_the_reference_is_named(name: str, value: Any) -> None:
    with pytest.raises(ShapeError, match=f"`{name}` must "):
        reference.forward(Cell("lstm"), np.zeros((2, 3, 4)), **_fitting(), **{name: value})


def test_what_only_an_lstm_has_is_refused_elsewhere() -> None:
    x, w, u = np.zeros((2, 3, 4), "f"), np.zeros((4, 15), "f"), np.zeros((5, 15), "f")
    message = "`peephole` must be None for a gru, which has no cell c"
    with pytest.raises(ShapeError, match=message):
        engine.rnns(Cell("gru"), x, [Run(w, u, peephole=np.zeros((3, 5), "f"))])
    with pytest.raises(ShapeError, match=message):
        reference.forward(Cell("gru"), x, w, u, peephole=np.zeros((3, 5)))
    with pytest.raises(UsageError, match=r"`zoneout_c` must be 0 for a gru.*received 0\.1"):
        Cell("gru", zoneout_c=0.1)
    for rate in (1.0, -0.1, float("nan")):
        with pytest.raises(UsageError, match="`zoneout_h` must be at least 0 and below 1"):
            Cell("lstm", zoneout_h=rate)
