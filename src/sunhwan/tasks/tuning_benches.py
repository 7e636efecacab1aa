"""Where trials are trained: data that is read, split and encoded once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from sunhwan.data.examples import Examples, Rejected
from sunhwan.errors import UsageError
from sunhwan.runs.progress import Progress
from sunhwan.tasks import forecast_sources, running
from sunhwan.tasks.config import Config, RunConfig
from sunhwan.tasks.forecast_config import ForecastConfig
from sunhwan.tasks.forecast_learner import ForecastLearner
from sunhwan.tasks.generate_config import GenerateConfig
from sunhwan.tasks.learner import Learner, Say
from sunhwan.tasks.networks import Network
from sunhwan.tasks.pairs_config import PairsOptions
from sunhwan.tasks.run_records import Data
from sunhwan.tasks.tuning_space import AnyConfig

#: options that decide how inputs become numbers
_ENCODING = ("tokens", "vocabulary", "max_length")
#: how many encodings are kept in memory
_KEPT = 3


class Bench(Protocol):
    """Trains networks of several options on the same data.

    Attributes
    ----------
    kind
        Of the data; see `sunhwan.data.examples.Kind`, and ``series``.
    files
        Name and SHA-256 of each file.
    rows
        How many examples there are to train on and to judge a trial by.
    rejected
        Rows and series that were dropped.
    settled
        The options of a trial that sets none.
    """

    kind: str
    files: list[dict[str, str]]
    rows: list[int]
    rejected: list[Rejected]

    @property
    def settled(self) -> AnyConfig: ...

    def learner(self, config: Any) -> Any:
        """A learner of options with the random weights of the seed."""
        ...

    def fit(self, learner: Any, progress: Progress) -> None:
        """Train it with early stopping, telling of each epoch."""
        ...


class ExamplesBench:
    """A `Bench` of examples: texts, tokens, numbers or sounds."""

    def __init__(self, config: Config, data: Data, say: Say) -> None:
        parts = running.read_parts(config, data, say)
        self.files, self.rejected = parts.source.files, parts.source.examples.rejected
        self._parts = parts.training, parts.validation
        self.rows = [len(part) for part in self._parts]
        self._encoded: dict[tuple[Any, ...], _EncodedLearner] = {}
        first = self._like(config)
        self.kind: str = first.kind or ""
        self.settled = first.config
        for line in first.encoder.describe(parts.validation.inputs):
            say(line)

    def learner(self, config: Config) -> _EncodedLearner:
        """A learner that has what one with the same encoding options encoded."""
        return self._like(config).with_options(config)

    def fit(self, learner: _EncodedLearner, progress: Progress) -> None:
        """Train it; see `Learner.fit`."""
        learner.fit(learner.training, learner.validation, progress=progress)

    def _like(self, config: Config) -> _EncodedLearner:
        key = tuple(getattr(config, name) for name in _ENCODING)
        found = self._encoded.pop(key, None) or _EncodedLearner(config, *self._parts)
        self._encoded[key] = found
        while len(self._encoded) > _KEPT:
            del self._encoded[next(iter(self._encoded))]
        return found


class _EncodedLearner(Learner):
    """A learner that keeps what it encoded, for others with the same encoding options."""

    def __init__(self, config: Config, training: Examples, validation: Examples) -> None:
        super().__init__(config)
        self.prepare(training)
        self.training, self.validation = training, self.targets.known(validation)
        self._numbers = [Learner.encode(self, part) for part in self._both()]

    def encode(self, examples: Examples) -> Sequence[NDArray[Any]]:
        for part, numbers in zip(self._both(), self._numbers, strict=True):
            if examples is part:
                return numbers
        return super().encode(examples)

    def with_options(self, config: Config) -> _EncodedLearner:
        """Another one, with a network of its own."""
        other = copy.copy(self)
        other.config = config.settled(self.kind or "text")
        outputs = self.targets.outputs
        other._build(Network.of(other.config, self.encoder, outputs, self.per_step))
        return other

    def _both(self) -> tuple[Examples, Examples]:
        return self.training, self.validation


class ForecastBench:
    """A `Bench` of series."""

    kind = "series"

    def __init__(self, config: ForecastConfig, data: Data, say: Say) -> None:
        material = forecast_sources.read_material(config, data)
        self._data, self._cuts = material.data, material.cuts
        self.files, self.rejected = material.files, material.data.rejected
        first = self.learner(config)
        for line in (*self._data.notes, *first.encoder.notes):
            say(line)
        parts = [first.windows(self._data, part) for part in ("train", "validation")]
        self.rows = [len(part) for part in parts]
        self.settled = first.config

    def learner(self, config: ForecastConfig) -> ForecastLearner:
        """A learner that is prepared for the series."""
        learner = ForecastLearner(config)
        learner.prepare(self._data, self._cuts)
        return learner

    def fit(self, learner: ForecastLearner, progress: Progress) -> None:
        """Train it; see `ForecastLearner.fit`."""
        learner.fit(self._data, progress=progress)


def open_bench(config: RunConfig, data: Data, say: Say) -> Bench:
    """Read the data of a task.

    Raises
    ------
    UsageError, DataError
        As of `sunhwan.tasks.running.start`.
    """
    if isinstance(config, GenerateConfig | PairsOptions):
        raise UsageError(
            f"`tune` cannot search for `{config.task}` yet",
            hint=f"compare runs of `sunhwan train {config.task}`",
        )
    if isinstance(config, ForecastConfig):
        return ForecastBench(config, data, say)
    return ExamplesBench(config, data, say)
