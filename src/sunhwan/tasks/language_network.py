"""The network of a language model: one to learn with, one to write with, of the same layers."""

from __future__ import annotations

from typing import Any

import keras
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sunhwan import layers
from sunhwan.errors import DataError
from sunhwan.layers.carried import Carried
from sunhwan.tasks.options import Cell


class LanguageNetwork(BaseModel):
    """All that decides the shape of a language model; ``model.json`` of a run holds it.

    Attributes
    ----------
    ids
        V: ids of the encoder and the one that ends a text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: int = Field(ge=2, le=1_000_001)
    cell: Cell
    units: int = Field(ge=1, le=8192)
    num_layers: int = Field(ge=1, le=16)
    embedding: int = Field(ge=1, le=4096)
    dropout: float = Field(ge=0, lt=1)
    recurrent_dropout: float = Field(ge=0, lt=1)
    weight_dropout: float = Field(0.0, ge=0, lt=1)

    @classmethod
    def from_json(cls, value: Any, where: str) -> LanguageNetwork:
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
            name = ".".join(str(part) for part in first["loc"])
            raise DataError(f"{where}: `network.{name}`: {first['msg'].lower()}") from None

    @property
    def fewest_bytes(self) -> int:
        """Bytes of the larger tables and kernels, at two bytes a number: all weights have more."""
        gates = {"simple": 1, "gru": 3, "lstm": 4}[self.cell]
        tables = self.ids * (self.embedding + self.units)
        return 2 * (tables + self.num_layers * gates * self.units**2)

    def build(self) -> Any:
        """A new Keras model with random weights, to write with: states in, states out.

        Its inputs are ids ``int32[B, T]`` and states ``float32[B, H]`` (of an LSTM h and c), first
        those of the first layer; its outputs logits ``float32[B, T, V]`` and the states after.

        Examples
        --------
        >>> network = LanguageNetwork(ids=9, cell="lstm", units=4, num_layers=2, embedding=3,
        ...     dropout=0.1, recurrent_dropout=0)
        >>> [output.shape for output in network.build().outputs]
        [(None, None, 9), (None, 4), (None, 4), (None, 4), (None, 4)]
        """
        ids = keras.Input((None,), dtype="int32", name="ids")
        kinds: dict[str, Any] = {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
        x = layers.Embedding(self.ids, self.embedding, name="table")(ids)
        before, after = [], []
        for number in range(1, self.num_layers + 1):
            layer = kinds[self.cell](
                self.units,
                return_sequences=True,
                return_state=True,
                recurrent_dropout=self.recurrent_dropout,
                name=f"{self.cell}_{number}",
            )
            names = ("h", "c") if self.cell == "lstm" else ("h",)
            begin = [keras.Input((self.units,), name=f"{name}_{number}") for name in names]
            x, *end = layer(x, initial_state=begin)
            before += begin
            after += end
            if self.dropout:
                x = keras.layers.Dropout(self.dropout, name=f"drop_{number}")(x)
        logits = keras.layers.Dense(self.ids, name="answer")(x)
        return keras.Model([ids, *before], [logits, *after])

    def learning(self, model: Any, rows: int, steps: int) -> Any:
        """A model of the layers, and so the weights, of `model`, whose states go on by themselves.

        Its inputs are ids ``int32[rows, steps]`` and ``float32[rows, 1]``, 0 where a row begins
        anew; its output is logits ``float32[rows, steps, V]``.
        """
        ids = keras.Input(batch_shape=(rows, steps), dtype="int32", name="ids")
        goes_on = keras.Input(batch_shape=(rows, 1), name="goes_on")
        x = model.get_layer("table")(ids)
        for number in range(1, self.num_layers + 1):
            layer = model.get_layer(f"{self.cell}_{number}")
            carried = Carried(layer, self.weight_dropout, name=f"carried_{number}")
            x = carried([x, goes_on])
            if self.dropout:
                x = model.get_layer(f"drop_{number}")(x)
        return keras.Model([ids, goes_on], model.get_layer("answer")(x))


class NetworkStepper:
    """A language model as a `sunhwan.tasks.stepping.Stepper`.

    Parameters
    ----------
    model
        Of `LanguageNetwork.build`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._sizes = [state.shape[1] for state in model.inputs[1:]]
        self._weights = [v.value for v in model.trainable_variables]
        self._others = [v.value for v in model.non_trainable_variables]

    def start(self, rows: int) -> list[Any]:
        """States before the first token: zeros."""
        return [keras.ops.zeros((rows, size), "float32") for size in self._sizes]

    def step(self, state: list[Any], ids: Any) -> tuple[list[Any], Any]:
        """The states after ``int32[N]`` ids, and the logits of what comes next."""
        outputs, _ = self._model.stateless_call(
            self._weights, self._others, [ids[:, None], *state], training=False
        )
        logits, *after = outputs
        return after, logits[:, 0]
