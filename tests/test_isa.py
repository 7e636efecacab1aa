"""Each instruction set of this machine: the table of cases, the gate functions, and the switch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import subprocesses
from sunhwan.engine import native
from sunhwan.errors import UsageError

pytestmark = pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
_OTHERS = native.available_isas()[1:] if native.available() else []
_GATES_H = Path(__file__).parents[1] / "csrc" / "generic" / "gates.h"

_TABLE = """
import sys
import cases, isa_table
from sunhwan.engine import native
isa_table.check(cases.CASES[int(sys.argv[1])::int(sys.argv[2])])
print(native.active_isa())
"""


def _bound(name: str) -> float:
    """Return the promise of csrc/generic/gates.h in units in the last place."""
    found = re.search(rf"{name} = ([0-9.]+)f", _GATES_H.read_text(encoding="utf-8"))
    assert found, f"{name} is not in {_GATES_H.name}"
    return float(found[1])


@pytest.mark.parametrize("isa", _OTHERS)
def test_the_table_of_cases_on_the_other_instruction_sets(isa: str) -> None:
    assert subprocesses.printed(_TABLE, "0", "4", SUNHWAN_ISA=isa) == isa


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_table_of_cases_on_other_numbers_of_threads(threads: str) -> None:
    best = native.available_isas()[0]
    assert subprocesses.printed(_TABLE, "2", "6", SUNHWAN_THREADS=threads) == best


def test_outputs_and_scratch_are_poisoned_without_a_trace() -> None:
    """B16, B29: all memory of ours and all results hold NaN before each call."""
    best = native.available_isas()[0]
    assert subprocesses.printed(_TABLE, "1", "3", SUNHWAN_POISON="1") == best


def test_an_unknown_instruction_set_is_an_error() -> None:
    code = "from sunhwan.engine import native; native.available()"
    done = subprocesses.python(code, SUNHWAN_ISA="nonsense")
    assert done.returncode == 1
    assert "sunhwan.errors.KernelError: SUNHWAN_ISA must name an instruction set" in done.stderr
    assert "received 'nonsense'" in done.stderr


def test_loading_the_kernels_checks_the_number_of_threads() -> None:
    code = "from sunhwan.engine import native; native.available()"
    done = subprocesses.python(code, SUNHWAN_THREADS="many")
    assert done.returncode == 1
    assert "UsageError: SUNHWAN_THREADS must be a whole number of at least 1" in done.stderr
    assert "received 'many'" in done.stderr


def test_none_falls_back_to_plain_jax_and_explain_says_so() -> None:
    code = """
import numpy as np, keras, sunhwan
layer = sunhwan.layers.LSTM(3, name="memory")
stock = keras.layers.LSTM(3)
x = np.random.default_rng(0).standard_normal((2, 4, 5)).astype("f")
layer.build(x.shape), stock.build(x.shape)
stock.set_weights(layer.get_weights())
np.testing.assert_allclose(layer(x), stock(x), rtol=1e-5, atol=1e-6)
(line,) = sunhwan.explain(layer)
print(line)
"""
    text = subprocesses.printed(code, SUNHWAN_ISA="none")
    assert text == "memory (LSTM): plain JAX, because SUNHWAN_ISA=none switches the kernels off"


_ACCURACY = """
import sys
import numpy as np
from scipy.special import expit
from sunhwan.engine import native
from sunhwan.engine.cell import ACTIVATIONS

bits = np.arange(0, 1 << 32, 4093, dtype=np.uint64).astype(np.uint32)
edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 9.01, 9.03, -87.3, 88.8], np.float32)
x = np.concatenate([bits.view(np.float32), edges])
small = np.abs(x) < np.finfo(np.float32).tiny
with np.errstate(over="ignore", invalid="ignore"):
    exact = {
        "linear": x.astype("d"), "tanh": np.tanh(x.astype("d")), "sigmoid": expit(x.astype("d")),
        "relu": np.where(x > 0, x, np.where(np.isnan(x), x, 0)).astype("d"),
        "hard_sigmoid": np.clip(x.astype("d") + 3, 0, 6) / 6,
    }
for n, name in enumerate(ACTIVATIONS):
    y = np.full_like(x, np.nan)
    native.module().apply_gate(n, x, y)
    want = exact[name]
    assert np.array_equal(np.isnan(y), np.isnan(x)), name
    normal = ~np.isnan(x) & np.isfinite(want) & (np.abs(want) >= np.finfo(np.float32).tiny)
    last_place = np.spacing(np.abs(want[normal]).astype(np.float32)).astype("d")
    worst = (np.abs(y[normal] - want[normal]) / last_place).max()
    tiny = ~np.isnan(x) & (np.abs(want) < np.finfo(np.float32).tiny)
    assert np.abs(y[tiny] - want[tiny]).max(initial=0) <= np.finfo(np.float32).tiny, name
    if name == "tanh":
        assert (np.abs(y[~np.isnan(y)]) <= 1).all()
        flipped = np.empty_like(x)
        native.module().apply_gate(n, -x, flipped)
        assert np.array_equal(-flipped, y, equal_nan=True)
    if name == "sigmoid":
        assert ((y[~np.isnan(y)] >= 0) & (y[~np.isnan(y)] <= 1)).all()
    print(name, worst)
"""


@pytest.mark.parametrize("isa", native.available_isas() if native.available() else [])
def test_gate_functions_over_all_magnitudes(isa: str) -> None:
    text = subprocesses.printed(_ACCURACY, SUNHWAN_ISA=isa)
    worst = {name: float(ulp) for name, ulp in map(str.split, text.splitlines())}
    assert worst["tanh"] <= _bound("kTanhUlp")
    assert worst["sigmoid"] <= _bound("kSigmoidUlp")
    assert worst["linear"] == worst["relu"] == 0


_HARD = """
import numpy as np
from sunhwan.engine import native
x = np.linspace(-4, 4, 100_003, dtype=np.float32)
y = np.empty_like(x)
native.module().apply_gate(4, x, y)
print(np.abs(y - np.clip(x.astype("d") + 3, 0, 6) / 6).max())
"""


def test_hard_sigmoid_is_good_to_a_rounding_of_its_sum() -> None:
    assert float(subprocesses.printed(_HARD)) <= 2.0**-23


def test_a_wrong_number_of_threads_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("0", "-1", "many", ""):
        monkeypatch.setenv("SUNHWAN_THREADS", wrong)
        with pytest.raises(UsageError, match=f"of at least 1, received '{wrong}'"):
            native.check_threads()
    monkeypatch.setenv("SUNHWAN_THREADS", "2")
    native.check_threads()
