"""A translator together with what turns texts into its ids and its ids into texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Rejected
from sunhwan.data.tokens import PADDING, UNKNOWN
from sunhwan.data.written import guess_written, written_encoder, written_encoder_from_config
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.progress import Progress
from sunhwan.tasks.beam import beam_search
from sunhwan.tasks.options import drawn_from
from sunhwan.tasks.training import History, train
from sunhwan.tasks.translate_batches import PairBatches
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_network import TranslateNetwork, Translator
from sunhwan.tasks.translate_parts import Pairs, within_length
from sunhwan.tasks.translate_stepper import TranslationStepper

Ids = NDArray[np.int32]
#: sources that are answered together
_ROWS = 32
#: an answer may be so many times as long as the longest that was learnt, and some tokens more
_LONGER, _MORE = 1.5, 10


@dataclass(frozen=True)
class Sides:
    """The encoders of both sides, which are one where they share a vocabulary."""

    source: Any
    target: Any

    def config(self) -> dict[str, Any]:
        """Plain JSON, from which `from_config` makes them again."""
        target = None if self.target is self.source else self.target.config()
        return {"source": self.source.config(), "target": target}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sides:
        """The encoders whose `config` gave this.

        Raises
        ------
        DataError
            They are not as they were written.
        """
        if set(config) != {"source", "target"}:
            raise DataError("the encoders of a translation must be `source` and `target`")
        source = written_encoder_from_config(config["source"])
        target = config["target"]
        return cls(source, source if target is None else written_encoder_from_config(target))


class TranslateLearner:
    """Learns what texts become of texts.

    Parameters
    ----------
    config
        Options; those that are None are chosen by the pairs when it is prepared.

    Attributes
    ----------
    config
        Settled by `prepare`.
    encoder
        Of both sides; learnt by `prepare` from training pairs alone.
    longest
        Tokens of the longest target that was learnt from.
    translator, model
        What was built; `model` is the one of them that has all weights.
    """

    task: Literal["translate"] = "translate"
    kind: Literal["text"] = "text"

    def __init__(self, config: TranslateConfig) -> None:
        self.config = config
        self.encoder: Any = None
        self.longest = 0
        self.translator: Translator | None = None

    @property
    def model(self) -> Any:
        """The Keras model that has all weights."""
        return None if self.translator is None else self.translator.learning

    @property
    def end(self) -> int:
        """The id that stands before and behind targets."""
        return int(self.encoder.target.vocabulary)

    def prepare(self, pairs: Pairs) -> list[str]:
        """Learn the tokens of training pairs, choose what is open, and build the network.

        Returns
        -------
        list of str
            Why the texts are split as they are.
        """
        config, notes, names = self.config, [], []
        for given, texts in (
            (config.source_tokens, pairs.sources),
            (config.target_tokens, pairs.targets),
        ):
            name: str = given
            if given == "auto":
                name, why = guess_written(texts)
                notes.append(f"tokens: {name} ({why})")
            names.append(name)
        self.config = config.settled(names[0], names[1], len(pairs))
        source = written_encoder(names[0], config.vocabulary)
        if config.shared_vocabulary:
            source.fit([*pairs.sources, *pairs.targets])
            self.encoder = Sides(source, source)
        else:
            target = written_encoder(names[1], config.vocabulary)
            self.encoder = Sides(source.fit(pairs.sources), target.fit(pairs.targets))
        self._build()
        return notes

    def _network(self) -> TranslateNetwork:
        options = {name: getattr(self.config, name) for name in _FROM_CONFIG}
        return TranslateNetwork(
            source_ids=self.encoder.source.vocabulary,
            target_ids=self.end + 1,
            shared=self.config.shared_vocabulary,
            **options,
        )

    def _build(self) -> None:
        with drawn_from(self.config.seed):
            self.translator = self._network().build()

    def short_enough(self, pairs: Pairs) -> tuple[Pairs, list[Rejected]]:
        """The pairs that are learnt from, and those that are too long for it."""
        sides = (
            self.encoder.source.encode_all(pairs.sources),
            self.encoder.target.encode_all(pairs.targets),
        )
        counts = [np.array([len(ids) for ids in side]) for side in sides]
        most = self.config.max_length or 1
        rows, longer = within_length(counts[0], counts[1], pairs.places, most)
        self.longest = int(counts[1][rows].max())
        return (pairs.take(rows) if longer else pairs), longer

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
        return train(
            self.model,
            batches,
            self._batches(validation, shapes=batches.shapes),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=config.new_optimizer(),
            epochs=config.epochs or 1,
            patience=config.patience,
            schedule=config.schedule or "constant",
            state=state,
            fingerprint=fingerprint,
            progress=progress,
        )

    def _batches(self, pairs: Pairs, **options: Any) -> PairBatches:
        return PairBatches(
            self.encoder.source.encode_all(pairs.sources),
            self.encoder.target.encode_all(pairs.targets),
            end=self.end,
            batch_size=self.config.batch_size or 1,
            **options,
        )

    def answer(
        self,
        sources: Sequence[str],
        *,
        width: int | None = None,
        length_penalty: float | None = None,
    ) -> list[str]:
        """The best text for each source, by beam search.

        Parameters
        ----------
        width, length_penalty
            As of `sunhwan.tasks.beam.beam_search`; None are those of the configuration.
        """
        stepper = self.stepper()
        ids = self.encoder.source.encode_all(sources)
        order = np.argsort([len(one) for one in ids], kind="stable").tolist()
        found = [""] * len(ids)
        for start in range(0, len(order), _ROWS):
            rows = order[start : start + _ROWS]
            # the last batch is filled up, so that it needs no compiling of its own
            filled = [ids[row] for row in np.resize(rows, min(_ROWS, len(order)))]
            best = beam_search(
                stepper,
                stepper.begin(_padded(filled)),
                np.full(len(filled), self.end, np.int32),
                width=width or self.config.width,
                max_steps=int(self.longest * _LONGER) + _MORE,
                end=self.end,
                length_penalty=(
                    self.config.length_penalty if length_penalty is None else length_penalty
                ),
                forbidden=(PADDING, UNKNOWN),
                minimum=1,
            )
            for row, hypotheses in zip(rows, best, strict=False):
                found[row] = self.encoder.target.decode(list(hypotheses[0].ids))
        return found

    def stepper(self) -> TranslationStepper:
        """The network a step at a time, to write with."""
        if self.translator is None:
            raise UsageError("a learner must be trained before it can write")
        return TranslationStepper(self.translator)

    def to_json(self) -> dict[str, Any]:
        """All but weights and encoder, as plain values."""
        return {"network": self._network().model_dump(mode="json"), "longest": self.longest}

    @classmethod
    def from_json(
        cls,
        config: TranslateConfig,
        encoder: dict[str, Any],
        model: dict[str, Any],
        where: str,
        *,
        most_bytes: float = math.inf,
    ) -> TranslateLearner:
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
        learner.encoder = Sides.from_config(encoder)
        network = TranslateNetwork.from_json(model.get("network"), f"{where}/model.json")
        longest = model.get("longest")
        if type(longest) is not int or not 0 <= longest <= (config.max_length or 0):
            raise DataError(f"{where}/model.json: `longest` is not as it was written")
        is_settled = all(getattr(config, name) is not None for name in _FROM_CONFIG)
        if not is_settled or network != learner._network():
            raise DataError(
                f"{where}/model.json: the network does not belong to the configuration and encoder"
            )
        if network.fewest_bytes > most_bytes:
            raise DataError(f"{where}: the network is larger than the file of its weights")
        learner.longest = longest
        learner._build()
        return learner


def _padded(rows: Sequence[Ids]) -> Ids:
    ids = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
    return ids


_FROM_CONFIG = ("cell", "units", "num_layers", "embedding", "dropout", "attention")
