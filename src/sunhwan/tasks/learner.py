"""A network together with what turns examples into its numbers and its numbers into answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.batches import Batches
from sunhwan.data.buckets import MOST
from sunhwan.data.examples import Examples, Kind
from sunhwan.data.spool import Spool, lengths
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.progress import Progress
from sunhwan.tasks.config import Config, Task
from sunhwan.tasks.encoders import encoder_from_config, fit_encoder
from sunhwan.tasks.networks import Network
from sunhwan.tasks.options import drawn_from
from sunhwan.tasks.pieces import borders, in_pieces, joined
from sunhwan.tasks.targets import Targets
from sunhwan.tasks.training import History, train

#: more rows than this share a batch when answering
_ANSWER_ROWS = 256
#: so few rows are one batch of a power of two rows and steps, this many steps at least: to compile
#: a shape for each length takes far longer than the steps that only fill up
_FEW_ROWS, _FEW_STEPS = 16, 16


class Learner:
    """Learns a task from examples and answers new ones.

    Parameters
    ----------
    config
        Options; those that are None are chosen by the kind of the examples when it is prepared.

    Attributes
    ----------
    config
        Settled by `prepare`.
    encoder
        Learnt by `prepare` from training inputs alone.
    targets
        What it answers with, learnt by `prepare` too.
    network, model
        What was built.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.kind: Kind | None = None
        self.encoder: Any = None
        self.targets = Targets()
        self.network: Network | None = None
        self.model: Any = None

    @property
    def task(self) -> Task:
        """``classify``, ``regress`` or ``tag``."""
        return self.config.task

    @property
    def per_step(self) -> bool:
        """True if there is an answer for each step."""
        return self.task == "tag"

    @property
    def classes(self) -> list[str]:
        """The labels in the order of the network's outputs; empty where it answers with numbers."""
        return self.targets.classes

    def prepare(self, examples: Examples) -> None:
        """Learn encoder, labels and scale from training examples, and build the network.

        Raises
        ------
        DataError
            There is no answer, or only one label.
        """
        self.kind = examples.kind
        self.config = self.config.settled(examples.kind)
        self.targets = Targets.of(self.task, examples)
        self.encoder = fit_encoder(self.config, examples)
        outputs = self.targets.outputs
        self._build(Network.of(self.config, self.encoder, outputs, self.per_step))

    def _build(self, network: Network) -> None:
        self.network = network
        self.model = self.untrained()

    def untrained(self) -> Any:
        """A network of the same shape, with the random weights that training began with."""
        if self.network is None:
            raise UsageError("a learner must be prepared before it has a network")
        with drawn_from(self.config.seed):
            return self.network.build()

    def encode(self, examples: Examples) -> Sequence[NDArray[Any]]:
        """The numbers of each input, on disk where they are large."""
        if hasattr(self.encoder, "encode_all"):
            encoded: Sequence[NDArray[Any]] = self.encoder.encode_all(examples.inputs)
            return encoded
        found: Spool[NDArray[Any]] = Spool()
        for row, value in enumerate(examples.inputs):
            try:
                found.add(self.encoder.encode(value))
            except DataError as error:
                place = examples.places[row]
                raise DataError(f"{place}: {error.message}", hint=error.hint) from error
        return found.items()

    def pieces(self, examples: Examples) -> Examples:
        """The examples as they are learnt from and judged: long sequences of steps in pieces."""
        return in_pieces(examples, self.config.max_length) if self.per_step else examples

    def batches(
        self,
        examples: Examples,
        encoded: Sequence[NDArray[Any]],
        *,
        seed: int | None,
        buckets: int | Sequence[int] = MOST,
    ) -> Batches:
        """Batches with answers; ``buckets`` of others save compiling for other lengths."""
        targets = self.targets.numbers(examples)
        is_balanced = self.config.class_weights == "balanced"
        weights = self.targets.weights(targets) if is_balanced else None
        return Batches(
            encoded,
            targets,
            batch_size=self.config.batch_size or 1,
            seed=seed,
            sample_weights=weights,
            per_step=self.per_step,
            buckets=buckets,
        )

    def fit(
        self,
        training: Examples,
        validation: Examples,
        *,
        state: Path | None = None,
        fingerprint: str = "",
        progress: Progress | None = None,
    ) -> History:
        """Train the network, and leave it with the weights of its best epoch."""
        import keras

        config = self.config
        known = self.targets.known(validation)
        loss = keras.losses.MeanSquaredError()
        metrics: list[Any] = []
        if self.classes:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        batches = self.batches(training, self.encode(training), seed=config.seed)
        return train(
            self.model,
            batches,
            self.batches(known, self.encode(known), seed=None, buckets=batches.buckets),
            loss=loss,
            optimizer=config.new_optimizer(),
            metrics=metrics,
            epochs=config.epochs or 1,
            patience=config.patience,
            schedule=config.schedule or "constant",
            state=state,
            fingerprint=fingerprint,
            progress=progress,
        )

    def answer(self, encoded: Sequence[NDArray[Any]]) -> Any:
        """Probabilities ``float64[N, C]`` or numbers ``float64[N]``; per step, a list of such."""
        from sunhwan.tasks.steps import predict

        if not len(encoded):
            return []
        if self.per_step:
            return self._answer_steps(encoded)
        raw: Any = predict(self.model, self._rows(encoded))
        return self.targets.answers(raw)

    def _answer_steps(self, encoded: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
        from sunhwan.tasks.steps import predict

        cuts = [borders(steps, self.config.max_length) for steps in lengths(encoded).tolist()]
        if any(len(cut) > 2 for cut in cuts):
            encoded = Spool(
                steps[start:end]
                for steps, cut in zip(encoded, cuts, strict=True)
                for start, end in pairwise(cut)
            ).items()
        raw: Any = predict(self.model, self._rows(encoded))
        return joined([self.targets.answers(row) for row in raw], (len(cut) - 1 for cut in cuts))

    def _rows(self, encoded: Sequence[NDArray[Any]]) -> Batches:
        rows = len(encoded)
        if rows > _FEW_ROWS:
            size = min(_ANSWER_ROWS, rows)
            return Batches.for_prediction(encoded, batch_size=size, per_step=self.per_step)
        size, longest = _power_of_two(rows), int(lengths(encoded).max())
        steps = max(_FEW_STEPS, _power_of_two(longest))
        return Batches.for_prediction(
            encoded, batch_size=size, per_step=self.per_step, buckets=[steps]
        )

    def to_json(self) -> dict[str, Any]:
        """All but weights and encoder, as plain values."""
        if self.network is None:
            raise UsageError("a learner must be trained before it can be saved")
        return {
            "kind": self.kind,
            **self.targets.to_json(),
            "network": self.network.model_dump(mode="json"),
        }

    @classmethod
    def from_json(
        cls,
        config: Config,
        encoder: dict[str, Any],
        model: dict[str, Any],
        where: str,
        *,
        most_bytes: float = float("inf"),
    ) -> Learner:
        """A learner with random weights, from what `to_json` and the encoder's ``config`` gave.

        Parameters
        ----------
        where
            The file that `model` is from.
        most_bytes
            A network whose weights cannot be kept in so many bytes is refused before it is built.

        Raises
        ------
        DataError
            Something is missing or does not fit; names it and the file.
        """
        wanted: dict[str, Any] = {
            "kind": str,
            "classes": list,
            "mean": int | float,
            "scale": int | float,
            "network": dict,
        }
        for name, kind in wanted.items():
            if not isinstance(model.get(name), kind):
                raise DataError(f"{where}: `{name}` is missing or of the wrong type")
        if model["kind"] not in get_args(Kind):
            raise DataError(f"{where}: there is no `kind` of data called {model['kind']!r}")
        targets = Targets.from_json(config.task, model, where)
        learner = cls(config.settled(model["kind"]))
        learner.kind, learner.targets = model["kind"], targets
        learner.encoder = encoder_from_config(encoder, model["kind"])
        network = Network.from_json(model["network"], where)
        outputs = targets.outputs
        if network != Network.of(learner.config, learner.encoder, outputs, learner.per_step):
            raise DataError(
                f"{where}: the network does not belong to the configuration and encoder"
            )
        if network.fewest_bytes > most_bytes:
            raise DataError(f"{where}: the network is larger than the file of its weights")
        learner._build(network)
        return learner


def _power_of_two(number: int) -> int:
    """The first that is not below `number`."""
    return 1 << (number - 1).bit_length()


#: shown while something runs; given a line
Say = Callable[[str], None]
