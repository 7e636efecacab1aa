"""Integrated gradients: shares that add up, known values, directions, masks, refusals."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest

from sunhwan import layers
from sunhwan.errors import UsageError
from sunhwan.insight.attribution import integrated_gradients
from sunhwan.tasks.networks import Network

CELLS = {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def _linear(w: float, steps: int) -> Any:
    rnn = layers.SimpleRNN(1, activation="linear", name="memory")
    model = keras.Sequential([keras.Input((steps, 2)), rnn])
    model.set_weights([np.array([[3.0], [-0.5]]), np.full((1, 1), w), np.ones(1)])
    return model


def _network(cell: Any, inputs: str, **options: Any) -> Any:
    sizes = {"ids": (30,), "columns": (20, 7)}.get(inputs, ())
    usual = {"outputs": 3, "per_step": False, "num_layers": 1, "bidirectional": False}
    usual |= {"units": 6, "embedding": 4, "pooling": "last", "dropout": 0.2}
    network = Network(
        inputs=inputs, vocabulary=sizes, features=5 if inputs == "numbers" else 0, cell=cell,
        recurrent_dropout=0, **usual | options,
    )  # fmt: skip
    model = network.build()
    for variable in model.trainable_variables:  # as if it had learnt something
        variable.assign(variable.value * 2)
    return model


def _batch(inputs: str) -> tuple[Any, np.ndarray]:
    """Three rows of up to eleven steps, one of them with padding, and what is live."""
    rng = np.random.default_rng(6)
    live = np.arange(11) < np.array([[11], [6], [9]])
    if inputs == "ids":
        return np.where(live, rng.integers(1, 30, live.shape), 0), live
    if inputs == "columns":
        return [rng.integers(0, [20, 7], (*live.shape, 2)), live], live
    x = rng.standard_normal((*live.shape, 5)).astype(np.float32)
    x[~live] = np.nan  # what stands in padding must not matter
    return [x, live], live


@pytest.mark.parametrize(
    ("cell", "inputs", "options"),
    [
        ("simple", "ids", {}),
        ("lstm", "columns", {"pooling": "attention"}),
        ("gru", "numbers", {"num_layers": 2, "bidirectional": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value)),
)
def test_shares_add_up_to_the_change_and_padding_has_none(cell, inputs, options):
    model, (x, live) = _network(cell, inputs, **options), _batch(inputs)
    found = integrated_gradients(model, x, directions=options.get("bidirectional", False))
    assert found.is_complete
    np.testing.assert_allclose(found.total, found.change, rtol=0.01)
    assert (found.values[~live] == 0).all()
    assert (found.values[live] != 0).all()
    np.testing.assert_allclose(found.features.sum(axis=2), found.values, atol=1e-12)
    assert found.features.shape == (3, 11, {"ids": 1, "columns": 2, "numbers": 5}[inputs])
    answers = np.asarray(model.predict(x, verbose=0))
    np.testing.assert_array_equal(found.outputs, answers.argmax(axis=1))
    np.testing.assert_allclose(found.answers, answers.max(axis=1), rtol=1e-4)
    if found.by_direction:
        ahead, back = found.by_direction["forward"], found.by_direction["backward"]
        assert abs(ahead).max() > 1e-3
        assert abs(back).max() > 1e-3
        np.testing.assert_allclose(ahead + back, found.values, atol=1e-5 * abs(found.values).max())


def test_of_a_linear_network_each_share_is_known():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 9, 2)).astype(np.float32)
    found = integrated_gradients(_linear(0.7, 9), x, points=1)
    kept = np.float64(np.float32(0.7)) ** np.arange(8, -1, -1)
    wanted = x.astype(np.float64) * [3.0, -0.5] * kept[:, None]
    np.testing.assert_allclose(found.features, wanted, rtol=1e-6)
    np.testing.assert_allclose(found.values, wanted.sum(axis=2), rtol=1e-5, atol=1e-6)
    # a line takes a single point, and the baseline is what the bias alone gives
    assert found.points.tolist() == [1, 1]
    np.testing.assert_allclose(found.baselines, kept.sum(), rtol=1e-6)
    other = integrated_gradients(_linear(0.7, 9), x, baseline=x.mean(axis=0))
    np.testing.assert_allclose(
        other.features, (x - x.mean(axis=0)) * [3.0, -0.5] * kept[:, None], atol=1e-5
    )


def test_directions_are_those_of_two_layers_that_read_from_either_end():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3, 8, 2)).astype(np.float32)
    both = layers.Bidirectional(layers.SimpleRNN(1, activation="linear"), merge_mode="sum")
    model = keras.Sequential([keras.Input((8, 2)), both])
    there, back = (np.array([[1.0], [2.0]]), 0.5), (np.array([[-1.0], [0.5]]), 0.8)
    model.set_weights(
        [one for w, u in (there, back) for one in (w, np.full((1, 1), u), np.zeros(1))]
    )
    found = integrated_gradients(model, x, directions=True)
    n = np.arange(8)
    for name, share in (
        ("forward", (x @ there[0])[..., 0] * 0.5 ** n[::-1]),
        ("backward", (x @ back[0])[..., 0] * 0.8**n),
    ):
        np.testing.assert_allclose(found.by_direction[name], share, atol=1e-5)
    with pytest.raises(UsageError, match="has no bidirectional layer"):
        integrated_gradients(_linear(0.5, 8), x, directions=True)


def test_what_goes_around_the_layer_is_in_neither_direction():
    given = keras.Input((5, 2))
    both = layers.Bidirectional(layers.SimpleRNN(3))(given)
    around = keras.layers.Dense(1)(keras.layers.Flatten()(given))
    model = keras.Model(given, keras.layers.Dense(1)(both) + around)
    x = np.random.default_rng(2).standard_normal((2, 5, 2)).astype(np.float32)
    found = integrated_gradients(model, x, directions=True)
    rest = found.values - sum(found.by_direction.values())
    [kernel] = [v for v in model.trainable_variables if v.shape == (10, 1)]
    weights = np.asarray(kernel.value)
    wanted = (x.reshape(2, -1) * weights[:, 0]).reshape(2, 5, 2).sum(axis=2)
    np.testing.assert_allclose(rest, wanted, atol=1e-5)


def test_outputs_steps_and_probabilities_can_be_asked_about():
    model, (ids, _) = _network("simple", "ids", per_step=True), _batch("ids")
    logits = np.asarray(model.predict(ids, verbose=0), np.float64)
    last = integrated_gradients(model, ids)
    ends = logits[np.arange(3), [10, 5, 8]]
    np.testing.assert_array_equal(last.outputs, ends.argmax(axis=1))
    np.testing.assert_allclose(last.answers, ends.max(axis=1), rtol=1e-4)
    found = integrated_gradients(model, ids, output=[0, -1, 1], step=[3, 0, 8])
    assert found.outputs.tolist() == [0, 2, 1]
    np.testing.assert_allclose(found.answers, logits[[0, 1, 2], [3, 0, 8], [0, 2, 1]], rtol=1e-4)
    # a network that reads forwards has not seen what comes later
    later = np.arange(11) > np.array([[3], [0], [8]])
    assert (found.values[later] == 0).all()
    chances = integrated_gradients(model, ids, output=2, step=3, transform=keras.ops.softmax)
    wanted = np.exp(logits[:, 3]) / np.exp(logits[:, 3]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(chances.answers, wanted[:, 2], rtol=1e-4)
    assert chances.is_complete
    assert str(chances).startswith("3 rows: shares add up to the change within ")


def test_the_baseline_of_ids_is_nothing_or_the_row_of_an_id():
    model, (ids, _) = _network("simple", "ids"), _batch("ids")
    ids[0, 4] = 1
    nothing, unknown = (integrated_gradients(model, ids, baseline=one) for one in (None, 1))
    # a word that is the baseline changes nothing; beside no word at all it does
    assert unknown.values[0, 4] == 0 != nothing.values[0, 4]
    swapped = np.asarray(model.predict(np.where(ids > 0, 1, 0), verbose=0))
    wanted = swapped[np.arange(3), unknown.outputs]
    np.testing.assert_allclose(unknown.baselines, wanted, rtol=1e-4)
    for wrong in (30, -1, 0.5):
        with pytest.raises(UsageError, match="`baseline` must be an id of embedding `table`, from"):
            integrated_gradients(model, ids, baseline=wrong)


def test_a_model_that_ignores_its_input_gives_no_share():
    model = _linear(0.5, 4)
    model.set_weights([np.zeros((2, 1)), np.full((1, 1), 0.5), np.ones(1)])
    found = integrated_gradients(model, np.ones((2, 4, 2), np.float32))
    assert not found.values.any()
    assert found.is_complete
    assert found.gap.tolist() == [0, 0]


def test_shares_that_do_not_add_up_are_told():
    model = _linear(0.5, 1)
    steep = keras.Sequential([model, keras.layers.Activation("sigmoid")])
    steep.build((None, 1, 2))
    model.set_weights([np.array([[400.0], [0.0]]), np.zeros((1, 1)), np.full(1, -123.45)])
    x = np.ones((1, 1, 2), np.float32)
    with pytest.warns(UserWarning, match="of 1 of 1 rows miss the change of the answer by up to"):
        found = integrated_gradients(steep, x, most_points=32)
    assert not found.is_complete
    assert found.points.tolist() == [32]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert integrated_gradients(steep, x, most_points=1024).is_complete


def test_an_input_of_other_steps_stays_as_it_is():
    past, future = keras.Input((9, 2)), keras.Input((3, 4))
    states = keras.layers.Concatenate()([layers.GRU(3)(past), keras.layers.Flatten()(future)])
    model = keras.Model([past, future], keras.layers.Dense(1)(states))
    rng = np.random.default_rng(5)
    x = [rng.standard_normal((2, *one.shape[1:])).astype(np.float32) for one in (past, future)]
    found = integrated_gradients(model, x)
    assert found.features.shape == (2, 9, 2)
    nothing = [np.zeros_like(x[0]), x[1]]
    change = np.asarray(model(x))[:, 0] - np.asarray(model(nothing))[:, 0]
    np.testing.assert_allclose(found.change, change, rtol=1e-5)


def test_what_cannot_be_attributed_is_refused():
    x = np.ones((2, 4, 2), np.float32)
    model = _linear(0.5, 4)
    for options, said in (
        ({"output": 1}, "the model has 1 outputs, received number 1"),
        ({"output": [0, 0, 0]}, "`output` must be a whole number or one for each of 2 rows"),
        ({"step": 1}, "answers once, and not at a `step`"),
        ({"points": 0}, "`points` must be from 1 to `most_points`"),
        ({"layers": ["table"]}, r"no embedding is named 'table'; there are \[\]"),
        ({"baseline": np.ones(3)}, r"must fit the shape \[2, 4, 2\] of input 0, received \[3\]"),
    ):
        with pytest.raises(UsageError, match=said):
            integrated_gradients(model, x, **options)
    with pytest.raises(UsageError, match="at least one row of input, received none"):
        integrated_gradients(model, x[:0])
    with pytest.raises(UsageError, match="answers with what is no finite number"):
        integrated_gradients(model, np.full_like(x, np.nan))
    fixed = keras.Sequential([keras.Input(batch_shape=(2, 4, 2)), layers.GRU(1, stateful=True)])
    with pytest.raises(UsageError, match="is built for batches of 2 rows"):
        integrated_gradients(fixed, x)


def test_ids_need_an_embedding_of_ours():
    ids = np.ones((2, 4), np.int32)
    given = keras.Input((4,), dtype="int32")
    theirs = keras.layers.Embedding(9, 3, name="theirs")
    with pytest.raises(UsageError, match=r"`theirs` is keras\.layers\.Embedding") as caught:
        integrated_gradients(keras.Model(given, layers.GRU(2)(theirs(given))), ids)
    assert "sunhwan.layers.Embedding" in str(caught.value.hint)
    one_hot = keras.ops.one_hot(given, 9)
    with pytest.raises(UsageError, match="reads neither rows of an embedding nor numbers over"):
        integrated_gradients(keras.Model(given, layers.GRU(2)(one_hot)), ids)


def test_an_embedding_that_is_called_twice_has_the_shares_of_both():
    rng = np.random.default_rng(5)
    ids = rng.integers(0, 9, (3, 4))
    given, table = keras.Input((4,), dtype="int32"), layers.Embedding(9, 3, name="table")
    h = layers.GRU(2)(table(given) + 2 * table(given[:, ::-1]))
    twice = integrated_gradients(keras.Model(given, h), ids)
    assert twice.is_complete
    assert twice.features.shape == (3, 4, 2)
    # both look up the same rows, in which the second counts twice as much at the other end
    np.testing.assert_allclose(
        twice.values, integrated_gradients(keras.Model(given, h), ids, layers=["table"]).values
    )
    assert (abs(twice.features) > 0).all()
