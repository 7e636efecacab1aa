"""The network of a translation: what reads the source, before the decoder writes the target."""

from __future__ import annotations

from typing import Any

import keras
from pydantic import Field, model_validator

from sunhwan import layers
from sunhwan.layers.id_dropout import IdDropout
from sunhwan.tasks.decoder_network import GATES, DecoderNetwork, Read, drop, drops, recurrent


class TranslateNetwork(DecoderNetwork):
    """All that decides the shape of a translator.

    The encoder's first layer reads in both directions. Each layer of the decoder begins with the
    last states of the encoder's layer at its height (Sutskever et al. 2014). Attention sees the
    vectors of the source's ids beside the encoder's steps, so that which token it is goes straight
    to the answer (the idea of the lexical model of Nguyen and Chiang 2018).

    Attributes
    ----------
    source_ids
        Ids of the source's encoder.
    shared
        True if both sides have one encoder, and so one table of vectors.

    Examples
    --------
    >>> network = TranslateNetwork(source_ids=8, target_ids=9, cell="lstm", units=4,
    ...     num_layers=2, embedding=3, dropout=0.1, attention="additive", shared=True)
    >>> models = network.build()
    >>> models.learning.output.shape, models.reading.output[0].shape
    ((None, None, 9), (None, 4))
    """

    source_ids: int = Field(ge=2, le=1_000_000)
    shared: bool

    @model_validator(mode="after")
    def _one_encoder(self) -> TranslateNetwork:
        if self.shared and self.source_ids != self.target_ids - 1:
            raise ValueError(
                f"with shared ids target_ids must be {self.source_ids + 1}, one more than "
                f"source_ids, received {self.target_ids}"
            )
        return self

    def encoder(self, table: Any) -> TextEncoder:
        """New layers that read the source."""
        return TextEncoder(self, table)

    @property
    def target_table(self) -> str:
        """What the table of the target's vectors is called."""
        return "table" if self.shared else "target_table"

    @property
    def fewest_bytes(self) -> int:
        """Bytes of the larger tables and kernels, at two bytes a number: all weights have more."""
        vectors = 0 if self.shared else self.source_ids * self.embedding
        # one layer more, for the first has two directions
        kernels = (self.num_layers + 1) * GATES[self.cell] * self.units**2
        return super().fewest_bytes + 2 * (vectors + kernels)


class TextEncoder:
    """Recurrent layers that read ids.

    Parameters
    ----------
    network
        Their sizes.
    table
        The vectors of the target's ids, which are the source's too where they are shared.
    """

    def __init__(self, network: TranslateNetwork, table: Any) -> None:
        self._table = table
        if not network.shared:
            self._table = layers.Embedding(
                network.source_ids, network.embedding, name="source_table"
            )
        first = layers.Bidirectional(recurrent(network), name="encoder_1")
        others = range(2, network.num_layers + 1)
        self._layers = [first, *(recurrent(network, f"encoder_{n}") for n in others)]
        self._drops, self._drop_table = drops(network, "encoder"), drop(network, "source")
        self._hidden = IdDropout(network.token_dropout, name="drop_source_ids")

    def source(self) -> Any:
        """Ids ``int32[B, S]``, padded with 0."""
        return keras.Input((None,), dtype="int32", name="source")

    def read(self, source: Any) -> Read:
        """The last states of each layer, and the steps of the last layer."""
        mask = keras.ops.not_equal(source, 0)
        x = words = self._drop_table(self._table(self._hidden(source)))
        last = []
        for number, layer in enumerate(self._layers):
            x, *states = layer(x, mask=mask)
            if number == 0:  # forwards and backwards
                half = len(states) // 2
                pairs = zip(states[:half], states[half:], strict=True)
                states = [keras.ops.concatenate(pair, axis=-1) for pair in pairs]
            last += states
            x = self._drops[number](x)
        return Read(last, keras.ops.concatenate([x, words], axis=-1), mask)
