"""Derive the constants of ``csrc/generic/gates.h``.

Run ``python csrc/tests/fit_gates.py``: it prints every constant of the header, rounded to float32,
and how far the fitted function with the rounded constants is from the true one. NumPy is all it
needs, and it has no random part: the same figures come out each time.

Both gate functions come from the same reduction. Let ``n`` be the nearest whole number to the
argument divided by its period, and ``s = 2**n`` (built from bits, without error):

* ``tanh x = (t (s + 1) - (1 - s)) / (t (s - 1) + (s + 1))`` with ``t = tanh(h)``,
  ``h = x - n ln(2) / 2`` and ``|h| <= ln(2) / 4``: the addition theorem, since
  ``tanh(n ln(2) / 2) = (s - 1) / (s + 1)``. Fitted: ``t = h + h (a h**2 + b h**4)``.
* ``sigmoid x = q / (q + s p)`` with ``p / q = exp(-g)``, ``g = x + n ln(2)`` and
  ``|g| <= ln(2) / 2``. Fitted: ``q, p = e +- w``, ``w = g (g**2 + c)``, ``e = 2 c + d g**2``,
  which is ``w / e = tanh(g / 2)``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# Half a unit in the last place of a float32 just above 1.
HALF_ULP = 2.0**-24
# The reduction rounds too, so its argument may end a little outside its range.
SLACK = 1.0005


def weighted_minimax(columns: Vector, wanted: Vector, weight: Vector) -> Vector:
    """Coefficients that make the largest weighted residual as small as possible.

    Lawson's method: weighted least squares, where each point's share grows with its residual.

    Parameters
    ----------
    columns : Vector
        ``float64[points, coefficients]``, the functions to combine.
    wanted : Vector
        ``float64[points]``, the function to meet.
    weight : Vector
        ``float64[points]``, what a residual of 1 costs at each point.

    Returns
    -------
    Vector
        ``float64[coefficients]``.

    Examples
    --------
    >>> x = np.linspace(-1.0, 1.0, 2001)
    >>> line = weighted_minimax(np.stack([x**0, x], axis=1), x**2, x**0)
    >>> np.abs(line - [0.5, 0.0]).max() < 1e-3
    np.True_
    """
    share = np.full_like(wanted, 1.0 / wanted.size)
    best: Vector = np.zeros(columns.shape[1])
    smallest = math.inf
    for _ in range(1000):
        root = np.sqrt(share) * weight
        solution = np.linalg.lstsq(columns * root[:, None], wanted * root, rcond=None)[0]
        found = solution.astype(np.float64)
        residual = np.abs((columns @ found - wanted) * weight)
        largest = float(residual.max())
        if largest < smallest:
            best, smallest = found, largest
        share *= residual / largest + 1e-4
        share /= share.sum()
    return best


def fit_tanh() -> tuple[Vector, float]:
    """Return ``[a, b]`` of the tanh polynomial in float32 and its largest relative error."""
    h = np.linspace(0.0, math.log(2.0) / 4.0 * SLACK, 4001)[1:]
    true = np.tanh(h)
    columns = np.stack([h**0, h**2], axis=1)
    a, b = weighted_minimax(columns, (true / h - 1.0) / h**2, h**3 / true).astype(np.float32)
    fitted = h + h**3 * (float(a) + float(b) * h**2)
    return np.array([a, b], dtype=np.float64), float(np.abs(fitted / true - 1.0).max())


def fit_exp() -> tuple[Vector, float]:
    """Return ``[c, d]`` of ``exp(-g) = p / q`` in float32 and its largest relative error."""
    g = np.linspace(0.0, math.log(2.0) / 2.0 * SLACK, 4001)[40:]
    true = np.tanh(g / 2.0)
    # w = e tanh(g / 2), which is linear in c and d; divided by g**3 to keep the digits.
    columns = np.stack([(2.0 * true - g) / g**3, true / g], axis=1)
    weight = 2.0 * g**3 / (120.0 + 12.0 * g**2) / (1.0 - true**2)
    c, d = weighted_minimax(columns, np.ones_like(g), weight).astype(np.float32)
    g = np.concatenate([-g[::-1], g])
    even, odd = 2.0 * float(c) + float(d) * g**2, g * (g**2 + float(c))
    fitted = (even - odd) / (even + odd)
    return np.array([c, d], dtype=np.float64), float(np.abs(fitted * np.exp(g) - 1.0).max())


def split_log_two() -> tuple[float, float]:
    """Return ln 2 as a sum: 16 bits, so that ``n`` times it is exact in float32, and the rest."""
    high = math.floor(math.log(2.0) * 2.0**16) / 2.0**16
    return high, float(np.float32(math.log(2.0) - high))


def main() -> None:
    """Print the constants, nine digits each, which name a float32 without doubt."""
    (a, b), tanh_error = fit_tanh()
    (c, d), exp_error = fit_exp()
    high, low = split_log_two()
    print(f"tanh     a = {a:.9g}  b = {b:.9g}  fit {tanh_error / HALF_ULP:.3f} * 2^-24")
    print(f"         2 / ln 2 = {2.0 / math.log(2.0):.9g}  ln(2) / 2 = {math.log(2.0) / 2.0:.9g}")
    print(f"sigmoid  c = {c:.9g}  2 c = {2.0 * c:.9g}  d = {d:.9g}", end="  ")
    print(f"fit {exp_error / HALF_ULP:.3f} * 2^-24")
    print(f"         1 / ln 2 = {1.0 / math.log(2.0):.9g}  ln 2 = {high:.17g} + {low:.9g}")


if __name__ == "__main__":
    main()
