"""A small convolutional encoder of images, and of each frame of a clip."""

from __future__ import annotations

from typing import Any

import keras

from sunhwan.errors import ShapeError, UsageError

#: frames are brought from values of 0 to 1 to about this spread
_CONTRAST = 4.0


@keras.saving.register_keras_serializable(package="sunhwan")
class ImageEncoder(keras.layers.Layer):  # type: ignore[misc]
    """An image to a vector for each position of the last feature map.

    Convolutions of 3 x 3 with stride 2, each of which halves height and width; so small images take
    little time on a CPU. Each convolution also sees where it is: two channels with the coordinates
    from -1 to 1 (CoordConv, Liu et al. 2018, https://arxiv.org/abs/1807.03247), without which no
    later layer could tell `above` from `below`.

    ``uint8`` values are divided by 255; numbers of other types are taken as they are, from 0 to 1.

    Parameters
    ----------
    filters
        Channels of each convolution; the last one gives F.
    coordinates
        Whether convolutions see where they are.
    normalize
        Whether values are brought to -1 to 1, and the channels of each position normalized before
        each ReLU (Ba et al. 2016, https://arxiv.org/abs/1607.06450); without this shapes are learnt
        late where attention is to find them.
    context
        Convolutions without a stride behind the others, by which a position sees more of what is
        around it.

    Examples
    --------
    >>> import numpy as np
    >>> ImageEncoder((16, 32, 64))(np.zeros((2, 32, 48, 3), np.uint8)).shape
    (2, 24, 64)
    """

    def __init__(
        self,
        filters: tuple[int, ...] = (16, 32, 64),
        coordinates: bool = True,
        normalize: bool = False,
        context: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not filters or not all(type(count) is int and count > 0 for count in filters):
            raise UsageError(f"`filters` must be whole numbers above 0, received {filters!r}")
        self.filters, self.coordinates = tuple(filters), coordinates
        self.normalize, self.context = normalize, context
        kinds = [(count, 2) for count in self.filters] + [(self.filters[-1], 1)] * context
        self._convolutions = [
            keras.layers.Conv2D(count, 3, stride, "same", kernel_initializer="he_normal")
            for count, stride in kinds
        ]
        self._norms = [keras.layers.LayerNormalization() for _ in kinds if normalize]

    def build(self, shape: Any) -> None:
        """Make the weights of all convolutions."""
        _check_rank(self.name, shape, 4, "[B, H, W, C]")
        _, height, width, channels = shape
        for number, layer in enumerate(self._convolutions):
            layer.build((None, height, width, channels + 2 * self.coordinates))
            stride, channels = layer.strides[0], layer.filters
            height, width = -(-height // stride), -(-width // stride)
            if self.normalize:
                self._norms[number].build((None, height, width, channels))

    def call(self, inputs: Any) -> Any:
        """Return ``float[B, P, F]`` of ``[B, H, W, C]``, positions row by row from the top."""
        ops = keras.ops
        maps = _scaled(inputs, self.compute_dtype)
        maps = 2 * maps - 1 if self.normalize else maps
        for number, layer in enumerate(self._convolutions):
            maps = layer(_with_coordinates(maps) if self.coordinates else maps)
            maps = ops.relu(self._norms[number](maps) if self.normalize else maps)
        return ops.reshape(maps, (-1, maps.shape[1] * maps.shape[2], maps.shape[3]))

    def compute_output_shape(self, shape: Any) -> tuple[Any, ...]:
        """Return ``(B, P, F)``."""
        rows, height, width, _ = shape
        for _ in self.filters:
            height, width = -(-height // 2), -(-width // 2)
        return (rows, height * width, self.filters[-1])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {
            "filters": self.filters,
            "coordinates": self.coordinates,
            "normalize": self.normalize,
            "context": self.context,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="sunhwan")
class FrameEncoder(keras.layers.Layer):  # type: ignore[misc]
    """Each frame of a clip to one vector: what is in it, and where.

    From each frame its mean colour is taken off, so that light that changes says nothing, and an
    `ImageEncoder` without coordinates makes feature maps of it. Of each map are kept the place
    where it is strongest, as the mean of the coordinates weighted by the softmax of the map over
    all positions (the spatial soft arg-max of Levine et al. 2016, section 5.1,
    https://arxiv.org/abs/1504.00702), and its greatest value. A dense layer with ReLU makes
    ``features`` numbers of these. So a step of one pixel is a small change of few numbers, which
    a recurrent layer can learn to see. A mask of the steps goes on as it is.

    Parameters
    ----------
    features
        F.
    filters
        As of `ImageEncoder`.

    Examples
    --------
    >>> import numpy as np
    >>> FrameEncoder(24)(np.zeros((2, 7, 32, 32, 3), np.uint8)).shape
    (2, 7, 24)
    """

    def __init__(
        self, features: int = 64, filters: tuple[int, ...] = (16, 32), **options: Any
    ) -> None:
        super().__init__(**options)
        if type(features) is not int or features < 1:
            raise UsageError(f"`features` must be a whole number above 0, received {features!r}")
        self.features, self.filters = features, tuple(filters)
        self.supports_masking = True
        self._images = ImageEncoder(self.filters, coordinates=False)
        self._dense = keras.layers.Dense(features, activation="relu")

    def build(self, shape: Any) -> None:
        """Make the weights of all layers."""
        _check_rank(self.name, shape, 5, "[B, T, H, W, C]")
        self._images.build((None, *shape[2:]))
        self._dense.build((None, 3 * self.filters[-1]))

    def call(self, inputs: Any) -> Any:
        """Return ``float[B, T, F]`` of ``[B, T, H, W, C]``."""
        ops = keras.ops
        rows, steps = ops.shape(inputs)[:2]
        height, width, channels = inputs.shape[2:]
        frames = _scaled(ops.reshape(inputs, (-1, height, width, channels)), self.compute_dtype)
        frames = _CONTRAST * (frames - ops.mean(frames, axis=(1, 2), keepdims=True))
        maps = self._images(frames)
        for _ in self.filters:
            height, width = -(-height // 2), -(-width // 2)
        shares = ops.reshape(ops.softmax(maps, axis=1), (-1, height, width, self.filters[-1]))
        down = ops.sum(ops.sum(shares, axis=2) * _line(height, maps.dtype)[:, None], axis=1)
        right = ops.sum(ops.sum(shares, axis=1) * _line(width, maps.dtype)[:, None], axis=1)
        found = self._dense(ops.concatenate([down, right, ops.max(maps, axis=1)], axis=-1))
        return ops.reshape(found, (rows, steps, self.features))

    def compute_output_shape(self, shape: Any) -> tuple[Any, ...]:
        """Return ``(B, T, F)``."""
        return (*shape[:2], self.features)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {"features": self.features, "filters": self.filters}
        return {**super().get_config(), **own}


def _check_rank(name: str, shape: Any, rank: int, wanted: str) -> None:
    if len(shape) != rank or None in shape[-3:]:
        raise ShapeError(
            f"layer `{name}` expected inputs of shape {wanted} with a known size, "
            f"received {list(shape)}"
        )


def _scaled(values: Any, dtype: str) -> Any:
    ops = keras.ops
    numbers = ops.cast(values, dtype)
    is_bytes = keras.backend.standardize_dtype(values.dtype) == "uint8"
    return numbers / 255 if is_bytes else numbers


def _with_coordinates(maps: Any) -> Any:
    """``[B, H, W, C + 2]``: the maps with how far down and right each position is."""
    ops = keras.ops
    rows, (height, width) = ops.shape(maps)[0], maps.shape[1:3]
    down = ops.broadcast_to(_line(height, maps.dtype)[:, None, None], (rows, height, width, 1))
    right = ops.broadcast_to(_line(width, maps.dtype)[None, :, None], (rows, height, width, 1))
    return ops.concatenate([maps, down, right], axis=-1)


def _line(count: int, dtype: Any) -> Any:
    return keras.ops.linspace(-1.0, 1.0, count, dtype=dtype) if count > 1 else keras.ops.zeros(1)
