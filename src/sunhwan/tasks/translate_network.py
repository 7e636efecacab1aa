"""The network of a translation: one that learns, and one that writes, of the same layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sunhwan import layers
from sunhwan.errors import DataError
from sunhwan.layers.attention import StepAttention
from sunhwan.tasks.options import Cell
from sunhwan.tasks.translate_config import Attention

#: the states of a layer
STATES: dict[str, tuple[str, ...]] = {"simple": ("h",), "gru": ("h",), "lstm": ("h", "c")}


class TranslateNetwork(BaseModel):
    """All that decides the shape of a translator; ``model.json`` of a run holds it.

    The encoder's first layer reads in both directions. Each layer of the decoder begins with what
    a dense layer makes of the last states of the encoder's layer at its height (Sutskever et al.
    2014; a bridge as in Bahdanau et al. 2015, appendix A.2.2: tanh, for an LSTM's c none). What the
    decoder's last layer gives is answered from, with attention over the encoder's steps or without.

    Attributes
    ----------
    source_ids
        Ids of the source's encoder.
    target_ids
        V: ids of the target's encoder and, behind them, the one that stands before and ends a text.
    attention
        As of `sunhwan.layers.attention.StepAttention`, or ``none``.
    shared
        True if both sides have one encoder, and so one table of vectors.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source_ids: int = Field(ge=2, le=1_000_000)
    target_ids: int = Field(ge=3, le=1_000_001)
    cell: Cell
    units: int = Field(ge=1, le=8192)
    num_layers: int = Field(ge=1, le=16)
    embedding: int = Field(ge=1, le=4096)
    dropout: float = Field(ge=0, lt=1)
    attention: Attention
    shared: bool

    @model_validator(mode="after")
    def _one_encoder(self) -> TranslateNetwork:
        if self.shared and self.source_ids != self.target_ids - 1:
            raise ValueError(
                f"with shared ids target_ids must be {self.source_ids + 1}, one more than "
                f"source_ids, received {self.target_ids}"
            )
        return self

    @classmethod
    def from_json(cls, value: Any, where: str) -> TranslateNetwork:
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

    @property
    def end(self) -> int:
        """The id that stands before and behind each target."""
        return self.target_ids - 1

    @property
    def fewest_bytes(self) -> int:
        """Bytes of the larger tables and kernels, at two bytes a number: all weights have more."""
        gates = {"simple": 1, "gru": 3, "lstm": 4}[self.cell]
        vectors = self.target_ids + (0 if self.shared else self.source_ids)
        tables = vectors * self.embedding + self.target_ids * self.units
        # one layer more, for the first of the encoder has two directions
        return 2 * (tables + (2 * self.num_layers + 1) * gates * self.units**2)

    def build(self) -> Translator:
        """New Keras models with random weights, which they share.

        Examples
        --------
        >>> network = TranslateNetwork(source_ids=8, target_ids=9, cell="lstm", units=4,
        ...     num_layers=2, embedding=3, dropout=0.1, attention="additive", shared=True)
        >>> models = network.build()
        >>> models.learning.output.shape, models.reading.output[0].shape
        ((None, None, 9), (None, 4))
        """
        parts = _Layers(self)
        source = keras.Input((None,), dtype="int32", name="source")
        known = parts.read(source)
        decoding = parts.decoding(known)
        ids = keras.Input((None,), dtype="int32", name="target")
        own = keras.Input((1,), name="own")
        mixed = _OwnGuesses(decoding, self.end, name="own_guesses")(ids, own, known)
        logits, _, _ = parts.write(mixed, known)
        learning = keras.Model([source, ids, own], logits)
        return Translator(self, keras.Model(source, known), decoding, learning)


@dataclass(frozen=True, eq=False)
class Translator:
    """Three Keras models of the same layers.

    Attributes
    ----------
    network
        What they were built from.
    reading
        From the source ``int32[B, S]``, padded with 0, to what the decoder begins with: its first
        states ``float32[B, H]`` (of an LSTM h and c, layer by layer); and with attention the
        memory ``float32[B, S, K]``, its keys ``float32[B, S, H]`` and its mask ``bool[B, S]``.
        A list, or where it would have one entry, that.
    decoding
        From target ids ``int32[B, T]`` and what `reading` gives to logits ``float32[B, T, V]``,
        the states after, and with attention its weights ``float32[B, T, S]``.
    learning
        From source ``int32[B, S]``, target-in ids ``int32[B, T]`` and `own` ``float32[B, 1]`` to
        logits ``float32[B, T, V]``. It has all weights. `own` is the share of the ids behind the
        first that are the network's own guesses; see `_OwnGuesses`.
    """

    network: TranslateNetwork
    reading: Any
    decoding: Any
    learning: Any


class _Layers:
    """The layers of a network, each made once."""

    def __init__(self, network: TranslateNetwork) -> None:
        kinds: dict[str, Any] = {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
        cell, units, numbers = network.cell, network.units, range(1, network.num_layers + 1)

        def recurrent(name: str | None = None) -> Any:
            return kinds[cell](units, return_sequences=True, return_state=True, name=name)

        def table(ids: int, name: str) -> Any:
            return layers.Embedding(ids, network.embedding, name=name)

        def drops(name: str) -> list[Any]:
            rate = network.dropout
            return [keras.layers.Dropout(rate, name=f"drop_{name}_{n}") for n in numbers if rate]

        self.states = [f"{name}_{number}" for number in numbers for name in STATES[cell]]
        self.target_table = table(network.target_ids, "table" if network.shared else "target_table")
        self.source_table = self.target_table
        if not network.shared:
            self.source_table = table(network.source_ids, "source_table")
        first = layers.Bidirectional(recurrent(), name="encoder_1")
        self.encoder = [first, *(recurrent(f"encoder_{n}") for n in numbers[1:])]
        self.encoder_drops, self.decoder_drops = drops("encoder"), drops("decoder")
        self.bridges = [
            keras.layers.Dense(units, None if name[0] == "c" else "tanh", name=f"bridge_{name}")
            for name in self.states
        ]
        self.decoder = [recurrent(f"decoder_{n}") for n in numbers]
        kind: Any = network.attention
        self.attention = None if kind == "none" else StepAttention(kind, name="attention")
        self.keys = keras.layers.Dense(units, use_bias=False, name="keys")
        self.answer = keras.layers.Dense(network.target_ids, name="answer")

    def read(self, source: Any) -> list[Any]:
        """What the decoder begins with, as of `Translator.reading`."""
        mask = keras.ops.not_equal(source, 0)
        x, last = self.source_table(source), []
        for number, layer in enumerate(self.encoder):
            x, *states = layer(x, mask=mask)
            if number == 0:  # forwards and backwards
                half = len(states) // 2
                pairs = zip(states[:half], states[half:], strict=True)
                states = [keras.ops.concatenate(pair, axis=-1) for pair in pairs]
            last += states
            x = self.encoder_drops[number](x) if self.encoder_drops else x
        begin = [bridge(state) for bridge, state in zip(self.bridges, last, strict=True)]
        if self.attention is None:
            return begin
        return [*begin, x, self.keys(x), mask]

    def write(self, ids: Any, known: list[Any]) -> tuple[Any, list[Any], list[Any]]:
        """Logits, the states after, and with attention its weights."""
        x, after = self.target_table(ids), []
        states, source = known[: len(self.states)], known[len(self.states) :]
        each = len(states) // len(self.decoder)
        for number, layer in enumerate(self.decoder):
            x, *end = layer(x, initial_state=states[number * each : (number + 1) * each])
            after += end
            x = self.decoder_drops[number](x) if self.decoder_drops else x
        if self.attention is None:
            return self.answer(x), after, []
        memory, keys, mask = source
        found = self.attention(x, memory, memory_mask=mask, keys=keys)
        return self.answer(found.vector), after, [found.weights]

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
        As of `Translator.decoding`.
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
