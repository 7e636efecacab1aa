"""A decoder that writes texts of what an encoder read: the models that learn and that write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import keras
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sunhwan import layers
from sunhwan.errors import DataError
from sunhwan.layers.attention import StepAttention
from sunhwan.layers.id_dropout import IdDropout
from sunhwan.tasks.options import Cell
from sunhwan.tasks.pairs_config import Attention

#: the states of a layer
STATES: dict[str, tuple[str, ...]] = {"simple": ("h",), "gru": ("h",), "lstm": ("h", "c")}
#: the gates of a layer
GATES = {"simple": 1, "gru": 3, "lstm": 4}


class Read(NamedTuple):
    """What an encoder made of its sources."""

    last: list[Any]  #: ``float[B, K]`` for each state of the decoder, which begins with it
    memory: Any  #: ``float[B, S, K]``: what attention looks at
    mask: Any | None  #: ``bool[B, S]``: which steps of the memory are real; None where all are


class Encoder(Protocol):
    """The layers that read a source, each made once."""

    def source(self) -> Any:
        """A new `keras.Input` of what is read, called ``source``."""

    def read(self, source: Any) -> Read:
        """What the decoder is told of a source."""


class DecoderNetwork(BaseModel, ABC):
    """All that decides the shape of a network that writes; ``model.json`` of a run holds it.

    Each state of the decoder begins with what a dense layer makes of what the encoder gives for it
    (a bridge as in Bahdanau et al. 2015, appendix A.2.2: tanh, for an LSTM's c none). What the
    decoder's last layer gives is answered from, with attention over what was read or without.

    Attributes
    ----------
    target_ids
        V: ids of the target's encoder and, behind them, the one that stands before and ends a text.
    dropout
        Share of what goes from layer to layer that is dropped while training, from the tables on to
        the answer.
    token_dropout
        Share of the ids that are read as the unknown one while training.
    attention
        As of `sunhwan.layers.attention.StepAttention`, or ``none``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target_ids: int = Field(ge=3, le=1_000_001)
    cell: Cell
    units: int = Field(ge=1, le=8192)
    num_layers: int = Field(ge=1, le=16)
    embedding: int = Field(ge=1, le=4096)
    dropout: float = Field(ge=0, lt=1)
    token_dropout: float = Field(0.0, ge=0, lt=1)
    attention: Attention

    @classmethod
    def from_json(cls, value: Any, where: str) -> Self:
        """The network that a file describes.

        Raises
        ------
        DataError
            Something is missing, unknown or out of range; names it and the file.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(("network", *map(str, first["loc"])))
            raise DataError(f"{where}: `{name}`: {first['msg'].lower()}") from None

    @abstractmethod
    def encoder(self, table: Any) -> Encoder:
        """New layers that read.

        Parameters
        ----------
        table
            The vectors of the target's ids, for an encoder that shares them.
        """

    @property
    def end(self) -> int:
        """The id that stands before and behind each target."""
        return self.target_ids - 1

    @property
    def target_table(self) -> str:
        """What the table of the target's vectors is called."""
        return "target_table"

    @property
    def fewest_bytes(self) -> int:
        """Bytes of the larger tables and kernels, at two bytes a number: all weights have more."""
        vectors = self.target_ids * (self.embedding + self.units)
        return 2 * (vectors + self.num_layers * GATES[self.cell] * self.units**2)

    def build(self) -> Models:
        """New Keras models with random weights, which they share."""
        parts = _Layers(self)
        source = parts.encoder.source()
        known = parts.read(source)
        decoding = parts.decoding(known)
        ids = keras.Input((None,), dtype="int32", name="target")
        own = keras.Input((1,), name="own")
        mixed = _OwnGuesses(decoding, self.end, name="own_guesses")(ids, own, known)
        logits, _, _ = parts.write(mixed, known)
        learning = keras.Model([source, ids, own], logits)
        whole = keras.Model([source, ids], parts.write(ids, known)[0])
        return Models(self, keras.Model(source, known), decoding, learning, whole)


@dataclass(frozen=True, eq=False)
class Models:
    """Keras models of the same layers.

    Attributes
    ----------
    network
        What they were built from.
    reading
        From sources, such as ``int32[B, S]`` ids padded with 0, to what the decoder begins with:
        its first states ``float32[B, H]`` (of an LSTM h and c, layer by layer); and with attention
        the memory ``float32[B, S, K]``, its keys ``float32[B, S, H]`` and, where not all of it is
        real, its mask ``bool[B, S]``. A list, or where it would have one entry, that.
    decoding
        From target ids ``int32[B, T]`` and what `reading` gives to logits ``float32[B, T, V]``,
        the states after, and with attention its weights ``float32[B, T, S]``.
    learning
        From sources, target-in ids ``int32[B, T]`` and `own` ``float32[B, 1]`` to logits
        ``float32[B, T, V]``. It has all weights. `own` is the share of the ids behind the first
        that are the network's own guesses; see `_OwnGuesses`.
    whole
        The same without `own`, which Keras can save as a file.
    """

    network: DecoderNetwork
    reading: Any
    decoding: Any
    learning: Any
    whole: Any


def recurrent(network: DecoderNetwork, name: str | None = None) -> Any:
    """A new recurrent layer that gives all steps and its last states."""
    kinds: dict[str, Any] = {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    return kinds[network.cell](network.units, return_sequences=True, return_state=True, name=name)


def drop(network: DecoderNetwork, name: str) -> Any:
    """A new dropout."""
    return keras.layers.Dropout(network.dropout, name=f"drop_{name}")


def drops(network: DecoderNetwork, name: str) -> list[Any]:
    """A new dropout for behind each layer."""
    return [drop(network, f"{name}_{number}") for number in range(1, network.num_layers + 1)]


class _Layers:
    """The layers of a network, each made once."""

    def __init__(self, network: DecoderNetwork) -> None:
        units, numbers = network.units, range(1, network.num_layers + 1)
        self.states = [f"{name}_{number}" for number in numbers for name in STATES[network.cell]]
        self.table = layers.Embedding(
            network.target_ids, network.embedding, name=network.target_table
        )
        self.encoder = network.encoder(self.table)
        self.hidden = IdDropout(network.token_dropout, name="drop_target_ids")
        self.drop_table, self.drop = drop(network, "target"), drop(network, "answer")
        self.drops = drops(network, "decoder")
        self.bridges = [
            keras.layers.Dense(units, None if name[0] == "c" else "tanh", name=f"bridge_{name}")
            for name in self.states
        ]
        self.decoder = [recurrent(network, f"decoder_{n}") for n in numbers]
        kind: Any = network.attention
        self.attention = None if kind == "none" else StepAttention(kind, name="attention")
        self.keys = keras.layers.Dense(units, use_bias=False, name="keys")
        self.answer = keras.layers.Dense(network.target_ids, name="answer")

    def read(self, source: Any) -> list[Any]:
        """What the decoder begins with, as of `Models.reading`."""
        last, memory, mask = self.encoder.read(source)
        begin = [bridge(state) for bridge, state in zip(self.bridges, last, strict=True)]
        if self.attention is None:
            return begin
        return [*begin, memory, self.keys(memory), *([] if mask is None else [mask])]

    def write(self, ids: Any, known: list[Any]) -> tuple[Any, list[Any], list[Any]]:
        """Logits, the states after, and with attention its weights."""
        x, after = self.drop_table(self.table(self.hidden(ids))), []
        states, read = known[: len(self.states)], known[len(self.states) :]
        each = len(states) // len(self.decoder)
        for number, layer in enumerate(self.decoder):
            x, *end = layer(x, initial_state=states[number * each : (number + 1) * each])
            after += end
            x = self.drops[number](x)
        if self.attention is None:
            return self.answer(x), after, []
        memory, keys, *mask = read
        found = self.attention(x, memory, memory_mask=mask[0] if mask else None, keys=keys)
        return self.answer(self.drop(found.vector)), after, [found.weights]

    def decoding(self, known: list[Any]) -> Any:
        """The model that writes, for tensors like those of `read`."""
        ids = keras.Input((None,), dtype="int32", name="ids")
        names = [*self.states, "memory", "keys", "mask"][: len(known)]
        given = [
            keras.Input(one.shape[1:], dtype=one.dtype, name=name)
            for name, one in zip(names, known, strict=True)
        ]
        logits, after, weights = self.write(ids, given)
        return keras.Model([ids, *given], [logits, *after, *weights])


class _OwnGuesses(keras.layers.Layer):  # type: ignore[misc]
    """Target-in ids of which a share is what the network itself would have written there.

    Scheduled sampling (Bengio et al. 2015) in two passes (Mihaylova and Martins 2019): the first
    reads the true ids and foretells the next one at each place; the likeliest replaces the true one
    with the probability `own` of its row. What the layer gives is read in the second pass. There is
    no gradient through the choice, nothing is dropped out in the first pass, and where `own` is 0
    in all rows it is not computed. The first id, padding, and what the network would have ended at,
    behind which nothing is ever read, stay.

    Parameters
    ----------
    decoding
        As of `Models.decoding`.
    end
        The id that ends a text.
    """

    def __init__(self, decoding: Any, end: int, **options: Any) -> None:
        super().__init__(**options)
        # behind a function, so that its layers count once among those of the model around it
        self._decoding: Callable[[], Any] = lambda: decoding
        self._end = end
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, ids: Any, own: Any, known: list[Any]) -> Any:
        """Return ``int32[B, T]``."""
        ops = keras.ops
        draws = keras.random.uniform(ops.shape(ids), seed=self.seed_generator)

        def mixed() -> Any:
            guesses = self._guesses(ids, known)
            before = ops.concatenate([ids[:, :1], guesses[:, :-1]], axis=1)
            is_own = (draws < own) & (ids != 0) & (before != self._end)
            is_own = is_own & (ops.arange(ops.shape(ids)[1]) > 0)
            return ops.where(is_own, before, ids)

        return ops.cond(ops.any(own > 0), mixed, lambda: ids)

    def _guesses(self, ids: Any, known: list[Any]) -> Any:
        """The likeliest id behind each, ``int32[B, T]``."""
        decoding, still = self._decoding(), keras.ops.stop_gradient
        # nothing here has a derivative, which JAX learns before it prepares one
        values = [(variable, still(variable.value)) for variable in decoding.variables]
        with keras.StatelessScope(state_mapping=values):
            logits, *_ = decoding([ids, *map(still, known)], training=False)
        return keras.ops.cast(keras.ops.argmax(logits, axis=-1), "int32")

    def compute_output_spec(self, ids: Any, own: Any, known: list[Any]) -> Any:
        """Return shape and type of the ids."""
        return keras.KerasTensor(ids.shape, "int32")
