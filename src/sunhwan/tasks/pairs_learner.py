"""What learns pairs of something that is read and a text that is written of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Rejected
from sunhwan.data.spool import lengths
from sunhwan.data.tokens import PADDING, UNKNOWN
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.progress import Progress
from sunhwan.tasks.beam import Hypothesis, beam_search
from sunhwan.tasks.decoder_network import DecoderNetwork, Models
from sunhwan.tasks.decoder_stepper import DecoderStepper
from sunhwan.tasks.options import drawn_from, make
from sunhwan.tasks.stepping import Latest
from sunhwan.tasks.steps import EpochBatches
from sunhwan.tasks.training import History, train
from sunhwan.tasks.translate_parts import Pairs, within_length

Ids = NDArray[np.int32]
#: options of the task
Settings = TypeVar("Settings", bound=Any)
#: sources that are answered together
_ROWS = 32
#: an answer may be so many times as long as the longest that was learnt, and some tokens more
_LONGER, _MORE = 1.5, 10
#: a source may be so many times as long as the longest that may be learnt
_READ = 2


class PairsLearner(ABC, Generic[Settings]):
    """Learns what is written of what is read; `answer` reads and writes.

    Parameters
    ----------
    config
        Options; those that are None are chosen by the pairs when it is prepared.

    Attributes
    ----------
    config
        Settled by `prepare`.
    encoder
        Of both sides, learnt by `prepare` from training pairs alone: ``target`` turns texts into
        ids and ids into texts.
    longest
        Tokens of the longest target that was learnt from.
    models, model
        What was built; `model` is the one of them that has all weights.
    """

    #: what the pairs are learnt for, and what is read
    task: ClassVar[str]
    kind: ClassVar[str]
    #: what both sides of a pair are called
    roles: ClassVar[tuple[str, str]]
    #: the shape of the network, the options that decide it, and how it is used to write
    shape: ClassVar[type[DecoderNetwork]]
    shaping: ClassVar[tuple[str, ...]]
    stepping: ClassVar[type[DecoderStepper]]

    def __init__(self, config: Settings) -> None:
        self.config = config
        self.encoder: Any = None
        self.longest = 0
        self.models: Models | None = None
        self._latest: Latest[DecoderStepper] = Latest()

    @abstractmethod
    def prepare(self, pairs: Pairs) -> list[str]:
        """Learn the tokens of training pairs, choose what is open, and build the network.

        Returns
        -------
        list of str
            Why the texts are split as they are.
        """

    @abstractmethod
    def describe(self, pairs: Pairs) -> list[str]:
        """Lines on how the encoders fit pairs."""

    @abstractmethod
    def _sizes(self) -> dict[str, Any]:
        """What the encoders decide of the network's shape, beside `DecoderNetwork.target_ids`."""

    @abstractmethod
    def _numbers(self, sources: Sequence[Any]) -> Sequence[NDArray[Any]]:
        """What is read of each source, ``[S, ...]`` each."""

    @abstractmethod
    def _source_tokens(self, pairs: Pairs) -> NDArray[np.int64]:
        """``int64[N]``: how many tokens each source has; 0 where it is not made of any."""

    @abstractmethod
    def _batches(self, pairs: Pairs, **options: Any) -> Any:
        """Batches of pairs, as `sunhwan.tasks.translate_batches.PairBatches` with its options."""

    @classmethod
    @abstractmethod
    def _encoder_from(cls, config: dict[str, Any]) -> Any:
        """The encoders whose ``config`` gave this.

        Raises
        ------
        DataError
            They are not as they were written.
        """

    @property
    def model(self) -> Any:
        """The Keras model that has all weights."""
        return None if self.models is None else self.models.learning

    @property
    def end(self) -> int:
        """The id that stands before and behind targets."""
        return int(self.encoder.target.vocabulary)

    @property
    def never(self) -> tuple[int, ...]:
        """The ids that no answer holds."""
        return PADDING, UNKNOWN

    @property
    def most_steps(self) -> int:
        """Most tokens of an answer, its end included."""
        return int(self.longest * _LONGER) + _MORE

    def short_enough(self, pairs: Pairs, *, learnt: bool = True) -> tuple[Pairs, list[Rejected]]:
        """The pairs that are learnt from, or stopped by, and those that are too long for it.

        Parameters
        ----------
        learnt
            True tells `longest` too.

        Raises
        ------
        DataError
            All are too long.
        """
        targets = lengths(self.encoder.target.encode_all(pairs.targets))
        sources, most = self._source_tokens(pairs), self.config.max_length or 1
        rows, longer = within_length(sources, targets, pairs.places, most, self.roles)
        if learnt:
            self.longest = int(targets[rows].max())
        return (pairs.take(rows) if longer else pairs), longer

    def readable(self, pairs: Pairs) -> tuple[Pairs, list[Rejected]]:
        """The pairs whose sources can be answered, and those that are too long by far.

        Nothing is known of sources much longer than any that was learnt, and attention over them
        would need memory without end.
        """
        counts, most = self._source_tokens(pairs), self.config.max_length or 1
        is_long = counts > _READ * most
        longer = [
            Rejected(
                pairs.places[row],
                f"the {self.roles[0]} has {counts[row]:,} tokens, more than twice `max_length` "
                f"{most:,}",
            )
            for row in np.flatnonzero(is_long).tolist()
        ]
        return (pairs.take(np.flatnonzero(~is_long)) if longer else pairs), longer

    def fit(
        self,
        training: Pairs,
        validation: Pairs,
        *,
        state: Path | None = None,
        fingerprint: str = "",
        progress: Progress | None = None,
    ) -> History:
        """Train the network, and leave it with the weights of its best epoch."""
        import keras

        config = self.config
        batches = self._batches(
            training,
            seed=config.seed,
            own=config.own_words,
            own_epochs=config.own_epochs or 1,
        )
        judged: EpochBatches = self._batches(validation, shapes=batches.shapes)
        return train(
            self.model,
            batches,
            judged,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            # the loss rises early, as the network grows sure of its mistakes, while what it writes
            # still gets better
            monitor="val_accuracy",
            mode="max",
            optimizer=config.new_optimizer(),
            epochs=config.epochs or 1,
            patience=config.patience,
            schedule=config.schedule or "constant",
            state=state,
            fingerprint=fingerprint,
            progress=progress,
        )

    def answer(
        self,
        sources: Sequence[Any],
        *,
        width: int | None = None,
        length_penalty: float | None = None,
    ) -> list[str]:
        """The best text for each source; see `best`."""
        best = self.best(sources, width=width, length_penalty=length_penalty)
        return [self.written(*one) for one in zip(best, sources, strict=True)]

    def written(self, found: Hypothesis, source: Any) -> str:
        """What a search found for a source, as text."""
        text: str = self.encoder.target.decode(list(found.ids))
        return text

    def best(
        self,
        sources: Sequence[Any],
        *,
        width: int | None = None,
        length_penalty: float | None = None,
    ) -> list[Hypothesis]:
        """The best of what a beam search finds for each source.

        Parameters
        ----------
        width, length_penalty
            As of `sunhwan.tasks.beam.beam_search`; None are those of the configuration.

        Raises
        ------
        UsageError
            One is not what the configuration could be.
        """
        asked = {"width": width, "length_penalty": length_penalty}
        given = {name: value for name, value in asked.items() if value is not None}
        options = make(type(self.config), {**self.config.model_dump(), **given})
        stepper = self.stepper()
        read = self._numbers(sources)
        order = np.argsort(lengths(read), kind="stable").tolist()
        found: dict[int, Hypothesis] = {}
        for start in range(0, len(order), _ROWS):
            rows = order[start : start + _ROWS]
            # the last batch is filled up, so that it needs no compiling of its own
            filled = [read[row] for row in np.resize(rows, min(_ROWS, len(order)))]
            best = beam_search(
                stepper,
                stepper.begin(_padded(filled)),
                np.full(len(filled), self.end, np.int32),
                width=options.width,
                max_steps=self.most_steps,
                end=self.end,
                length_penalty=options.length_penalty,
                forbidden=self.never,
                minimum=1,
            )
            for row, hypotheses in zip(rows, best, strict=False):
                found[row] = hypotheses[0]
        return [found[row] for row in range(len(order))]

    def untrained(self) -> Models:
        """Models of the same shape, with the random weights that training began with."""
        with drawn_from(self.config.seed):
            return self._network().build()

    def forced(self, pairs: Pairs, steps: int) -> tuple[NDArray[Any], Ids, Ids]:
        """What `Models.whole` reads of pairs, and the ids that it should foretell.

        Parameters
        ----------
        steps
            T; each target, its end included, has as many ids or more, and is cut to so many.

        Returns
        -------
        sources, read, wanted
            ``[B, S, ...]``, and ``int32[B, T]`` of both others: the end and the target before each
            of `wanted`.
        """
        targets = self.encoder.target.encode_all(pairs.targets)
        wanted = np.stack([[*ids, self.end][:steps] for ids in targets]).astype(np.int32)
        before = np.full((len(wanted), 1), self.end, np.int32)
        read = np.concatenate([before, wanted[:, :-1]], axis=1)
        return _padded(self._numbers(pairs.read())), read, wanted

    def stepper(self) -> DecoderStepper:
        """The network a step at a time, to write with.

        Raises
        ------
        UsageError
            There is none yet.
        """
        models = self.models
        if models is None:
            raise UsageError("a learner must be trained before it can write")
        return self._latest.of(models.learning.variables, lambda: self.stepping(models))

    def to_json(self) -> dict[str, Any]:
        """All but weights and encoder, as plain values."""
        return {"network": self._network().model_dump(mode="json"), "longest": self.longest}

    @classmethod
    def from_json(
        cls,
        config: Settings,
        encoder: dict[str, Any],
        model: dict[str, Any],
        where: str,
        *,
        most_bytes: float = math.inf,
    ) -> Self:
        """A learner with random weights, from what `to_json` and the encoder's ``config`` gave.

        Parameters
        ----------
        where
            The folder that they are from.
        most_bytes
            A network whose weights cannot be kept in so many bytes is refused before it is built.

        Raises
        ------
        DataError
            Something is missing or does not fit; names it and the folder.
        """
        learner = cls(config)
        learner.encoder = cls._encoder_from(encoder)
        network = cls.shape.from_json(model.get("network"), f"{where}/model.json")
        longest = model.get("longest")
        if type(longest) is not int or not 0 <= longest <= (config.max_length or 0):
            raise DataError(f"{where}/model.json: `longest` is not as it was written")
        is_settled = all(getattr(config, name) is not None for name in cls.shaping)
        if not is_settled or network != learner._network():
            raise DataError(
                f"{where}/model.json: the network does not belong to the configuration and encoder"
            )
        if network.fewest_bytes > most_bytes:
            raise DataError(f"{where}: the network is larger than the file of its weights")
        learner.longest = longest
        learner._build()
        return learner

    def _network(self) -> DecoderNetwork:
        options = {name: getattr(self.config, name) for name in self.shaping}
        return self.shape(target_ids=self.end + 1, **options, **self._sizes())

    def _build(self) -> None:
        self.models = self.untrained()


def _padded(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Rows ``[S, ...]`` as one array, with 0 behind the end of each."""
    first = rows[0]
    together = np.zeros((len(rows), max(map(len, rows)), *first.shape[1:]), first.dtype)
    for place, row in enumerate(rows):
        together[place, : len(row)] = row
    return together
