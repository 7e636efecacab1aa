"""A language model together with what turns texts into its ids and its ids into texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.written import guess_written, written_encoder, written_encoder_from_config
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.progress import Progress
from sunhwan.tasks.generate_config import GenerateConfig
from sunhwan.tasks.language_batches import StreamBatches, joined
from sunhwan.tasks.language_network import LanguageNetwork, NetworkStepper
from sunhwan.tasks.options import drawn_from
from sunhwan.tasks.stepping import Latest
from sunhwan.tasks.training import History, train


class LanguageLearner:
    """Learns how texts go on, one token after the other.

    Before each text stands the id `end`, and behind each that is whole; so the network learns where
    texts begin and end.

    Parameters
    ----------
    config
        Options; those that are None are chosen by the texts when it is prepared.

    Attributes
    ----------
    config
        Settled by `prepare`.
    encoder
        Learnt by `prepare` from training texts alone.
    network, model
        What was built; `model` takes and gives states, see `LanguageNetwork.build`.
    """

    task: Literal["generate"] = "generate"
    kind: Literal["text"] = "text"

    def __init__(self, config: GenerateConfig) -> None:
        self.config = config
        self.encoder: Any = None
        self.network: LanguageNetwork | None = None
        self.model: Any = None
        self._learning: Any = None
        self._latest: Latest[NetworkStepper] = Latest()

    @property
    def end(self) -> int:
        """The id that stands before and behind texts."""
        return int(self.encoder.vocabulary)

    def prepare(self, texts: Sequence[str]) -> list[str]:
        """Learn the tokens of training texts, choose what is open, and build the network.

        Returns
        -------
        list of str
            Why the texts are split as they are.
        """
        notes: list[str] = []
        tokens: str = self.config.tokens
        if tokens == "auto":
            tokens, why = guess_written(texts)
            notes.append(f"tokens: {tokens} ({why})")
        self.encoder = written_encoder(tokens, self.config.vocabulary).fit(texts)
        count = sum(map(len, self.ids(texts)))
        self.config = self.config.model_copy(update={"tokens": tokens}).settled(tokens, count)
        options = {name: getattr(self.config, name) for name in _FROM_CONFIG}
        self._build(LanguageNetwork(ids=self.end + 1, **options))
        return notes

    def _build(self, network: LanguageNetwork) -> None:
        self.network = network
        self.model = self.untrained()

    def untrained(self) -> Any:
        """A network of the same shape, with the random weights that training began with."""
        if self.network is None:
            raise UsageError("a learner must be prepared before it has a network")
        with drawn_from(self.config.seed):
            return self.network.build()

    def ids(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """The ids of each text; none for no text."""
        # an encoder gives the unknown id for no text at all
        found = zip(texts, self.encoder.encode_all(texts), strict=True)
        return [ids if text else ids[:0] for text, ids in found]

    def joined(self, texts: Sequence[NDArray[np.int32]], *, closed: bool) -> NDArray[np.int32]:
        """Texts of `ids` end to end, ``int32[N + 1]``; see `language_batches.joined`."""
        return joined(texts, self.end, closed=closed)

    def fit(
        self,
        training: NDArray[np.int32],
        validation: NDArray[np.int32],
        *,
        state: Path | None = None,
        fingerprint: str = "",
        progress: Progress | None = None,
    ) -> History:
        """Train the network on `joined` texts, and leave it with the weights of its best epoch."""
        import keras

        config = self.config
        return train(
            self._learner(),
            self._batches(training, config.seed),
            self._batches(validation),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=config.new_optimizer(),
            epochs=config.epochs or 1,
            patience=config.patience,
            schedule=config.schedule or "constant",
            state=state,
            fingerprint=fingerprint,
            progress=progress,
        )

    def _learner(self) -> Any:
        if self._learning is None and self.network is not None:
            rows, steps = self.config.batch_size or 1, self.config.sequence_length or 1
            with drawn_from(self.config.seed):
                self._learning = self.network.learning(self.model, rows, steps)
        return self._learning

    def _batches(self, ids: NDArray[np.int32], seed: int | None = None) -> StreamBatches:
        rows, steps = self.config.batch_size or 1, self.config.sequence_length or 1
        return StreamBatches(ids, batch_size=rows, steps=steps, seed=seed)

    def losses(self, ids: NDArray[np.int32]) -> NDArray[np.float64]:
        """Minus the logarithm of the probability of each token but the first, in nats.

        Parameters
        ----------
        ids
            ``int32[N + 1]`` of `joined`.

        Returns
        -------
        float64[N]
            The N tokens are dealt out to the rows of a batch, as in training; only the first one of
            a row is foretold from nothing.
        """
        from sunhwan.tasks.steps import variables

        batches, score = self._batches(ids), _scored(self._learner())
        trainable, other = variables(self._learner())
        found = np.empty(batches.count)
        for number in range(len(batches)):
            x, wanted, _ = batches[number]
            values, other = score(trainable, other, x, wanted)
            places = batches.places(number)
            found[places[places >= 0]] = np.asarray(values)[places >= 0]
        return found

    def stepper(self) -> NetworkStepper:
        """The network a step at a time, to write with."""
        return self._latest.of(self.model.variables, lambda: NetworkStepper(self.model))

    def to_json(self) -> dict[str, Any]:
        """All but weights and encoder, as plain values."""
        return {"network": self.network.model_dump(mode="json")} if self.network else {}

    @classmethod
    def from_json(
        cls,
        config: GenerateConfig,
        encoder: dict[str, Any],
        model: dict[str, Any],
        where: str,
        *,
        most_bytes: float = math.inf,
    ) -> LanguageLearner:
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
        learner.encoder = written_encoder_from_config(encoder)
        network = LanguageNetwork.from_json(model.get("network"), f"{where}/model.json")
        options = {name: getattr(config, name) for name in _FROM_CONFIG}
        if network.model_dump() != {"ids": learner.end + 1, **options}:
            raise DataError(
                f"{where}/model.json: the network does not belong to the configuration and encoder"
            )
        if network.fewest_bytes > most_bytes:
            raise DataError(f"{where}: the network is larger than the file of its weights")
        learner._build(network)
        return learner


# kept for one model, so that validation and test compile each shape once
@lru_cache(maxsize=1)
def _scored(model: Any) -> Any:
    """A compiled function that gives the loss of each step, and the variables after."""
    import jax

    def score(trainable: list[Any], other: list[Any], x: Any, wanted: Any) -> Any:
        logits, after = model.stateless_call(trainable, other, x, training=False)
        chosen = jax.numpy.take_along_axis(logits, wanted[..., None], axis=-1)[..., 0]
        return jax.nn.logsumexp(logits, axis=-1) - chosen, after

    return jax.jit(score)


_FROM_CONFIG = ("cell", "units", "num_layers", "embedding", "dropout", "recurrent_dropout",
                "weight_dropout")  # fmt: skip
