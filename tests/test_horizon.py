"""How far back an input changes the answer: w^n, known reaches, rows that do not decide alone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from sunhwan import layers
from sunhwan.errors import UsageError
from sunhwan.insight.horizon import memory_horizon
from sunhwan.tasks.language_network import LanguageNetwork
from sunhwan.tasks.networks import Network


def _linear(w: float, steps: int | None, **options: Any) -> Any:
    rnn = layers.SimpleRNN(1, activation="linear", name="memory", **options)
    model = keras.Sequential([keras.Input((steps, 1)), rnn])
    model.set_weights([np.ones((1, 1)), np.full((1, 1), w), np.zeros(1)])
    return model


def _halves(rows: int, steps: int) -> np.ndarray:
    """Zeros in half of the rows and ones in the others: each place differs by as much."""
    x = np.zeros((rows, steps, 1), np.float32)
    x[::2] = 1
    return x


@pytest.mark.parametrize(
    ("w", "threshold", "reach"),
    [(0.8, 0.05, 13), (-0.8, 0.05, 13), (0.5, 0.05, 4), (0.5, 0.3, 1), (0.9, 0.1, 21)],
)
@pytest.mark.parametrize("by", ["occlusion", "gradient"])
def test_of_a_linear_network_it_is_where_w_to_the_n_is_the_threshold(by, w, threshold, reach):
    assert abs(w) ** reach >= threshold > abs(w) ** (reach + 1)
    # all other rows in turn: two of three differ
    found = memory_horizon(
        _linear(w, 40), _halves(4, 40), by=by, threshold=threshold, replacements=3
    )
    assert (found.reach, found.low, found.high) == (reach, reach, reach)
    assert found.places.tolist() == list(range(40))
    assert found.rows.tolist() == [4] * 40
    most = 1 if by == "gradient" else 2 / 3
    np.testing.assert_allclose(found.changes[:20], most * abs(w) ** np.arange(20), rtol=1e-4)
    assert not found.reaches_end


def test_it_is_told_in_a_sentence():
    x = _halves(4, 40)
    assert str(memory_horizon(_linear(0.8, 40), x)) == (
        "inputs up to 13 steps back change the answer by at least 5 % of what the last one does"
    )
    assert str(memory_horizon(_linear(1.25, 40), x, by="gradient", threshold=0.5)) == (
        "inputs up to 39 steps back, as far as was looked, have at least 50 % of the gradient of "
        "the one 39 steps back"
    )
    ignores = memory_horizon(_linear(0.0, 40), np.ones_like(x))
    assert (ignores.reach, str(ignores)) == (None, "no input changes the answer")


@pytest.mark.parametrize("by", ["occlusion", "gradient"])
def test_steps_are_counted_from_the_last_live_one(by):
    x = np.random.default_rng(3).standard_normal((6, 30, 1)).astype(np.float32)
    live = np.arange(30) < np.array([[30], [20], [20], [25], [30], [22]])
    given, mask = keras.Input((None, 1)), keras.Input((None,), dtype="bool")
    rnn = layers.SimpleRNN(1, activation="linear")
    model = keras.Model([given, mask], rnn(given, mask=mask))
    model.set_weights([np.ones((1, 1)), np.full((1, 1), 0.8), np.zeros(1)])
    other = np.where(live[..., None], x, np.nan)
    found = memory_horizon(model, [other, live], by=by)
    # as far as half of the rows reach
    assert len(found.places) == 25
    assert found.rows.tolist() == [6] * 20 + [4] * 2 + [3] * 3
    # the same from the other end, for a layer that reads backwards
    back = keras.Model(
        [given, mask], layers.SimpleRNN(1, activation="linear", go_backwards=True)(given, mask=mask)
    )
    back.set_weights(model.get_weights())
    turned = memory_horizon(back, [other[:, ::-1], live[:, ::-1]], by=by)
    np.testing.assert_array_equal(turned.changes, found.changes)
    assert (turned.reach, turned.low, turned.high) == (found.reach, found.low, found.high)
    assert 10 <= found.reach <= 15


def test_what_comes_many_steps_late_is_seen_there_and_far_places_are_apart():
    """A network of 61 units that hands its input on from one to the next: it recalls 60 steps."""
    shift = np.eye(61, k=1)
    rnn = layers.SimpleRNN(61, activation="linear", name="line")
    model = keras.Sequential([keras.Input((None, 1)), rnn, keras.layers.Dense(1, use_bias=False)])
    answer = np.zeros((61, 1))
    answer[[0, 60], 0] = 1.0, 0.5
    model.set_weights([np.eye(1, 61), shift, np.zeros(61), answer])
    x = np.random.default_rng(1).standard_normal((8, 300, 1)).astype(np.float32)
    found = memory_horizon(model, x, by="gradient")
    assert (found.reach, found.low, found.high) == (60, 60, 60)
    assert np.flatnonzero(found.changes).tolist() == [0, 60]
    seen = memory_horizon(model, x[:, :61])
    assert seen.reach == 60
    assert len(seen.places) <= 48
    far = memory_horizon(model, x).places
    assert len(far) <= 48
    assert far[:24].tolist() == list(range(24))
    assert far[-1] == 299
    assert (np.diff(far) > 0).all()


def test_one_row_does_not_decide_alone():
    x = np.random.default_rng(2).standard_normal((12, 20, 1)).astype(np.float32)
    x[:, :10] = 0
    model = _linear(1.0, 20)
    assert memory_horizon(model, x).reach == 9
    x[5, 2] = 1e3
    found = memory_horizon(model, x)
    assert (found.reach, found.low) == (9, 9)
    assert found.changes[17] == 0
    x[7, 2] = 1e3
    assert memory_horizon(model, x).reach == 17


@pytest.mark.parametrize("inputs", ["ids", "columns", "numbers", "frames"])
def test_networks_of_the_workbench_are_asked_by_probabilities(inputs):
    network = Network(
        inputs=inputs, vocabulary={"ids": (9,), "columns": (9, 4)}.get(inputs, ()),
        features=2 if inputs == "numbers" else 0, frame=(8, 8, 1) if inputs == "frames" else (),
        outputs=3, per_step=inputs == "columns", cell="gru", units=3, num_layers=1,
        bidirectional=inputs == "numbers", embedding=4, pooling="last", dropout=0,
        recurrent_dropout=0,
    )  # fmt: skip
    model = network.build()
    rng = np.random.default_rng(0)
    live = np.arange(7) < np.array([[7], [7], [5], [7]])
    shapes = {"ids": (), "columns": (2,), "numbers": (2,), "frames": (8, 8, 1)}[inputs]
    x: Any = rng.integers(0, 4, (4, 7, *shapes))
    if inputs == "ids":
        x = np.where(live, x + 1, 0)
    else:
        x = [x.astype({"numbers": "float32", "frames": "uint8"}.get(inputs, "int32")), live]
    found = memory_horizon(model, x, seed=3)
    assert found.reach is not None
    if inputs != "ids":
        return
    again = memory_horizon(model, x, seed=3)
    np.testing.assert_array_equal(found.changes, again.changes)
    assert (found.reach, found.low) == (again.reach, again.low)
    # what all logits have in common changes no probability
    bias = model.layers[-1].bias
    bias.assign(bias.value + 5)
    np.testing.assert_allclose(memory_horizon(model, x, seed=3).changes, found.changes, atol=1e-5)
    # a softmax in the network is not taken twice
    model.layers[-1].activation = keras.activations.softmax
    np.testing.assert_allclose(memory_horizon(model, x, seed=3).changes, found.changes, atol=1e-5)


def test_of_a_language_model_the_states_stay():
    network = LanguageNetwork(
        ids=9, cell="lstm", units=12, num_layers=1, embedding=3, dropout=0, recurrent_dropout=0
    )
    rng = np.random.default_rng(0)
    # as many steps as units
    ids, states = rng.integers(0, 9, (5, 12)), [np.ones((5, 12), np.float32)] * 2
    model = network.build()
    assert memory_horizon(model, [ids, *states]).reach is not None
    kept = memory_horizon(
        model, [np.zeros_like(ids), *(state * rng.random((5, 1)) for state in states)]
    )
    assert kept.reach is None


def test_what_cannot_be_asked_is_refused():
    x, model = _halves(4, 6), _linear(0.5, 6)
    for options, said in (
        ({"by": "chance"}, "`by` must be occlusion or gradient, received 'chance'"),
        ({"threshold": 0}, "`threshold` must be above 0 and at most 1, received 0"),
        ({"replacements": 0}, "`replacements` must be at least 1, received 0"),
        ({"output": 1}, "the model has 1 outputs, received number 1"),
        ({"output": 1, "by": "gradient"}, "the model has 1 outputs, received number 1"),
    ):
        with pytest.raises(UsageError, match=said):
            memory_horizon(model, x, **options)
    with pytest.raises(UsageError, match="at least one row of input, received none"):
        memory_horizon(model, x[:0])
    with pytest.raises(UsageError, match="expected at least two rows") as caught:
        memory_horizon(model, x[:1])
    assert "by='gradient'" in str(caught.value.hint)
    assert memory_horizon(model, x[:1], by="gradient").reach == 4
    given, mask = keras.Input((6, 1)), keras.Input((6,), dtype="bool")
    masked = keras.Model([given, mask], layers.GRU(1)(given, mask=mask))
    with pytest.raises(UsageError, match="expected rows with live steps"):
        memory_horizon(masked, [x, np.zeros((4, 6), bool)])
    flat = keras.Input((6,))
    with pytest.raises(UsageError, match="no input has the 6 steps that the first recurrent"):
        memory_horizon(keras.Model(flat, layers.GRU(1)(keras.ops.expand_dims(flat, -1))), x[..., 0])
