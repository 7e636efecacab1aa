"""Zoneout: which elements of a state a step leaves as they were.

Zoneout (Krueger et al. 2017) keeps each element of a state from the step before with a probability
of its own, in training at random and in inference by its expectation::

    (Z1)  h = d_h * h' + (1 - d_h) * h~
    (Z2)  c = d_c * c' + (1 - d_c) * c~

``h~`` and ``c~`` are what the cell's equations give, ``h~`` from ``c~`` and not from ``c``.

The choice is a hash of the place, so that it is the same whatever runs the recurrence, in whatever
order, and backward finds it again without anything being stored. With the two keys of a row::

    (Z3)  bits(b, t, u, state) =
              fmix32(fmix32(t * H + u + noise[b, 0]) ^ (noise[b, 1] + state * 0x9E3779B9))
    (Z4)  d = 1 where bits < floor(rate * 2**32)

in uint32 arithmetic, which wraps. ``t`` is the position in the input, whatever the direction.
``fmix32`` is the finalizer of MurmurHash3 (Appleby 2011), 0x9E3779B9 the golden ratio of 2**32.

References
----------
Krueger et al., "Zoneout: Regularizing RNNs by randomly preserving hidden activations", ICLR 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def chosen(rate: float, noise: Any, steps: int, units: int, state: int) -> Any:
    """Return which elements zoneout keeps from the step before, ``bool[B, T, H]``.

    Parameters
    ----------
    rate
        Probability of being kept.
    noise
        ``uint32[B, 2]``, two keys for each row: of NumPy or of JAX, as the result will be.
    steps, units
        T and H.
    state
        0 for h, 1 for c.

    Examples
    --------
    >>> kept = chosen(0.25, np.array([[1, 2], [3, 4]], dtype=np.uint32), 50, 40, 0)
    >>> kept.shape, round(float(kept.mean()), 2)
    ((2, 50, 40), 0.24)
    """
    # wraps as it must: only NumPy's scalars would warn of it
    place = np.arange(steps * units, dtype=np.uint64).astype(np.uint32).reshape(steps, units)
    shift = np.array([state * 0x9E3779B9], dtype=np.uint32)
    first, second = noise[:, 0, None, None], noise[:, 1, None, None]
    return _fmix32(_fmix32(first + place) ^ (second + shift)) < np.uint32(int(rate * 2.0**32))


def _fmix32(v: Any) -> Any:
    v = v ^ (v >> np.uint32(16))
    v = v * np.uint32(0x85EBCA6B)
    v = v ^ (v >> np.uint32(13))
    v = v * np.uint32(0xC2B2AE35)
    return v ^ (v >> np.uint32(16))
