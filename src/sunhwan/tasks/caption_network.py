"""The network of captions: what sees an image, before the decoder writes of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from sunhwan.errors import ShapeError
from sunhwan.layers.images import ImageEncoder
from sunhwan.tasks.decoder_network import STATES, DecoderNetwork, Read, drop
from sunhwan.tasks.decoder_stepper import DecoderStepper

#: red, green and blue
CHANNELS = 3
#: positions of the last feature map along the longer side, at most
_MOST_POSITIONS = 8
#: channels of the first convolutions; of any more as many as of the last
_FILTERS = (32, 64, 64)
#: convolutions behind these, by which a position sees all of a thing that is larger than itself
_CONTEXT = 1


class CaptionNetwork(DecoderNetwork):
    """All that decides the shape of a network that captions images.

    Convolutions see the image, and attention looks at the positions of their last feature map. The
    decoder begins with the mean of all positions (Xu et al. 2015, "Show, Attend and Tell",
    https://arxiv.org/abs/1502.03044, section 3.1.2; the attention is soft, as in their 4.2).

    Attributes
    ----------
    height, width
        Of images, in pixels.
    filters
        Of each convolution, as of `sunhwan.layers.images.ImageEncoder`.

    Examples
    --------
    >>> network = CaptionNetwork(target_ids=9, cell="gru", units=4, num_layers=1, embedding=3,
    ...     dropout=0.1, attention="additive", height=16, width=24, filters=(8, 5))
    >>> models = network.build()
    >>> models.learning.output.shape, [one.shape for one in models.reading.output]
    ((None, None, 9), [(None, 4), (None, 24, 5), (None, 24, 4)])
    """

    height: int = Field(ge=1, le=512)
    width: int = Field(ge=1, le=512)
    filters: tuple[int, ...] = Field(min_length=1, max_length=9)

    def encoder(self, table: Any) -> PictureEncoder:
        """New layers that see."""
        return PictureEncoder(self)

    @property
    def grid(self) -> tuple[int, int]:
        """Positions of the last feature map: down, and across."""
        down, across = self.height, self.width
        for _ in self.filters:
            down, across = -(-down // 2), -(-across // 2)
        return down, across

    @property
    def fewest_bytes(self) -> int:
        """Bytes of the larger tables and kernels, at two bytes a number: all weights have more."""
        pairs = pairwise((CHANNELS, *self.filters))
        return super().fewest_bytes + 2 * sum(9 * before * after for before, after in pairs)


def filters_for(height: int, width: int) -> tuple[int, ...]:
    """As many convolutions as leave at most 8 positions along the longer side, two at the least.

    Examples
    --------
    >>> filters_for(64, 48), filters_for(128, 128)
    ((32, 64, 64), (32, 64, 64, 64))
    """
    side, count = max(height, width), 0
    while side > _MOST_POSITIONS or count < 2:
        side, count = -(-side // 2), count + 1
    return (*_FILTERS, *(_FILTERS[-1:] * count))[:count]


class PictureEncoder:
    """Convolutions that see images.

    Parameters
    ----------
    network
        Their sizes.
    """

    def __init__(self, network: CaptionNetwork) -> None:
        self._shape = network.height, network.width, CHANNELS
        self._states = len(STATES[network.cell]) * network.num_layers
        self._images = ImageEncoder(
            network.filters, normalize=True, context=_CONTEXT, name="images"
        )
        self._drop = drop(network, "images")

    def source(self) -> Any:
        """Images ``uint8[B, H, W, 3]``."""
        return keras.Input(self._shape, dtype="uint8", name="source")

    def read(self, source: Any) -> Read:
        """The mean of all positions for each state, and all positions to look at."""
        memory = self._drop(self._images(source))
        return Read([keras.ops.mean(memory, axis=1)] * self._states, memory, None)


class CaptionStepper(DecoderStepper):
    """A network of captions as a `sunhwan.tasks.stepping.Stepper`, with the weights it had."""

    def nothing(self, rows: int) -> NDArray[Any]:
        """Black images."""
        return np.zeros((rows, *self._shape), np.uint8)

    def checked(self, sources: ArrayLike) -> NDArray[Any]:
        """Images ``uint8[N, H, W, 3]`` as they are.

        Raises
        ------
        ShapeError
            They are none of the network's size.
        """
        images = np.asarray(sources)
        if images.dtype != np.uint8 or images.shape[1:] != self._shape:
            raise ShapeError(
                f"images must be uint8 of shape [N, {', '.join(map(str, self._shape))}], received "
                f"{images.dtype} of shape {images.shape}"
            )
        return images

    @property
    def _shape(self) -> tuple[int, int, int]:
        network = cast(CaptionNetwork, self._network)
        return network.height, network.width, CHANNELS
