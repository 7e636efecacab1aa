"""The network of a translation: learning, writing step by step, its own guesses, its attention."""

from __future__ import annotations

import functools
from typing import Any

import jax
import keras
import numpy as np
import pytest

import sunhwan
from sunhwan.errors import DataError, ShapeError, UsageError
from sunhwan.runs.model_table import layer_table
from sunhwan.runs.weights import model_arrays, put_arrays
from sunhwan.tasks.beam import beam_search
from sunhwan.tasks.decoder_network import Models
from sunhwan.tasks.options import drawn_from
from sunhwan.tasks.stepping import Stepper
from sunhwan.tasks.steps import Scores, training_step, variables
from sunhwan.tasks.translate_network import TranslateNetwork
from sunhwan.tasks.translate_stepper import TranslationStepper

#: ids 2 to 6 are letters on both sides
END = 7
SOURCES = np.array([[3, 5, 2, 6], [4, 2, 0, 0], [0, 0, 0, 0]], np.int32)
TARGETS = np.array([[END, 6, 2, 5, 3], [END, 2, 4, 0, 0], [END, 1, 0, 0, 0]], np.int32)

DEEP = {"num_layers": 2, "attention": "multiplicative", "dropout": 0.3}
PLAIN = {"attention": "additive", "shared": True}
#: its only state is one tensor, and nothing else is read
SIMPLE = {"cell": "gru", "attention": "none"}


def network_of(**options: Any) -> TranslateNetwork:
    sizes = {"source_ids": 7, "target_ids": 8, "units": 16, "num_layers": 1, "embedding": 16}
    others = {"cell": "lstm", "dropout": 0.0, "attention": "multiplicative", "shared": False}
    return TranslateNetwork.from_json({**sizes, **others, **options}, "here")


@functools.cache
def built(**options: Any) -> Models:
    rng = np.random.default_rng(7)
    with drawn_from(5):
        models = network_of(**options).build()
        for variable in models.learning.trainable_variables:  # biases too
            variable.assign(rng.normal(0, 0.5, variable.shape))
    return models


def own(share: float, rows: int = len(SOURCES)) -> Any:
    return np.full((rows, 1), share, np.float32)


@functools.cache
def forward(model: Any) -> Any:
    return jax.jit(lambda values, x: model.stateless_call(*values, x, training=False)[0])


def answers(model: Any, *x: Any) -> Any:
    given = list(x) if len(x) > 1 else x[0]
    return jax.tree.map(np.asarray, forward(model)(variables(model), given))


@pytest.mark.parametrize("options", [DEEP, PLAIN, SIMPLE])
def test_stepping_gives_the_logits_of_the_whole(options: dict[str, Any]) -> None:
    models = built(**options)
    network = models.network
    whole = answers(models.learning, SOURCES, TARGETS, own(0))
    stepper: Stepper = TranslationStepper(models)
    state = TranslationStepper(models).begin(SOURCES)
    states = network.num_layers * (2 if network.cell == "lstm" else 1)
    assert [one.shape for one in state[:states]] == [(3, 16)] * states
    step = jax.jit(stepper.step)
    for number in range(TARGETS.shape[1]):
        state, logits = step(state, TARGETS[:, number])
        np.testing.assert_allclose(logits, whole[:, number], rtol=1e-4, atol=1e-5)
    # what attention reads is handed on as it is, so that a search never copies it
    traced = jax.make_jaxpr(stepper.step)(state, TARGETS[:, 0]).jaxpr
    kept = [new is old for new, old in zip(traced.outvars, traced.invars, strict=False)]
    assert kept[:-1] == [False] * states + [True] * (0 if network.attention == "none" else 3)


@pytest.mark.parametrize("options", [DEEP, PLAIN])
def test_padding_of_source_target_and_batch_changes_nothing(options: dict[str, Any]) -> None:
    model = built(**options).learning
    whole = answers(model, SOURCES, TARGETS, own(0))
    wide = answers(
        model, np.pad(SOURCES, ((0, 2), (0, 5))), np.pad(TARGETS, ((0, 2), (0, 3))), own(0, 5)
    )
    np.testing.assert_allclose(wide[:3, :5], whole, rtol=1e-5, atol=1e-6)
    # but a real step changes much
    other = np.where(SOURCES == 4, 6, SOURCES)
    changed = abs(answers(model, other, TARGETS, own(0)) - whole).max(axis=(1, 2))
    assert (changed > 1e-2).tolist() == [False, True, False]


def loss_and_slopes(models: Models) -> Any:
    """A compiled function of targets and a share: some loss, and its gradients."""
    model = models.learning
    trainable, other = variables(model)

    def loss(trainable: Any, targets: Any, share: Any) -> Any:
        x = [SOURCES, targets, share]
        logits, _ = model.stateless_call(trainable, other, x, training=True)
        return (jax.nn.log_softmax(logits)[..., 3:5] ** 2).mean()

    found = jax.jit(jax.value_and_grad(loss))
    return lambda targets, share: found(trainable, targets, own(share))


def test_with_its_own_guesses_the_network_reads_what_it_would_have_written() -> None:
    models = built(**PLAIN)
    rng = np.random.default_rng(6)
    targets = np.where(np.arange(12) < [[12], [7], [3]], rng.integers(2, 7, (3, 12)), 0)
    targets = np.concatenate([np.full((3, 1), END), targets], axis=1).astype(np.int32)
    known = answers(models.reading, SOURCES)
    plain, *_ = answers(models.decoding, targets, *known)
    np.testing.assert_array_equal(answers(models.learning, SOURCES, targets, own(0)), plain)
    guesses = plain.argmax(axis=-1)[:, :-1]
    true = targets[:, 1:]
    assert (guesses == END).any(), "nothing is read behind an end, which shows only if there is one"
    read = np.where((true != 0) & (guesses != END), guesses, true).astype(np.int32)
    mixed = np.concatenate([targets[:, :1], read], axis=1)
    assert (mixed != targets).sum() > 5
    second, *_ = answers(models.decoding, mixed, *known)
    found = answers(models.learning, SOURCES, targets, own(1))
    np.testing.assert_allclose(found, second, rtol=1e-5, atol=1e-6)
    # the choice has no gradient: that of the second pass is that of its ids, were they true
    at = loss_and_slopes(models)
    (loss, slopes), (other, others) = at(targets, 1), at(mixed, 0)
    np.testing.assert_allclose(loss, other, rtol=1e-5)
    for one, two in zip(slopes, others, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
    teacher, plain_slopes = at(targets, 0)
    assert abs(teacher - loss) > 1e-4
    assert any(abs(one - two).max() > 1e-3 for one, two in zip(slopes, plain_slopes, strict=True))


def test_a_row_has_the_share_of_guesses_that_it_asks_for() -> None:
    models = built(**SIMPLE, target_ids=1000)
    rng = np.random.default_rng(3)
    ids = rng.integers(2, 999, (3, 400)).astype(np.int32)
    ids[:, 0], ids[:, 300:] = 999, 0
    known = [models.reading(SOURCES)]
    layer = models.learning.get_layer("own_guesses")
    mixed = np.asarray(layer(ids, np.array([[0.25], [0.0], [1.0]], np.float32), known))
    assert mixed.dtype == np.int32
    differs = mixed != ids
    assert not differs[:, 0].any()
    assert not differs[:, 300:].any()
    shares = differs[:, 1:300].mean(axis=1)
    assert shares[1] == 0
    assert shares[2] > 0.98
    assert abs(shares[0] - 0.25) < 0.1  # four standard deviations
    again = np.asarray(layer(ids, np.array([[0.25], [0.0], [1.0]], np.float32), known))
    assert (again[0] != mixed[0]).any(), "each batch draws anew"


def reversals(rng: Any, rows: int) -> tuple[list[Any], Any, Any]:
    """Rows of at most 6 letters; what to read of each in reverse, and what to foretell."""
    lengths = rng.integers(1, 7, (rows, 1))
    source = np.where(np.arange(6) < lengths, rng.integers(2, 7, (rows, 6)), 0).astype(np.int32)
    wanted = np.zeros((rows, 7), np.int32)
    for row, length in zip(range(rows), lengths[:, 0], strict=True):
        wanted[row, : length + 1] = [*source[row, :length][::-1], END]
    read = np.concatenate([np.full((rows, 1), END, np.int32), wanted[:, :-1]], axis=1)
    read[read == END] = 0
    read[:, 0] = END
    weights = (np.arange(7) <= lengths).astype(np.float32)
    return [source, read, own(0, rows)], wanted, weights


@functools.cache
def reversing() -> Models:
    """A small network that learnt to reverse, half of the time with some guesses of its own."""
    with drawn_from(4):
        models = network_of().build()
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(models.learning.trainable_variables)
    scores = Scores(keras.losses.SparseCategoricalCrossentropy(from_logits=True), [])
    step = training_step(models.learning, optimizer, scores, 64 * 4.5)
    trainable, other = variables(models.learning)
    state: Any = {
        "trainable": [np.array(one) for one in trainable],
        "non_trainable": [np.array(one) for one in other],
        "optimizer": [np.array(v.value) for v in optimizer.variables],
        "metrics": scores.zero(),
    }
    rng = np.random.default_rng(2)
    for number in range(250):
        (source, read, _), wanted, weights = reversals(rng, 64)
        share = own(0.25 if number >= 125 else 0, 64)
        state, _ = step(
            state,
            np.float32(0.01 if number < 190 else 2e-3),
            ([source, read, share], wanted, weights),
        )
    for variable, value in zip(
        models.learning.trainable_variables, state["trainable"], strict=True
    ):
        variable.assign(value)
    return models


def test_a_network_learns_to_reverse_and_a_search_finds_what_it_learnt() -> None:
    stepper = TranslationStepper(reversing())
    (sources, *_), wanted, _ = reversals(np.random.default_rng(77), 60)
    firsts = np.full(60, END)
    found = beam_search(
        stepper, stepper.begin(sources), firsts, width=3, max_steps=9, end=END, forbidden=[0, 1]
    )
    texts = [[i for i in row if i not in (0, END)] for row in wanted.tolist()]
    right = [list(best[0].ids) == text for best, text in zip(found, texts, strict=True)]
    assert np.mean(right) >= 0.95
    for number in (0, 1, 2):  # alone as among 60, whatever the padding
        source = sources[number : number + 1, : len(texts[number])]
        [alone] = beam_search(
            stepper, stepper.begin(source), [END], width=3, max_steps=9, end=END, forbidden=[0, 1]
        )
        assert [one.ids for one in alone] == [one.ids for one in found[number]]
        np.testing.assert_allclose(
            [one.score for one in alone], [one.score for one in found[number]], rtol=1e-4, atol=1e-5
        )


def test_attention_of_what_was_written_is_that_of_each_step() -> None:
    models = reversing()
    source, target = [2, 6, 4, 3, 5], [5, 3, 4, 6, 2, END]
    weights = TranslationStepper(models).attention_of(source, target)
    assert (weights.shape, weights.dtype) == ((6, 5), np.float32)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    state = answers(models.reading, np.array([source]))
    for number, one in enumerate([END, *target[:-1]]):
        _, h, c, shares = answers(models.decoding, np.array([[one]]), *state)
        state = [h, c, *state[2:]]
        np.testing.assert_allclose(weights[number], shares[0, 0], rtol=1e-4, atol=1e-5)
    assert TranslationStepper(models).attention_of(source, []).shape == (0, 5)


def test_one_model_has_all_weights_and_they_can_be_put_into_another() -> None:
    one = built(**DEEP)
    network, other = one.network, one.network.build()
    everywhere = {id(v) for model in (one.reading, one.decoding) for v in model.weights}
    assert everywhere == {id(v) for v in one.learning.weights}
    counted = sum(row["parameters"] for row in layer_table(one.learning))
    assert counted == one.learning.count_params()
    assert 0.3 * 2 * counted < network.fewest_bytes < 2 * counted
    arrays = model_arrays(one.learning)
    assert list(arrays) == list(model_arrays(other.learning))
    put_arrays(other.learning, arrays)
    x = SOURCES, TARGETS, own(0)
    np.testing.assert_array_equal(answers(one.learning, *x), answers(other.learning, *x))
    assert not any("Keras" in str(line) for line in sunhwan.explain(one.learning))


def test_a_shared_table_is_one() -> None:
    def tables(shared: bool) -> list[tuple[int, ...]]:
        weights = built(**{**PLAIN, "shared": shared}).learning.weights
        return [v.shape for v in weights if v.path.endswith("embeddings")]

    assert tables(True) == [(8, 16)]
    assert tables(False) == [(7, 16), (8, 16)]


def test_a_description_that_does_not_fit_is_refused() -> None:
    network = network_of()
    assert network.end == END
    assert TranslateNetwork.from_json(network.model_dump(mode="json"), "here") == network
    with pytest.raises(DataError, match=r"here: `network\.units`: input should be greater"):
        network_of(units=0)
    with pytest.raises(DataError, match=r"here: `network\.color`: extra"):
        network_of(color=1)
    with pytest.raises(DataError, match=r"shared ids target_ids must be 8, one more .* received 9"):
        network_of(shared=True, target_ids=9)
    with pytest.raises(DataError, match="here: `network`: "):
        TranslateNetwork.from_json(None, "here")


def test_sources_and_targets_that_do_not_fit_are_refused() -> None:
    stepper = TranslationStepper(built(**SIMPLE))
    with pytest.raises(ShapeError, match=r"\[N, S\] with a row and a step, received int64 of"):
        stepper.begin(np.zeros(3, np.int64))
    with pytest.raises(UsageError, match="`sources` must be from 0 to 6, received 7"):
        stepper.begin([[3, 7]])
    with pytest.raises(UsageError, match="the network has no attention"):
        stepper.attention_of([3], [4])
    looking = TranslationStepper(built(**PLAIN))
    with pytest.raises(UsageError, match="`target` must be from 0 to 7, received 8"):
        looking.attention_of([3], [8])
    with pytest.raises(ShapeError, match=r"shapes \(1, 1\) and \(1,\)"):
        looking.attention_of([[3]], [4])
