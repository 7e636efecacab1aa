"""How tutorials write with Keras's own layers: a `predict` for each letter.

There are two ways. One reads all that is written so far again, padded to a fixed length, as in
Chollet, *Deep Learning with Python*, 2nd edition, section 11.5. The other keeps the states and
feeds them back to a model of one step, as in Keras's example "Character-level recurrent
sequence-to-sequence model". Both take the likeliest id, and have the weights of one of our models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.data.tokens import PADDING, UNKNOWN
from sunhwan.errors import UsageError

Ids = NDArray[np.int32]
#: from the number of a step and the ids ``int32[N]`` before it to logits ``float32[N, V]``
Step = Callable[[int, Ids], NDArray[np.float32]]
#: the ways to write
WAYS = ("whole", "states")


class StockLanguage:
    """An LSTM language model of Keras's own layers.

    Parameters
    ----------
    model
        Of `sunhwan.tasks.language_network.LanguageNetwork.build`, with one layer of LSTM.
    """

    def __init__(self, model: Any) -> None:
        table, lstm = model.get_layer("table"), model.get_layer("lstm_1")
        ids = keras.Input((None,), dtype="int32")
        states = [keras.Input((lstm.units,)) for _ in "hc"]
        look = keras.layers.Embedding(table.input_dim, table.output_dim, name="table")
        cell = keras.layers.LSTM(
            lstm.units, return_sequences=True, return_state=True, name="lstm_1"
        )
        answer = keras.layers.Dense(table.input_dim, name="answer")
        self._whole = keras.Model(ids, answer(cell(look(ids))[0]))
        steps, *after = cell(look(ids), initial_state=states)
        self._single = keras.Model([ids, *states], [answer(steps), *after])
        self._units = lstm.units
        _take_weights(self._whole, model)

    def write(self, way: str, begin: int, length: int, most: int) -> list[int]:
        """So many ids behind `begin`, which is never written.

        Parameters
        ----------
        way
            One of `WAYS`.
        most
            What the prefix is padded to.
        """
        if way == "whole":
            step = _rereading(lambda prefix: prefix, self._whole, 1, most)
        else:
            zeros = np.zeros((1, self._units), np.float32)
            step = _fed_back(self._single, [zeros, zeros], 2)
        return _greedy(step, 1, begin, length, goes_on=True)[0]


class StockTranslator:
    """An encoder and a decoder, each one layer of LSTM, of Keras's own layers.

    Parameters
    ----------
    model
        The one with all weights of a `sunhwan.tasks.translate_network.TranslateNetwork`, whose
        attention, if there is any, is multiplicative.

    Raises
    ------
    UsageError
        It has more layers, another cell, one vocabulary for both sides, or additive attention.
    """

    def __init__(self, model: Any) -> None:
        names = {layer.name for layer in model.layers}
        self._attends = "attention" in names
        if "encoder_2" in names or not {"bridge_c_1", "target_table"} <= names:
            raise UsageError("expected a translator with one layer of LSTM and two vocabularies")
        if self._attends and (kind := model.get_layer("attention").kind) != "multiplicative":
            raise UsageError(f"expected multiplicative attention, as Keras has it, received {kind}")
        tables = [model.get_layer(f"{side}_table") for side in ("source", "target")]
        units = model.get_layer("decoder_1").units
        source, ids = (keras.Input((None,), dtype="int32") for _ in tables)
        known = self._read(source, tables[0], units)
        given = [keras.Input(one.shape[1:], dtype=one.dtype) for one in known]
        write = self._writer(tables[1], units)
        self._whole = keras.Model([source, ids], write(ids, known)[0])
        self._reading = keras.Model(source, known)
        logits, after = write(ids, given)
        self._single = keras.Model([ids, *given], [logits, *after])
        _take_weights(self._whole, model)

    def _read(self, source: Any, table: Any, units: int) -> list[Any]:
        """What the decoder begins with: its states, and with attention memory, keys and mask."""
        layers = keras.layers
        look = layers.Embedding(
            table.input_dim, table.output_dim, mask_zero=True, name="source_table"
        )
        lstm = layers.LSTM(units, return_sequences=True, return_state=True)
        words = look(source)
        memory, *last = layers.Bidirectional(lstm, name="encoder_1")(words)
        begin = []
        for number, (name, activation) in enumerate((("h", "tanh"), ("c", None))):
            both = layers.Concatenate()([last[number], last[number + 2]])
            begin.append(layers.Dense(units, activation, name=f"bridge_{name}_1")(both))
        if not self._attends:
            return begin
        memory = layers.Concatenate()([memory, words])
        keys = layers.Dense(units, use_bias=False, name="keys")(memory)
        return [*begin, memory, keys, keras.ops.not_equal(source, 0)]

    def _writer(self, table: Any, units: int) -> Callable[[Any, list[Any]], Any]:
        """A function of target ids, and of what the decoder begins with."""
        layers = keras.layers
        look = layers.Embedding(table.input_dim, table.output_dim, name="target_table")
        lstm = layers.LSTM(units, return_sequences=True, return_state=True, name="decoder_1")
        combine = layers.Dense(units, "tanh", use_bias=False, name="attention")
        answer, attention = (
            layers.Dense(table.input_dim, name="answer"),
            layers.Attention(name="look"),
        )

        def write(ids: Any, known: list[Any]) -> tuple[Any, list[Any]]:
            x, *after = lstm(look(ids), initial_state=known[:2])
            if self._attends:
                memory, keys, mask = known[2:]
                context = attention([x, memory, keys], mask=[None, mask])
                x = combine(layers.Concatenate()([context, x]))
            return answer(x), after

        return write

    def write(self, way: str, sources: Ids, end: int, most: int) -> list[list[int]]:
        """The likeliest ids for each of ``int32[N, S]`` sources, up to its end, `most` at most."""
        rows = len(sources)
        if way == "whole":
            step = _rereading(lambda prefix: [sources, prefix], self._whole, rows, most)
        else:
            known = self._reading.predict(sources, batch_size=rows, verbose=0)
            step = _fed_back(self._single, known, 2)
        return _greedy(step, rows, end, most)


def _take_weights(model: Any, ours: Any) -> None:
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(ours.get_layer(layer.name).get_weights())


def _rereading(given: Callable[[Ids], Any], model: Any, rows: int, most: int) -> Step:
    """A step that lets a model read all ids so far."""
    prefix = np.zeros((rows, most), np.int32)

    def step(number: int, last: Ids) -> NDArray[np.float32]:
        prefix[:, number] = last
        found: NDArray[np.float32] = model.predict(given(prefix), batch_size=rows, verbose=0)
        return found[:, number]

    return step


def _fed_back(model: Any, known: Sequence[NDArray[Any]], states: int) -> Step:
    """A step that lets a model read the last ids, and keeps the first so many of what it knows."""
    now = list(known)

    def step(number: int, last: Ids) -> NDArray[np.float32]:
        del number
        logits, *now[:states] = model.predict(
            [last[:, None], *now], batch_size=len(last), verbose=0
        )
        found: NDArray[np.float32] = logits[:, 0]
        return found

    return step


def _greedy(
    step: Step, rows: int, end: int, most: int, *, goes_on: bool = False
) -> list[list[int]]:
    """The likeliest ids of each row, up to its end; where it goes on there is none."""
    last, written = np.full(rows, end, np.int32), []
    for number in range(most):
        logits = step(number, last)
        logits[:, [PADDING, UNKNOWN]] = -np.inf
        if goes_on or not number:
            logits[:, end] = -np.inf
        last = logits.argmax(axis=-1).astype(np.int32)
        written.append(last)
        if (np.stack(written) == end).any(axis=0).all():
            break
    found = np.stack(written, axis=1).tolist()
    return [row[: row.index(end)] if end in row else row for row in found]
