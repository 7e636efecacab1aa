"""Arrays of every kind that weights can hold, and what is equal to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np

ARRAYS = {
    "000 lstm/kernel": np.random.default_rng(3).normal(size=(3, 8)).astype(np.float32),
    "001 seed": np.array([7, 2**32 - 1], np.uint32),
    "002 count": np.array(-5, np.int32),
    "003 steps": np.array([2**62], np.int64),
    "004 mask": np.array([[True], [False]]),
    "005 empty": np.zeros((0, 4), np.float64),
    "006 half": np.array([0.1, -3], np.float16),
}
EXPECTED = {name: (array.shape, array.dtype) for name, array in ARRAYS.items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether names, dtypes, shapes and every bit are the same."""
    return set(one) == set(other) and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and one[name].tobytes() == other[name].tobytes()
        for name in one
    )
