"""A translator together with what turns texts into its ids and its ids into texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.spool import lengths
from sunhwan.data.tokens import PADDING, UNKNOWN
from sunhwan.data.written import (
    guess_read,
    guess_written,
    tokens_of,
    written_encoder,
    written_encoder_from_config,
)
from sunhwan.errors import DataError
from sunhwan.tasks.beam import Hypothesis
from sunhwan.tasks.pairs_learner import PairsLearner
from sunhwan.tasks.translate_batches import PairBatches
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_network import TranslateNetwork
from sunhwan.tasks.translate_parts import Pairs
from sunhwan.tasks.translate_stepper import TranslationStepper

#: a word that is copied stands apart from these
_GAP = tuple(",.;:!?")


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


class TranslateLearner(PairsLearner[TranslateConfig]):
    """Learns what texts become of texts."""

    task, kind, roles = "translate", "text", ("source", "target")
    shape = TranslateNetwork
    shaping = ("cell", "units", "num_layers", "embedding", "dropout", "token_dropout", "attention")
    stepping = TranslationStepper

    def prepare(self, pairs: Pairs) -> list[str]:
        """Learn the tokens of training pairs, choose what is open, and build the network.

        Returns
        -------
        list of str
            Why the texts are split as they are.
        """
        config, notes, names = self.config, [], []
        for given, texts, guess in (
            (config.source_tokens, pairs.sources, guess_read),
            (config.target_tokens, pairs.targets, guess_written),
        ):
            name: str = given
            if given == "auto":
                # one vocabulary is for texts that are written too
                name, why = (guess_written if config.shared_vocabulary else guess)(texts)
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

    @property
    def never(self) -> tuple[int, ...]:
        """The ids that no answer holds; the unknown one too, unless something is written for it."""
        return (PADDING,) if self.config.copy_unknown else super().never

    def written(self, found: Hypothesis, source: str) -> str:
        """What a search found for a source, as text.

        With `copy_unknown` the token of the source that was looked at most is written where the
        answer's is unknown (Luong et al. 2015, "Addressing the rare word problem", section 4, with
        attention in place of their pointers).
        """
        ids = np.asarray(found.ids)
        places = np.flatnonzero(ids == UNKNOWN)
        if not len(places):
            return super().written(found, source)
        weights = self.stepper().attention_of(self.encoder.source.encode(source), ids)
        tokens = tokens_of(self.config.source_tokens, source)
        decode = self.encoder.target.decode
        said, start = "", 0
        for place in places.tolist():
            said += decode(ids[start:place])
            # a written word has the space before it, but whether this one would is not known
            is_apart = said.endswith(_GAP) or said[-1:].isalnum()
            gap = " " if is_apart and self.config.target_tokens == "words" else ""
            said += gap + tokens[int(weights[place].argmax())].strip()
            start = place + 1
        return said + decode(ids[start:])

    def unknown(self, sources: Sequence[str]) -> tuple[int, int]:
        """How many tokens of sources were never met while learning, and how many there are."""
        ids = self._numbers(sources)
        return sum(int((one == UNKNOWN).sum()) for one in ids), sum(map(len, ids))

    def looked_at(self, text: str, said: str) -> tuple[list[str], list[str], NDArray[np.float32]]:
        """What of a source each token of an answer looked at.

        Returns
        -------
        tuple
            S tokens of the source; T of the answer, the last of them its end, which is written as
            nothing; and ``float32[T, S]``, rows that sum to 1.

        Raises
        ------
        UsageError
            The network has no attention.
        """
        source, target = self.encoder.source, self.encoder.target
        read, written = source.encode(text), target.encode(said)
        weights = self.stepper().attention_of(read, [*written, self.end])
        tokens = [source.decode([int(one)]) for one in read]
        return tokens, [*(target.decode([int(one)]) for one in written), ""], weights

    def describe(self, pairs: Pairs) -> list[str]:
        """Lines on how the encoders fit pairs."""
        return [
            *self.encoder.source.describe(pairs.sources),
            *self.encoder.target.describe(pairs.targets),
        ]

    def _sizes(self) -> dict[str, Any]:
        return {
            "source_ids": self.encoder.source.vocabulary,
            "shared": self.config.shared_vocabulary,
        }

    def _numbers(self, sources: Sequence[str]) -> Sequence[NDArray[np.int32]]:
        found: Sequence[NDArray[np.int32]] = self.encoder.source.encode_all(sources)
        return found

    def _source_tokens(self, pairs: Pairs) -> NDArray[np.int64]:
        return lengths(self._numbers(pairs.sources))

    def _batches(self, pairs: Pairs, **options: Any) -> PairBatches:
        return PairBatches(
            self._numbers(pairs.sources),
            self.encoder.target.encode_all(pairs.targets),
            end=self.end,
            batch_size=self.config.batch_size or 1,
            **options,
        )

    @classmethod
    def _encoder_from(cls, config: dict[str, Any]) -> Sides:
        return Sides.from_config(config)
