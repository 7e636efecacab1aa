"""What layers do on a GPU: which way they take, and, where there is one, that it is right."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import numpy as np
import pytest

import sunhwan
from layer_pairs import array, randomize
from sunhwan import layers
from sunhwan.engine import reference
from sunhwan.layers.loop import engine_cell

needs_gpu = pytest.mark.skipif(jax.default_backend() != "gpu", reason="JAX has no GPU here")

B, T, D, H = 3, 7, 4, 5
KINDS = {"SimpleRNN": layers.SimpleRNN, "LSTM": layers.LSTM, "GRU": layers.GRU}


@pytest.mark.parametrize(
    ("options", "way"),
    [
        ({}, "cuDNN by Keras"),
        ({"go_backwards": True}, "cuDNN by Keras"),
        ({"go_backwards": True, "return_sequences": True}, "plain JAX"),
        ({"use_bias": False}, "plain JAX"),
        ({"activation": "relu"}, "plain JAX"),
        ({"recurrent_dropout": 0.2}, "plain JAX"),
        ({"use_cudnn": False}, "plain JAX"),
        ({"zoneout": 0.1}, "plain JAX"),
        ({"use_peephole": True}, "plain JAX"),
        ({"use_layer_norm": True}, "plain JAX"),
        ({"return_state_sequences": True}, "plain JAX"),
        ({"projection_units": 2}, "plain JAX"),
        ({"activation": "gelu"}, "Keras's own loop"),
    ],
    ids=str,
)
def test_the_way_of_an_lstm(
    options: dict[str, Any], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    [line] = sunhwan.explain(layers.LSTM(H, **options))
    assert line.kernel == way
    assert not line.is_fused
    [line] = sunhwan.explain(layers.GRU(H))
    assert (line.kernel, line.reason) == ("plain JAX", "JAX's default device is a gpu")


def test_outputs_of_go_backwards_stand_in_order_of_processing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer, x = layers.LSTM(H, go_backwards=True, return_sequences=True), array(B, T, D, seed=1)
    layer.build(x.shape)
    randomize(layer)
    here = layer(x)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_allclose(layer(x), here, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("options", "may"), [({}, True), ({"zoneout": 0.1}, False), ({"use_layer_norm": True}, False)]
)
def test_cudnn_gets_both_directions_only_where_it_gets_each(
    options: dict[str, Any], may: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = layers.Bidirectional(layers.LSTM(H, **options))
    layer.build((B, T, D))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert layer._can_attempt_fused_lstm(None) is may


def _right(layer: Any, x: Any, mask: Any) -> Any:
    cell = layer.cell
    return reference.forward(
        engine_cell(layer),
        x,
        *(np.asarray(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)),
        mask=mask,
        go_backwards=layer.go_backwards,
    ).outputs


@needs_gpu
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_what_the_reference_gives(kind: str) -> None:
    x = array(B, T, D, seed=2)
    lengths = np.array([T, 2, 5])[:, None]
    masks = [None, np.arange(T) < lengths, np.arange(T) >= T - lengths]
    for back, mask in itertools.product((False, True), masks):
        layer = KINDS[kind](H, return_sequences=True, go_backwards=back)
        layer.build(x.shape)
        randomize(layer)
        # a GPU multiplies float32 in TF32, which has 10 bits behind the point
        np.testing.assert_allclose(
            layer(x, mask=mask), _right(layer, x, mask), rtol=0, atol=2e-2, err_msg=f"{back} {mask}"
        )
