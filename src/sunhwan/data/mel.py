"""The power of a signal in bands of equal width on the mel scale, which hearing follows."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Hz; where the lowest band begins
LOWEST = 20.0
#: a power that stands for none at all, in a signal whose loudest sample is 1
SOFTEST = 1e-30
#: numbers of a spectrum that are worked on at once
_BLOCK = 4_194_304


def mel_power(
    signal: NDArray[np.float32], rate: int, mels: int, window: float, hop: float
) -> NDArray[np.float32]:
    """``float32[T, mels]``: the power of a signal ``float32[N]`` in each mel band, step by step.

    Windows (Hann) of `window` seconds start every `hop` seconds; one that is not full is left out.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(800) / 8000).astype(np.float32)
    >>> mel_power(tone, 8000, 10, 0.025, 0.010).argmax(axis=1).tolist()
    [4, 4, 4, 4, 4, 4, 4, 4]
    """
    from scipy.fft import rfft
    from scipy.signal.windows import hann

    length = round(window * rate)
    weights, size = _mel_weights(rate, mels, length)
    shape = hann(length, sym=False).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(signal, length)[:: round(hop * rate)]
    power = np.empty((len(windows), mels), np.float32)
    # some at a time: the spectra of a long recording take many times its own memory
    block = max(1, _BLOCK // size)
    for start in range(0, len(windows), block):
        part = slice(start, start + block)
        spectrum = rfft(windows[part] * shape, size, axis=1)
        power[part] = (spectrum.real**2 + spectrum.imag**2) @ weights
    return power


@lru_cache(maxsize=8)
def _mel_weights(rate: int, mels: int, length: int) -> tuple[NDArray[np.float32], int]:
    """``float32[bins, mels]``, the triangle of each band, and the size of the transform.

    The mel scale is m = 1127 ln(1 + f / 700) (O'Shaughnessy 1987, "Speech communication: human
    and machine"). The transform is padded until even the narrowest band holds two bins.
    """
    from scipy.fft import next_fast_len

    ends = 1127 * np.log1p(np.array([LOWEST, rate / 2]) / 700)
    edges = 700 * np.expm1(np.linspace(ends[0], ends[1], mels + 2) / 1127)
    size = next_fast_len(max(length, int(np.ceil(rate / (edges[1] - edges[0])))), real=True)
    bins = np.arange(size // 2 + 1)[:, None] * rate / size
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    weights = np.maximum(triangles, 0).astype(np.float32)
    weights.flags.writeable = False
    return weights, size


def slopes(bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """``float32[T, mels]``: the slope of each band over five steps; edges are repeated.

    That of the straight line of least squares (Furui 1986, "Speaker-independent isolated word
    recognition using dynamic features of speech spectrum", IEEE Trans. ASSP 34(1)).

    Examples
    --------
    >>> slopes(np.arange(5, dtype=np.float32)[:, None])[2].tolist()
    [1.0]
    """
    near = np.pad(bands, ((2, 2), (0, 0)), "edge")
    return (2 * (near[4:] - near[:-4]) + near[3:-1] - near[1:-3]) / np.float32(10)
