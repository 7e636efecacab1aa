"""What encoders that give numbers share: scales learnt from training inputs, and their config."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import DataError, UsageError

#: rows that are looked at together when scales are learnt
_CHUNK = 65_536


class NumberEncoder:
    """Base of the encoders to ``float32[T, D]``; see `sunhwan.data.examples.Encoder`.

    A subclass names its options, and gives `_learn`.

    Attributes
    ----------
    mean, scale
        ``float64``: of each learnt feature, over all steps of the training inputs; `scale` is
        the standard deviation, and 0 for a feature that never changes. Empty before `fit`.
    """

    name: str = ""
    vocabulary: int = 0
    features: int = 0
    _options: tuple[str, ...] = ()
    _learnt: tuple[str, ...] = ("mean", "scale")

    def __init__(self) -> None:
        self.mean: NDArray[np.float64] = np.empty(0)
        self.scale: NDArray[np.float64] = np.empty(0)

    def fit(self, inputs: Sequence[Any]) -> Self:
        """Learn from training inputs; returns itself.

        Raises
        ------
        DataError
            There is no input, or one that cannot be used; says which.
        """
        if not len(inputs):
            raise DataError(f"the `{self.name}` encoder expected training inputs, received none")
        self._learn(inputs)
        return self

    def config(self) -> dict[str, Any]:
        """All that `from_config` needs, as plain JSON."""
        self._check_fitted()
        options = {option: getattr(self, option) for option in self._options}
        learnt = {part: np.asarray(getattr(self, part)).tolist() for part in self._learnt}
        return {"name": self.name, **options, **learnt}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The encoder that `config` describes.

        Raises
        ------
        DataError
            `config` lacks a part, has a part that is not known, or one of a wrong type or size.
        """
        known = {"name", *cls._options, *cls._learnt}
        if not isinstance(config, dict) or set(config) != known:
            parts = sorted(map(str, config)) if isinstance(config, dict) else config
            raise DataError(
                f"the configuration of a `{cls.name}` encoder must have the parts "
                f"{', '.join(sorted(known))}; received {str(parts)[:500]}"
            )
        if config["name"] != cls.name:
            raise DataError(f"`name` must be {cls.name!r}, received {str(config['name'])[:50]!r}")
        try:
            encoder = cls(**{option: config[option] for option in cls._options})
            encoder._restore(config)
        except (UsageError, DataError) as error:
            raise DataError(
                f"the configuration of a `{cls.name}` encoder: {error.message}"
            ) from error
        return encoder

    def _learn(self, inputs: Sequence[Any]) -> None:
        raise NotImplementedError

    def _restore(self, config: Mapping[str, Any]) -> None:
        self.mean = _finite_list("mean", config["mean"])
        self.scale = _finite_list("scale", config["scale"])
        if len(self.mean) != len(self.scale) or (self.scale < 0).any():
            raise DataError(
                f"`scale` must be {len(self.mean)} numbers from 0 up, one for each of `mean`"
            )

    def _check_fitted(self) -> None:
        if not len(self.mean):
            raise UsageError(
                f"the `{self.name}` encoder has learnt no scales yet", hint="call `fit` first"
            )

    def _standard(self, steps: NDArray[Any]) -> NDArray[Any]:
        return (steps - self.mean) / np.where(self.scale == 0, 1, self.scale)


def learn_scales(
    arrays: Iterable[NDArray[Any]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each feature over all steps of ``float[T, D]`` arrays.

    NaN is left out. A feature that never changes has the scale 0, one without values the mean NaN.
    Parts are put together as in Chan, Golub & LeVeque 1983, "Algorithms for computing the sample
    variance", The American Statistician 37(3), which loses nothing to large means.

    Examples
    --------
    >>> mean, scale = learn_scales([np.array([[1.0, 7.0], [3.0, 7.0]]), np.array([[5.0, 7.0]])])
    >>> mean.tolist(), scale.round(3).tolist()
    ([3.0, 7.0], [1.633, 0.0])
    """
    count, mean, squares = np.zeros(1), np.zeros(1), np.zeros(1)
    low, high = np.full(1, np.inf), np.full(1, -np.inf)
    for chunk in _chunks(arrays):
        known = ~np.isnan(chunk)
        here = known.sum(axis=0)
        both = np.maximum(count + here, 1)
        own = np.where(known, chunk, 0).sum(axis=0) / np.maximum(here, 1)
        apart = own - mean
        squares = squares + (np.where(known, chunk - own, 0) ** 2).sum(axis=0)
        squares += apart**2 * count * here / both
        mean = mean + apart * here / both
        count = count + here
        low = np.minimum(low, np.where(known, chunk, np.inf).min(axis=0))
        high = np.maximum(high, np.where(known, chunk, -np.inf).max(axis=0))
    scale = np.sqrt(squares / np.maximum(count, 1))
    mean = np.where(low == high, low, mean)
    return np.where(count == 0, np.nan, mean), np.where(low < high, scale, 0.0)


def check_number(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> Any:
    """`value`, if it is a number from `low` to `high`.

    Raises
    ------
    UsageError
        It is none; names the option.

    Examples
    --------
    >>> check_number("hop", 0.01, 0.001, 1.0)
    0.01
    """
    types = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, types) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise UsageError(
            f"`{name}` must be {kind} from {low:,} to {high:,}, received {str(value)[:50]!r}"
        )
    return value


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """`value`, if it is one of `choices`.

    Raises
    ------
    UsageError
        It is none of them; names the option.

    Examples
    --------
    >>> check_choice("keep", "end", ("start", "end"))
    'end'
    """
    if not any(value is choice or (type(value) is str and value == choice) for choice in choices):
        raise UsageError(
            f"`{name}` must be {' or '.join(map(repr, choices))}, received {str(value)[:50]!r}"
        )
    return value


def _chunks(arrays: Iterable[NDArray[Any]]) -> Iterator[NDArray[np.float64]]:
    """`arrays` one below the other, many together: a sum over few rows costs as much to begin."""
    waiting: list[NDArray[Any]] = []
    rows = 0
    for array in arrays:
        waiting.append(array)
        rows += len(array)
        if rows >= _CHUNK:
            yield np.concatenate(waiting, dtype=np.float64)
            waiting, rows = [], 0
    if waiting:
        yield np.concatenate(waiting, dtype=np.float64)


def _finite_list(name: str, values: Any) -> NDArray[np.float64]:
    if (
        not isinstance(values, list)
        or not values
        or not all(type(value) in (int, float) and math.isfinite(value) for value in values)
    ):
        raise DataError(f"`{name}` must be a list of finite numbers, received {str(values)[:50]!r}")
    return np.array(values, np.float64)
