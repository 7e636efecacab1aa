"""Sequences of numbers, such as sensor readings and pen strokes, brought to one scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.data.number_encoder import NumberEncoder, check_choice, check_number, learn_scales
from sunhwan.data.sounds import LogMel
from sunhwan.errors import DataError

_LARGEST = float(np.finfo(np.float32).max)
_MOST_STEPS = 10_000_000


class Numbers(NumberEncoder):
    """Sequences ``float32[T, D]`` to ``float32[T, features]``, each feature on its own scale.

    The features of a step are its D numbers; with `differences`, D more: what they changed by
    since the step before, 0 at the first; with ``missing="carry"``, D more: 1 where a number was
    missing, else 0.

    Parameters
    ----------
    normalise
        Whether to take off the mean and divide by the standard deviation that a feature has over
        all steps of the training inputs. The marks of missing numbers stay 0 and 1.
    missing
        What happens to NaN: ``refuse``, an error with its place, or ``carry``, the last number
        that is known; before the first one, the mean of the training inputs.
    differences
        Whether to add the differences from step to step; for pen strokes these are the direction
        and the speed of the pen.
    max_length
        Longer sequences are cut to this many steps; None cuts nothing.
    keep
        Which part of a sequence that is cut stays: its ``start`` or its ``end``.

    Examples
    --------
    >>> numbers = Numbers(differences=True).fit([np.array([[1.0], [3.0]]), np.array([[5.0]])])
    >>> numbers.features, numbers.encode([[3.0], [4.0]])[0].tolist()
    (2, [0.0, -0.7071067690849304])
    """

    name = "numbers"
    _options = ("normalise", "missing", "differences", "max_length", "keep")

    def __init__(
        self,
        normalise: bool = True,
        *,
        missing: Literal["refuse", "carry"] = "refuse",
        differences: bool = False,
        max_length: int | None = None,
        keep: Literal["start", "end"] = "start",
    ) -> None:
        super().__init__()
        self.normalise = check_choice("normalise", normalise, (True, False))
        self.missing = check_choice("missing", missing, ("refuse", "carry"))
        self.differences = check_choice("differences", differences, (True, False))
        if max_length is not None:
            check_number("max_length", max_length, 1, _MOST_STEPS, whole=True)
        self.max_length = max_length
        self.keep = check_choice("keep", keep, ("start", "end"))

    @property
    def width(self) -> int:
        """D of the sequences that `encode` takes; 0 before `fit`."""
        return len(self.mean) // 2 if self.differences else len(self.mean)

    @property
    def features(self) -> int:  # type: ignore[override]
        """How many numbers a step has after `encode`."""
        return len(self.mean) + self.width * (self.missing == "carry")

    def encode(self, value: ArrayLike) -> NDArray[np.float32]:
        """``float32[T, features]`` of a sequence ``float[T, D]``.

        Raises
        ------
        DataError
            `value` has another number of features than the training inputs, no step, or a number
            that is infinite or (unless these are carried) missing; names the step and feature.
        """
        self._check_fitted()
        steps = _read(value, self.width)
        missing = self._missing(steps)
        known = self._cut(self._expand(steps))
        known = np.where(np.isnan(known), self.mean, known)
        encoded = self._standard(known) if self.normalise else known
        with np.errstate(over="ignore"):
            encoded = encoded.astype(np.float32)
        if not np.isfinite(encoded).all():
            raise DataError(
                f"{_place(~np.isfinite(encoded))}: the number is too far from those of training"
            )
        if self.missing == "refuse":
            return encoded
        return np.concatenate([encoded, self._cut(missing).astype(np.float32)], axis=1)

    def describe(self, inputs: Sequence[ArrayLike]) -> list[str]:
        """Lines on the features, on those that never change, and on `inputs` missing or cut."""
        self._check_fitted()
        extra = ", their differences" * self.differences
        extra += ", marks where they are missing" * (self.missing == "carry")
        lines = [f"numbers: {self.width} a step{extra}"]
        lines += [
            f"feature {column + 1} is always {self.mean[column]:g} in training: it tells nothing"
            for column in np.flatnonzero(self.scale[: self.width] == 0)
        ]
        lost = count = cut = 0
        for array in self._numbered(inputs, self.width):
            lost += int(np.isnan(array).sum())
            count += array.size
            cut += self.max_length is not None and len(array) > self.max_length
        if self.missing == "carry":
            lines.append(f"{lost:,} of {count:,} numbers are missing: the last known is carried on")
        if self.max_length is not None:
            part = "first" if self.keep == "start" else "last"
            lines.append(
                f"{cut:,} of {len(inputs):,} sequences are cut to their {part} "
                f"{self.max_length:,} steps"
            )
        return lines

    def _learn(self, inputs: Sequence[ArrayLike]) -> None:
        arrays = (self._cut(self._expand(steps)) for steps in self._numbered(inputs, 0))
        mean, scale = learn_scales(arrays)
        if np.isnan(mean).any():
            raise DataError(
                f"feature {int(np.flatnonzero(np.isnan(mean))[0]) + 1} is missing in all of the "
                f"{len(inputs):,} training sequences",
                hint="leave it out",
            )
        self.mean, self.scale = mean, scale

    def _numbered(self, inputs: Sequence[ArrayLike], width: int) -> Iterator[NDArray[np.float64]]:
        """Each of `inputs` checked; an error says which. A `width` of 0 is that of the first."""
        for number, value in enumerate(inputs, 1):
            try:
                steps = _read(value, width)
                self._missing(steps)
            except DataError as error:
                raise DataError(
                    f"sequence {number:,} of {len(inputs):,}: {error.message}", hint=error.hint
                ) from error
            width = steps.shape[1]
            yield steps

    def _restore(self, config: Mapping[str, Any]) -> None:
        super()._restore(config)
        if self.differences and len(self.mean) % 2:
            raise DataError(
                f"`mean` must have an even length with `differences`, received {len(self.mean)}"
            )

    def _missing(self, steps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """``bool[T, D]``: where `steps` is NaN."""
        missing = np.isnan(steps)
        if self.missing == "refuse" and missing.any():
            raise DataError(
                f"{_place(missing)}: the number is missing (NaN)",
                hint='fill the gap, or use missing="carry" to go on with the last known number',
            )
        return missing

    def _expand(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """`steps` with gaps filled, NaN left before the first number, and with differences."""
        last = np.where(np.isnan(steps), 0, np.arange(len(steps))[:, None])
        filled = np.take_along_axis(steps, np.maximum.accumulate(last), axis=0)
        if not self.differences:
            return filled
        return np.concatenate([filled, np.diff(filled, axis=0, prepend=filled[:1])], axis=1)

    def _cut(self, steps: NDArray[Any]) -> NDArray[Any]:
        if self.max_length is None:
            return steps
        return steps[: self.max_length] if self.keep == "start" else steps[-self.max_length :]


def _read(value: ArrayLike, width: int) -> NDArray[np.float64]:
    """A sequence as ``float64[T, D]``, checked; a `width` of 0 is any D."""
    try:
        steps = np.asarray(value)
    except ValueError as error:
        raise DataError("expected steps of equal length, received unequal ones") from error
    if steps.dtype.kind not in "fiub":
        raise DataError(f"expected numbers, received {steps.dtype}")
    if steps.ndim != 2 or not steps.size:
        raise DataError(
            f"expected a sequence of steps, each with one or more numbers (two axes), "
            f"received the shape {steps.shape}"
        )
    if width and steps.shape[1] != width:
        raise DataError(f"expected {width} numbers a step, received {steps.shape[1]}")
    steps = steps.astype(np.float64)
    beyond = np.abs(steps) > _LARGEST
    if beyond.any():
        raise DataError(
            f"{_place(beyond)}: expected a number of at most 3.4e38 (float32), "
            f"received {steps[beyond][0]:g}"
        )
    return steps


def _place(wrong: NDArray[np.bool_]) -> str:
    step, feature = np.argwhere(wrong)[0] + 1
    return f"step {step:,}, feature {feature}"


#: the encoders that give numbers, by name
NUMBER_ENCODERS: dict[str, type[NumberEncoder]] = {
    encoder.name: encoder for encoder in (Numbers, LogMel)
}


def number_encoder_from_config(config: Mapping[str, Any]) -> NumberEncoder:
    """The encoder whose `config` gave this.

    Raises
    ------
    DataError
        `config` names no known encoder, or is not as that encoder writes it.

    Examples
    --------
    >>> numbers = number_encoder_from_config(Numbers().fit([[[1.0], [3.0]]]).config())
    >>> numbers.name, numbers.encode([[3.0]]).tolist()
    ('numbers', [[1.0]])
    """
    name = config.get("name") if isinstance(config, dict) else None
    if not isinstance(name, str) or name not in NUMBER_ENCODERS:
        raise DataError(
            f"the configuration of a number encoder must have a `name` out of "
            f"{', '.join(NUMBER_ENCODERS)}; received {str(name)[:50]!r}"
        )
    return NUMBER_ENCODERS[name].from_config(config)
