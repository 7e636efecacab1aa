"""How series become the numbers of a forecaster, and how they ended: ``encoder.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sunhwan.data.series import FREQUENCIES, Series, SeriesSet
from sunhwan.errors import DataError
from sunhwan.tasks.forecasting_preparation import Cuts
from sunhwan.tasks.forecasting_scaling import CYCLES, Scaler

#: years 1 to 9999, in microseconds from 1970
_FIRST_TIME, _LAST_TIME = -62_135_596_800 * 10**6, 253_402_300_799 * 10**6
_Time = Field(ge=_FIRST_TIME, le=_LAST_TIME)


@dataclass(frozen=True, eq=False)
class SeriesEncoder:
    """What was learnt from series before the training of a network.

    Attributes
    ----------
    cuts
        Where validation and test began.
    scaler
        Of the training part.
    last
        The end of each series: as many steps as a forecast of what comes next reads.
    notes
        What was chosen, and why.
    """

    cuts: Cuts
    scaler: Scaler
    last: SeriesSet
    notes: list[str]

    @property
    def frequency(self) -> str:
        """The step of the series; see `SeriesSet`."""
        return self.last.frequency

    @classmethod
    def of(
        cls, data: SeriesSet, cuts: Cuts, scaler: Scaler, input_length: int, notes: list[str]
    ) -> SeriesEncoder:
        """With the ends of `data`."""
        context = input_length + (scaler.season if scaler.anchor == "season" else 0)
        ends = [_end(one, context) for one in data.series]
        last = replace(data, series=ends, notes=[], rejected=[])
        return cls(cuts, scaler, last, [*notes, *scaler.notes])

    def check(self, data: SeriesSet) -> None:
        """See that other series are like those of the training.

        Raises
        ------
        DataError
            They have another frequency, or a covariate that is not there or of another kind.
        """
        if data.frequency != self.frequency:
            learnt, came = (FREQUENCIES.get(n, n) for n in (self.frequency, data.frequency))
            raise DataError(f"the series must be {learnt} as in training, received {came}")
        for name in self.last.covariates:
            kinds = {one.covariates[name].dtype == object for one in data.series}
            if kinds != {isinstance(self.scaler.helpers[name][0], str)}:
                raise DataError(
                    f"covariate `{name}` must hold numbers or names as in training, not the other"
                )

    def config(self) -> dict[str, Any]:
        """All that `from_config` needs, as plain JSON."""
        return {
            "name": "series",
            "frequency": self.frequency,
            "target": self.last.target,
            "covariates": list(self.last.covariates),
            "validation": _microseconds(self.cuts.validation),
            "test": _microseconds(self.cuts.test),
            "scaler": asdict(self.scaler),
            "last": [
                {
                    "name": one.name,
                    "times": one.times.astype(np.int64).tolist(),
                    "values": [None if np.isnan(y) else y for y in one.values.tolist()],
                    "covariates": {name: x.tolist() for name, x in one.covariates.items()},
                }
                for one in self.last.series
            ],
            "notes": self.notes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], where: str) -> SeriesEncoder:
        """The encoder of a `config`.

        Raises
        ------
        DataError
            Something is missing or does not fit; names it, and the file `where`.
        """
        try:
            kept = _Kept.model_validate(config)
            scaler = TypeAdapter(Scaler).validate_python(kept.scaler)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            raise DataError(f"{where}: `{name}`: {first['msg'].lower()}") from None
        _check_scaler(scaler, kept, where)
        series = [_series(one, kept, where) for one in kept.last]
        names = tuple(kept.covariates)
        last = SeriesSet(series, kept.target, names, kept.frequency, [], [])
        validation, test = (np.datetime64(time, "us") for time in (kept.validation, kept.test))
        return cls(Cuts(validation, test), scaler, last, kept.notes)


class _KeptSeries(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    times: list[int] = Field(min_length=1)
    values: list[float | None]
    covariates: dict[str, list[float | str]]


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Literal["series"]
    frequency: str = Field(pattern=r"^[1-9][0-9]{0,6}(mo|bd|us|[dhmsi])$")
    target: str
    covariates: list[str]
    validation: int = _Time
    test: int = _Time
    scaler: dict[str, Any]
    last: list[_KeptSeries] = Field(min_length=1)
    notes: list[str]


def _end(one: Series, steps: int) -> Series:
    """The last steps of a series, copied so that the rest can be forgotten."""
    return Series(
        one.name,
        one.times[-steps:].copy(),
        one.values[-steps:].copy(),
        {name: column[-steps:].copy() for name, column in one.covariates.items()},
        one.filled[-steps:].copy(),
    )


def _series(kept: _KeptSeries, whole: _Kept, where: str) -> Series:
    steps = np.diff(kept.times)
    columns: list[list[Any]] = [kept.values, *kept.covariates.values()]
    if (
        any(len(column) != len(kept.times) for column in columns)
        or list(kept.covariates) != whole.covariates
        or kept.times[0] < _FIRST_TIME
        or kept.times[-1] > _LAST_TIME
        or (steps <= 0).any()
        or kept.values[-1] is None
    ):
        raise DataError(f"{where}: the end of series {kept.name[:40]!r} is not as it was written")
    values = np.array(kept.values, np.float64)
    return Series(
        kept.name,
        np.array(kept.times, np.int64).astype("datetime64[us]"),
        values,
        {name: _column(whole, name, column, where) for name, column in kept.covariates.items()},
        np.zeros(len(values), bool),
    )


def _column(whole: _Kept, name: str, column: list[float | str], where: str) -> NDArray[Any]:
    is_text = isinstance(whole.scaler["helpers"][name][0], str)
    if any(isinstance(value, str) != is_text for value in column):
        raise DataError(f"{where}: covariate {name[:40]!r} must hold only numbers or only names")
    return np.array(column, object if is_text else np.float64)


def _check_scaler(scaler: Scaler, kept: _Kept, where: str) -> None:
    """See that nothing in it is missing, of another size, or would divide by zero."""
    names = {one.name for one in kept.last}
    pairs = [*scaler.levels.values(), *(x for x in scaler.helpers.values() if _is_scale(x))]
    helpers = scaler.helpers.values()
    fits = (
        len(names) == len(kept.last)
        and names == set(scaler.levels) == set(scaler.spreads)
        and list(scaler.helpers) == kept.covariates
        and all(_is_scale(x) or (x and all(isinstance(n, str) for n in x)) for x in helpers)
        and all(len(pair) == 2 and pair[1] > 0 for pair in pairs)
        and all(spread > 0 for spread in scaler.spreads.values())
        and set(scaler.cycles) <= set(CYCLES)
        and 1 <= scaler.season <= 100_000
        and scaler.offset >= 0
    )
    if not fits:
        raise DataError(f"{where}: `scaler` is not as it was written")


def _is_scale(learnt: list[Any]) -> bool:
    return len(learnt) == 2 and all(type(number) in (int, float) for number in learnt)


def _microseconds(time: np.datetime64) -> int:
    return int(time.astype("datetime64[us]").astype(np.int64))
