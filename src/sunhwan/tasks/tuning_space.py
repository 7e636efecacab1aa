"""What a search tries: the options, and the values that each of them may have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sunhwan.errors import UsageError
from sunhwan.tasks.config import Config, make_options
from sunhwan.tasks.forecast_config import ForecastConfig

AnyConfig = Config | ForecastConfig
Value = bool | int | float | str

#: a range whose ends are so many times apart is searched by factors
_FACTOR = 10
#: digits of a number that is drawn from a range
_DIGITS = 3
_HELD_OUT = "decides which examples the trials are judged by"
_FIGURE = "changes the figure that the trials are judged by"
#: options that cannot be searched, and why
_FIXED = {
    "seed": _HELD_OUT, "validation": _HELD_OUT, "test": _HELD_OUT, "fill": _HELD_OUT,
    "class_weights": _FIGURE, "horizon": _FIGURE, "mode": _FIGURE, "season": _FIGURE,
}  # fmt: skip
#: options that have no effect on a kind of data
_IDLE = {
    "text": (),
    "tokens": ("tokens",),
    "numbers": ("tokens", "vocabulary", "embedding", "token_dropout"),
    "sound": ("tokens", "vocabulary", "embedding", "token_dropout", "max_length"),
    "clip": ("tokens", "vocabulary", "token_dropout"),
    "series": (),
}


@dataclass(frozen=True)
class Choice:
    """An option that is one of some values.

    Examples
    --------
    >>> 32 in Choice((32, 64)), str(Choice((32, 64, 128))), Choice((32, 64)).size
    (True, '32, 64 or 128', 2)
    """

    values: tuple[Value, ...]

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def __contains__(self, value: object) -> bool:
        return any(type(value) is type(one) and value == one for one in self.values)

    def __str__(self) -> str:
        *some, last = map(value_text, self.values)
        return f"{', '.join(some)} or {last}"

    def rounded(self, value: Any) -> Value:
        """The value itself."""
        found: Value = value
        return found


@dataclass(frozen=True)
class Range:
    """An option that is a number from `low` to `high`, both included; by factors if ``log``.

    Examples
    --------
    >>> span = Range(1e-4, 1e-2, log=True)
    >>> 0.003 in span, 0.1 in span, str(span), span.rounded(0.0023456)
    (True, False, '0.0001 to 0.01 by factors', 0.00235)
    """

    low: int | float
    high: int | float
    log: bool

    @property
    def size(self) -> int | None:
        """How many values there are, or None where they cannot be counted."""
        return int(self.high) - int(self.low) + 1 if isinstance(self.low, int) else None

    def __contains__(self, value: object) -> bool:
        return type(value) is type(self.low) and self.low <= value <= self.high  # type: ignore[operator]

    def __str__(self) -> str:
        steps = "by factors" if self.log else "evenly"
        return f"{value_text(self.low)} to {value_text(self.high)} {steps}"

    def rounded(self, value: Any) -> Value:
        """A value that was drawn, with few digits."""
        if isinstance(self.low, int):
            return int(value)
        return min(max(float(f"{value:.{_DIGITS}g}"), float(self.low)), float(self.high))


#: what is searched, by the name of the option
Space = dict[str, Choice | Range]


def read_space(texts: Sequence[str], config: AnyConfig) -> Space:
    """The search that texts such as ``units=32,64`` and ``learning-rate=1e-4..1e-2`` ask for.

    A range of numbers above 0 whose ends are ten times apart or more is searched by factors, any
    other evenly.

    Parameters
    ----------
    config
        The options of all trials.

    Raises
    ------
    UsageError
        An option that does not exist or cannot be searched, or a value that does not fit.

    Examples
    --------
    >>> config = make_options({"task": "classify"})
    >>> read_space(["units=16..256", "cell=gru,lstm"], config)
    {'units': Range(low=16, high=256, log=True), 'cell': Choice(values=('gru', 'lstm'))}
    """
    space: Space = {}
    for text in texts:
        name, is_given, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not is_given or not values.strip():
            raise UsageError(
                f"`--search` must be an option with values, received {text!r}",
                hint="such as units=32,64,128 or learning-rate=1e-4..1e-2",
            )
        if name in space:
            raise UsageError(f"`--search` names `{name}` twice", hint="give all its values at once")
        if name in _FIXED:
            raise UsageError(f"`{name}` cannot be searched: it {_FIXED[name]}")
        try:
            space[name] = _values(name, values, config)
        except UsageError as error:
            raise UsageError(f"--search {text}: {error.message}", hint=error.hint) from None
    return space


def check_space(space: Space, kind: str, task: str) -> None:
    """Refuse to search nothing, or what has no effect on a kind of data.

    Raises
    ------
    UsageError
        Names the option.

    Examples
    --------
    >>> check_space({"embedding": Choice((8, 16))}, "text", "classify")
    """
    if not space:
        raise UsageError("nothing is left to search", hint="give fewer options, or --search")
    for name in space:
        if name in _IDLE[kind]:
            raise UsageError(f"`{name}` has no effect on {kind}, so there is nothing to search")
        if name == "max_length" and task == "tag":
            raise UsageError(f"`{name}` cannot be searched for `tag`: it {_FIGURE}")


def default_space(config: AnyConfig, kind: str, fixed: Sequence[str]) -> Space:
    """What is searched where nobody says: around the defaults for the kind of data.

    Parameters
    ----------
    config
        Settled: its values are among those that are searched.
    fixed
        Options that stay as they are.

    Examples
    --------
    >>> given = {"task": "classify", "units": 64, "learning_rate": 3e-3}
    >>> config = make_options(given).settled("numbers")
    >>> space = default_space(config, "numbers", ["cell", "batch_size"])
    >>> list(space)
    ['units', 'num_layers', 'dropout', 'learning_rate', 'bidirectional', 'pooling']
    >>> str(space["units"]), str(space["learning_rate"])
    ('32, 64 or 128', '0.0003 to 0.03 by factors')
    """
    rate = config.learning_rate or 1e-3
    space: Space = {
        "units": _around(config.units),
        "num_layers": _with(config.num_layers, (1, 2)),
        "dropout": Range(0.0, max(0.6, config.dropout or 0.0), log=False),
        "learning_rate": Range(_short(rate / 10), _short(min(rate * 10, 10.0)), log=True),
        "cell": _with(config.cell, ("gru", "lstm")),
        "batch_size": _around(config.batch_size),
    }
    if isinstance(config, Config):
        space |= {
            "bidirectional": Choice((True, False)),
            "embedding": _around(config.embedding),
            "token_dropout": Range(0.0, max(0.5, config.token_dropout or 0.0), log=False),
            "pooling": _with(config.pooling, ("max", "mean", "attention")),
        }
    idle = (*_IDLE[kind], *fixed, *(("pooling",) if config.task == "tag" else ()))
    return {name: values for name, values in space.items() if name not in idle}


def size_of(space: Space) -> int | None:
    """How many combinations there are, or None where they cannot be counted.

    Examples
    --------
    >>> size_of({"units": Range(1, 4, log=False), "cell": Choice(("gru", "lstm"))})
    8
    """
    sizes = [one.size for one in space.values()]
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


def value_text(value: Value) -> str:
    """A value as it is given in a command.

    Examples
    --------
    >>> value_text(True), value_text(1e-3), value_text(64), value_text("gru")
    ('true', '0.001', '64', 'gru')
    """
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def option_text(options: Mapping[str, Value]) -> str:
    """Options with their values, to be read.

    Examples
    --------
    >>> option_text({"units": 64, "learning_rate": 0.00235, "bidirectional": False})
    'units 64, learning-rate 0.00235, bidirectional false'
    """
    return ", ".join(
        f"{name.replace('_', '-')} {value_text(value)}" for name, value in options.items()
    )


def _values(name: str, text: str, config: AnyConfig) -> Choice | Range:
    """The values of one option; each is checked as if it were the option's."""

    def value(part: str) -> Value:
        known = {"task": config.task, **config.given(), name: part.strip()}
        found: Value = getattr(make_options(known), name)
        return found

    low, is_range, high = text.partition("..")
    if is_range:
        ends = value(low), value(high)
        return _range(name, ends)
    values = tuple(value(part) for part in text.split(","))
    if len(set(values)) < len(values):
        raise UsageError(f"`{name}` has a value twice")
    if len(values) < 2:
        raise UsageError(
            f"one value of `{name}` leaves nothing to search",
            hint=f"give two or more, or --{name.replace('_', '-')} {text.strip()}",
        )
    return Choice(values)


def _range(name: str, ends: tuple[Value, Value]) -> Range:
    low, high = ends
    if isinstance(low, bool | str) or isinstance(high, bool | str):
        raise UsageError(f"`{name}` has no range", hint="give its values with commas between")
    if low >= high:
        raise UsageError(f"the range of `{name}` must go from a lower to a higher number")
    return Range(low, high, log=low > 0 and high / low >= _FACTOR)


def _around(value: int | None) -> Choice:
    """A size, half of it and twice as much."""
    size = value or 1
    return Choice(tuple(sorted({max(1, size // 2), size, size * 2})))


def _with(value: Value | None, usual: tuple[Value, ...]) -> Choice:
    return Choice(usual if value is None or value in usual else (*usual, value))


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
