"""The network of a task, built from a specification of plain values and from nothing else."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sunhwan.errors import DataError
from sunhwan.tasks.config import Cell, Config, PoolingMode


class Network(BaseModel):
    """All that decides a network's shape; ``model.json`` of a run holds it.

    Attributes
    ----------
    inputs
        ``ids`` for int32[B, T]; ``columns`` for several ids a step, int32[B, T, K], with a mask;
        ``numbers`` for float32[B, T, D] with a mask; ``frames`` for uint8[B, T, H, W, C] with one.
    vocabulary
        Of ids, or of each column of ids.
    features
        D; 0 for ids and frames.
    frame
        H, W, C of frames.
    outputs
        Classes, or 1 for a number.
    per_step
        True if it answers at each step.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: Literal["ids", "columns", "numbers", "frames"]
    vocabulary: tuple[int, ...] = ()
    features: int = Field(0, ge=0, le=100_000)
    frame: tuple[int, ...] = ()
    outputs: int = Field(ge=1, le=1_000_000)
    per_step: bool
    cell: Cell
    units: int = Field(ge=1, le=8192)
    num_layers: int = Field(ge=1, le=16)
    bidirectional: bool
    embedding: int = Field(ge=1, le=4096)
    pooling: PoolingMode
    dropout: float = Field(ge=0, lt=1)
    recurrent_dropout: float = Field(ge=0, lt=1)
    token_dropout: float = Field(0.0, ge=0, lt=1)

    @classmethod
    def of(cls, config: Config, encoder: Any, outputs: int, per_step: bool) -> Network:
        """The network of a settled configuration, for what an encoder gives."""
        columns, frame = getattr(encoder, "columns", ()), getattr(encoder, "frame", ())
        kind = "columns" if columns else "ids" if encoder.vocabulary else "numbers"
        kind = "frames" if frame else kind
        return cls.from_json(
            {
                "inputs": kind,
                "vocabulary": columns or ((encoder.vocabulary,) if encoder.vocabulary else ()),
                "features": 0 if kind != "numbers" else encoder.features,
                "frame": frame,
                "outputs": outputs,
                "per_step": per_step,
                **{name: getattr(config, name) for name in _FROM_CONFIG},
            },
            "the network",
        )

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> Network:
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
            raise DataError(f"{where}: `{name}`: {first['msg'].lower()}") from None

    @property
    def fewest_bytes(self) -> int:
        """Bytes of the larger tables and kernels, at two bytes a number: all weights have more."""
        gates = {"simple": 1, "gru": 3, "lstm": 4}[self.cell]
        layers = self.num_layers * (2 if self.bidirectional else 1)
        return 2 * (sum(self.vocabulary) * self.embedding + layers * gates * self.units**2)

    def build(self) -> Any:
        """A new Keras model with random weights, whose output is logits or a number.

        Examples
        --------
        >>> network = Network(inputs="ids", vocabulary=(50,), outputs=3, per_step=False, cell="gru",
        ...     units=4, num_layers=2, bidirectional=True, embedding=5, pooling="max", dropout=0.1,
        ...     recurrent_dropout=0)
        >>> network.build().output_shape
        (None, 3)
        """
        import keras

        given, x, mask = self._inputs()
        if self.inputs == "columns" and self.dropout:
            x = keras.layers.SpatialDropout1D(self.dropout / 2, name="drop_inputs")(x)
        for number in range(1, self.num_layers + 1):
            is_last = number == self.num_layers
            keeps_steps = not is_last or self.per_step or self.pooling != "last"
            x = self._recurrent(number, keeps_steps)(x, mask=mask)
            if is_last and keeps_steps and not self.per_step:
                x = _pooling(self.pooling)(x, mask=mask)
            if self.dropout:
                x = keras.layers.Dropout(self.dropout, name=f"drop_{number}")(x)
        return keras.Model(given, keras.layers.Dense(self.outputs, name="answer")(x))

    def _inputs(self) -> tuple[Any, Any, Any]:
        """Keras inputs, ``[B, T, D]`` and the mask."""
        import keras

        from sunhwan import layers

        if self.inputs == "ids":
            ids = keras.Input((None,), dtype="int32", name="ids")
            table = layers.Embedding(
                self.vocabulary[0], self.embedding, mask_zero=True, name="table"
            )
            return ids, table(self._dropped(ids)), keras.ops.not_equal(ids, 0)
        mask = keras.Input((None,), dtype="bool", name="mask")
        if self.inputs == "frames":
            from sunhwan.layers.images import FrameEncoder

            frames = keras.Input((None, *self.frame), dtype="uint8", name="frames")
            return (frames, mask), FrameEncoder(self.embedding, name="seen")(frames), mask
        if self.inputs == "numbers":
            x = keras.Input((None, self.features), name="numbers")
            return (x, mask), x, mask
        ids = keras.Input((None, len(self.vocabulary)), dtype="int32", name="ids")
        kept = self._dropped(ids)
        parts = [
            layers.Embedding(size, self.embedding, name=f"table_{n}")(kept[..., n])
            for n, size in enumerate(self.vocabulary)
        ]
        return (ids, mask), keras.layers.Concatenate(name="vectors")(parts), mask

    def _dropped(self, ids: Any) -> Any:
        from sunhwan.layers.id_dropout import IdDropout

        return IdDropout(self.token_dropout, name="drop_ids")(ids) if self.token_dropout else ids

    def _recurrent(self, number: int, keeps_steps: bool) -> Any:
        from sunhwan import layers

        kinds = {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
        options: dict[str, Any] = {
            "return_sequences": keeps_steps,
            "recurrent_dropout": self.recurrent_dropout,
        }
        name = f"{self.cell}_{number}"
        if not self.bidirectional:
            return kinds[self.cell](self.units, name=name, **options)
        return layers.Bidirectional(kinds[self.cell](self.units, **options), name=name)


def _pooling(mode: Any) -> Any:
    from sunhwan.layers.pooling import Pooling

    return Pooling(mode, name=f"{mode}_over_time")


_FROM_CONFIG = ("cell", "units", "num_layers", "bidirectional", "embedding", "pooling", "dropout",
                "recurrent_dropout", "token_dropout")  # fmt: skip
