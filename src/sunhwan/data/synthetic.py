"""The data sets of numbers that tutorials make themselves: multiplication and counting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.indices import Split
from sunhwan.errors import UsageError

#: the published parts: of 3,000 sequences, the last 440 are the test
SEQUENCES, TEST_SEQUENCES = 3000, 440


def multiplication(
    sequences: int = SEQUENCES, steps: int = 100, seed: int = 0
) -> tuple[Split, Split]:
    """Multiply the two marked numbers of a sequence.

    After experiment 5 of Hochreiter and Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735, in the
    form that tutorials use: one length for all, and the marks anywhere. Each step is (mark,
    number); numbers are uniform in [0, 1), the mark is 1 at two steps drawn without replacement,
    else 0.

    Parameters
    ----------
    sequences
        Of 3,000 the first 2,560 train and the last 440 test; other sizes are cut in that ratio.
    steps
        T, at least 2.
    seed
        Of the random numbers.

    Returns
    -------
    tuple of Split
        Training and test: `x` ``float32[N, T, 2]``, `y` ``float32[N]``.

    Raises
    ------
    UsageError
        Too few sequences or steps.

    Examples
    --------
    >>> train, test = multiplication()
    >>> train.x.shape, test.y.shape
    ((2560, 100, 2), (440,))
    """
    tests = sequences * TEST_SEQUENCES // SEQUENCES
    if tests < 1:
        raise UsageError(f"`sequences` must be at least 7 to leave a test, received {sequences}")
    if steps < 2:
        raise UsageError(f"`steps` must be at least 2 for two marks, received {steps}")
    x, y = marked_numbers(np.random.default_rng(seed), sequences, steps)
    cut = sequences - tests
    return Split(x[:cut], y[:cut]), Split(x[cut:], y[cut:])


def marked_numbers(
    random: np.random.Generator, sequences: int, steps: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sequences of marks and numbers, and the products of their two marked numbers.

    Parameters
    ----------
    random
        What they are drawn with.
    sequences, steps
        N and T, at least 2.

    Returns
    -------
    tuple of numpy.ndarray
        ``float32[N, T, 2]`` and ``float32[N]``.

    Examples
    --------
    >>> x, y = marked_numbers(np.random.default_rng(3), 4, 7)
    >>> marked = x[..., 1][x[..., 0] == 1].reshape(4, 2)
    >>> bool((marked.prod(axis=1) == y).all())
    True
    """
    numbers = random.random((sequences, steps), np.float32)
    first = random.integers(steps, size=sequences)
    # from 1 to steps - 1 further on, round the end: every other step is equally likely
    second = (first + random.integers(1, steps, size=sequences)) % steps

    rows = np.arange(sequences)
    marks = np.zeros_like(numbers)
    marks[rows, first] = marks[rows, second] = 1
    x = np.stack([marks, numbers], axis=-1)
    return x, numbers[rows, first] * numbers[rows, second]


def counting() -> tuple[Split, Split]:
    """Four numbers that rise by 0.1, and the next.

    Returns
    -------
    tuple of Split
        Training: the six windows from 0.0 0.1 0.2 0.3 (then 0.4) to 0.5 0.6 0.7 0.8 (then 0.9),
        `x` ``float32[6, 4, 1]``, `y` ``float32[6]``. Test: two windows beyond them, from 0.6
        (then 1.0) and from -0.1 (then 0.3), `x` ``float32[2, 4, 1]``, `y` ``float32[2]``.

    Examples
    --------
    >>> train, test = counting()
    >>> train.x[5, :, 0].tolist() == np.float32([0.5, 0.6, 0.7, 0.8]).tolist(), test.y.tolist()
    (True, [1.0, 0.30000001192092896])
    """
    return _windows(range(6)), _windows((6, -1))


def _windows(starts: range | tuple[int, ...]) -> Split:
    # tenths as whole numbers first, so that each is the float32 nearest to the decimal
    tenths = np.array(starts)[:, None] + np.arange(5)
    values = (tenths / 10).astype(np.float32)
    return Split(values[:, :4, None], values[:, 4])
