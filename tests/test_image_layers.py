"""The convolutional encoder of images and frames: shapes, scaling, where things are, masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from sunhwan.errors import ShapeError, UsageError
from sunhwan.layers.images import FrameEncoder, ImageEncoder


def _frames(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 31), (5, 96)])
def test_positions_of_the_last_map(height: int, width: int) -> None:
    layer = ImageEncoder((4, 8, 6))
    images = _frames(2, height, width, 3)
    positions = -(-height // 8) * -(-width // 8)
    assert layer(images).shape == (2, positions, 6)
    assert layer.compute_output_shape((None, height, width, 3)) == (None, positions, 6)


def test_bytes_and_numbers_from_0_to_1_are_the_same() -> None:
    images = _frames(2, 16, 24, 3)
    clips = images[:, None]
    for layer, given in ((ImageEncoder(), images), (FrameEncoder(), clips)):
        as_numbers = layer(given.astype(np.float32) / 255)
        np.testing.assert_allclose(layer(given), as_numbers, rtol=1e-5, atol=1e-6)


def test_with_coordinates_the_same_thing_elsewhere_is_seen_otherwise() -> None:
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[0, 8:12, 8:12] = images[1, 16:20, 16:20] = 255
    inside = [keras.ops.convert_to_numpy(ImageEncoder((4, 4), coordinates=c)(images)).reshape(
        2, 8, 8, 4) for c in (False, True)]  # fmt: skip
    for maps, same in zip(inside, (True, False), strict=True):
        assert np.allclose(maps[0, 1:4, 1:4], maps[1, 3:6, 3:6], atol=1e-6) is same


def test_a_frame_encoder_tells_where_and_not_how_light() -> None:
    clip = np.full((1, 3, 32, 32, 3), 100, np.uint8)
    clip[0, 0, 4:9, 4:9] = clip[0, 1, 20:25, 4:9] = 180
    clip[0, 2] = clip[0, 0] + 50
    found = keras.ops.convert_to_numpy(FrameEncoder(16)(clip))[0]
    assert np.abs(found[0] - found[1]).max() > 1e-2
    np.testing.assert_allclose(found[0], found[2], atol=1e-5)


def test_steps_do_not_see_each_other_and_masks_go_on() -> None:
    clips = _frames(2, 4, 24, 16, 3)
    inputs = keras.Input((None, 24, 16, 3), dtype="uint8")
    mask = keras.Input((None,), dtype="bool")
    layer = FrameEncoder(5, (4, 6))
    rest = keras.layers.GRU(3)(layer(inputs), mask=mask)
    model = keras.Model([inputs, mask], [layer.output, rest])
    live = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], bool)
    seen, last = model.predict_on_batch([clips, live])
    short, short_last = model.predict_on_batch([clips[:, :2], live[:, :2]])
    np.testing.assert_allclose(seen[:, :2], short, atol=1e-6)
    np.testing.assert_allclose(last[0], short_last[0], atol=1e-6)
    assert np.abs(last[1] - short_last[1]).max() > 1e-4
    assert layer.compute_mask(clips, live) is live


@pytest.mark.parametrize("layer", [ImageEncoder((4, 6), coordinates=False), FrameEncoder(5, (4,))])
def test_a_saved_layer_gives_the_same(tmp_path: Path, layer: Any) -> None:
    shape = (16, 16, 3) if isinstance(layer, ImageEncoder) else (None, 16, 16, 3)
    inputs = keras.Input(shape, dtype="uint8")
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    given = _frames(2, *(size or 3 for size in shape))
    assert (model.predict_on_batch(given) == again.predict_on_batch(given)).all()


@pytest.mark.parametrize(
    "make",
    [lambda: ImageEncoder(()), lambda: ImageEncoder((4, 0)), lambda: FrameEncoder(0)],
    ids=["no filters", "no channels", "no features"],
)
def test_sizes_that_cannot_be(make: Any) -> None:
    with pytest.raises(UsageError):
        make()


def test_inputs_of_another_rank_or_unknown_size() -> None:
    with pytest.raises(ShapeError, match=r"\[B, H, W, C\]"):
        ImageEncoder()(np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(ShapeError, match=r"\[B, T, H, W, C\]"):
        FrameEncoder()(keras.Input((None, None, 16, 3), dtype="uint8"))
