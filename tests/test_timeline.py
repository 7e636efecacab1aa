"""Models with two time axes: an encoder and a decoder, as long as each other or not."""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np
import pytest

from sunhwan import insight, layers
from sunhwan.insight.asked import answers, reading
from sunhwan.insight.parts import parts_of, weights_of
from sunhwan.insight.timeline import timeline_of

RNG = np.random.default_rng(11)


def _pair(source: int, target: int) -> tuple[Any, list[np.ndarray]]:
    """As in the seq2seq tutorial of Keras, with both directions; and a batch for it."""
    keras.utils.set_random_seed(4)
    read, written = keras.Input((None, 2), name="read"), keras.Input((None, 3), name="written")
    both = layers.Bidirectional(layers.LSTM(3, return_state=True), name="encoder")
    _, *states = both(read)
    begin = [keras.ops.concatenate([states[n], states[n + 2]], axis=-1) for n in range(2)]
    decoder = layers.LSTM(6, return_sequences=True, return_state=True, name="decoder")
    y, *_ = decoder(written, initial_state=begin)
    model = keras.Model([read, written], keras.layers.Dense(4, activation="softmax")(y))
    shapes = (5, source, 2), (5, target, 3)
    return model, [RNG.standard_normal(shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("target", [7, 4])
def test_what_a_decoder_writes_is_asked_what_it_rests_on_in_the_source(target):
    model, x = _pair(7, target)
    told = insight.integrated_gradients(model, x, step=2, directions=True, points=8)
    assert told.values.shape == (5, 7)
    assert told.is_complete
    # against nothing in the source, and the same written text
    empty = np.asarray(model([np.zeros_like(x[0]), x[1]]))[:, 2]
    rows = np.arange(5)
    np.testing.assert_allclose(told.baselines, empty[rows, told.outputs], rtol=1e-5)
    apart = told.by_direction["forward"] + told.by_direction["backward"]
    np.testing.assert_allclose(apart, told.values, atol=0.02 * abs(told.values).max())


@pytest.mark.parametrize("target", [7, 4])
def test_inputs_of_the_source_are_replaced_and_those_of_the_target_are_not(target):
    model, x = _pair(7, target)
    alone = [x[0], np.repeat(x[1][:1], 5, axis=0)]
    far = insight.memory_horizon(model, alone)
    assert far.answers == target
    assert far.places.tolist() == list(range(7))
    # rows that read the same and wrote something else: nothing changes
    same = [np.repeat(x[0][:1], 5, axis=0), x[1]]
    assert insight.memory_horizon(model, same).reach is None


@pytest.mark.parametrize("target", [7, 4])
def test_the_gradient_comes_from_the_last_written_step_for_both_directions(target):
    model, x = _pair(7, target)
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    _, *states = encoder(x[0])
    begin = [np.concatenate([states[n], states[n + 2]], axis=-1) for n in range(2)]
    given = [keras.Input((6,)), keras.Input((6,)), keras.Input((None, 3))]
    y, *_ = decoder(given[2], initial_state=given[:2])
    writing = keras.Model(given, model.layers[-1](y))

    def said(begin: Any) -> Any:
        return writing.stateless_call(*weights_of(writing), [*begin, x[1]])[0][:, -1, 1].sum()

    # the last three of each state are what reads backwards, and nothing else looks at the source
    slopes = np.concatenate([np.asarray(one)[:, 3:] for one in jax.grad(said)(begin)], axis=1)
    [flow] = insight.gradient_flow(model, x, output=1, layers=["encoder ←"], through="model")
    assert flow.norms[0] == pytest.approx(np.linalg.norm(slopes, axis=1).mean(), rel=1e-4)
    assert flow.steps == 6


@pytest.mark.parametrize("target", [9, 12])
def test_up_to_eight_answers_are_asked_and_the_last_is_among_them(target):
    model, x = _pair(9, target)
    read = reading(model, x)
    assert read.live.shape == (5, 9)
    assert read.asked.shape == (5, 8)
    assert (read.asked[:, -1] == target - 1).all()
    assert (np.diff(read.asked, axis=1) > 0).all()
    assert answers(np.zeros((5, target, 4)), read.asked).shape == (5, 8, 4)


def test_layers_above_each_other_are_on_one_axis_and_those_of_a_decoder_on_another():
    read, extra = keras.Input((None, 2)), keras.Input((None, 1))
    x = layers.GRU(3, return_sequences=True, name="low")(read)
    x = keras.ops.concatenate([x, extra], axis=-1)
    x = layers.GRU(3, return_sequences=True, name="high")(x)
    model = keras.Model([read, extra], x)
    batch = [np.ones((2, 5, n), np.float32) for n in (2, 1)]
    found = timeline_of(model, batch)
    low, high = parts_of(model)
    assert found.is_alike(low, high)
    assert found.inputs_along(low) == {0, 1}
    assert found.steps == {"low": 5, "high": 5}
    model, batch = _pair(5, 5)
    found = timeline_of(model, batch)
    assert found.last.name == "decoder"
    assert found.first.name == "encoder →"
    assert not found.is_alike(found.first, found.last)


def test_findings_have_maps_with_the_texts_of_either_axis():
    model, x = _pair(6, 4)
    found = insight.findings(
        model,
        x,
        tokens=[list("abcdef")] * 5,
        written=[list("1234")] * 5,
        after=["12"] * 5,
        predicted=["3"] * 5,
        asked=[2] * 5,
    )
    assert [one.get("tokens") for one in found["example"]["maps"]] == [None, None, list("1234")]
    assert [one["steps"] for one in found["example"]["maps"]] == [6, 6, 4]
    assert found["influence"][0]["after"] == "12"
    assert found["horizon"]["answers"] == 4
