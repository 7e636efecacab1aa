"""The parts of a learner: options, held-out parts, encoders, pooling."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import numpy as np
import pytest

from hostile import refused
from learner_examples import numbers, sentences, texts
from sunhwan.data.affixes import PARTS, Affixes
from sunhwan.data.examples import Examples
from sunhwan.data.sequences import Numbers
from sunhwan.errors import DataError, UsageError
from sunhwan.layers.pooling import Pooling
from sunhwan.tasks.config import Config, choices, make_config
from sunhwan.tasks.encoders import encoder_from_config, fit_encoder
from sunhwan.tasks.splits import hold_out

# options


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"unit": 3}, "no option `unit`", "did you mean `units`?"),
        ({"drop-out": 3}, "no option `drop_out`", "did you mean `dropout`?"),
        ({"lr": 0.1}, "no option `lr`", "it is called `learning_rate` here"),
        ({"hidden_size": 3}, "no option `hidden_size`", "it is called `units` here"),
        ({"xyz": 3}, "no option `xyz`", "`sunhwan train --help` lists all options"),
    ],
)
def test_an_unknown_option_names_what_was_meant(options, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        make_config({"task": "classify", **options})
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "`units`: .* 1, received 0"),
        ({"units": 2.5}, "`units`: .* received 2.5"),
        ({"dropout": 1}, "`dropout`: .* less than 1, received 1"),
        ({"dropout": float("nan")}, "`dropout`: .* received nan"),
        ({"cell": "rnn"}, "`cell`: .*'simple', 'lstm' or 'gru', received 'rnn'"),
        ({"seed": -1}, "`seed`: .* received -1"),
        ({"validation": 0}, "`validation`: .* greater than 0"),
        ({"task": "guess"}, "`task`: .* received 'guess'"),
        ({"task": "tag", "pooling": "max"}, "`pooling` has no meaning for `tag`"),
    ],
)
def test_a_value_that_does_not_fit_is_named(options, message):
    with pytest.raises(UsageError, match=message):
        make_config({"task": "classify", **options})


@pytest.mark.parametrize("kind", ["text", "tokens", "numbers", "sound"])
@pytest.mark.parametrize("task", ["classify", "regress", "tag"])
def test_settled_options_are_complete_and_stay(task, kind):
    given = {"units": 9, "dropout": 0.0, "patience": 1}
    settled = make_config({"task": task, **given}).settled(kind)
    free = {name for name, value in settled.model_dump().items() if value is None}
    assert free <= {"vocabulary", "max_length"}
    assert {name: getattr(settled, name) for name in given} == given
    assert settled.settled(kind) == settled
    assert make_config(settled.model_dump(mode="json")) == settled


def test_choices_are_words_or_nothing():
    assert choices("pooling") == ("last", "mean", "max", "attention")
    assert choices("units") == ()


# parts


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_never_split(seed):
    draw = np.random.default_rng(seed)
    groups = [str(n) for n in draw.integers(0, draw.integers(2, 12), 60)]
    rest, held = hold_out(texts(60, groups=groups), 0.25, seed)
    assert rest.groups
    assert held.groups
    assert set(rest.groups).isdisjoint(held.groups)
    assert len(rest) + len(held) == 60
    largest = max(groups.count(name) for name in groups)
    assert abs(len(held) - 15) <= max(largest, 60 - 15 if len(set(groups)) == 2 else 0)


@pytest.mark.parametrize("seed", range(10))
def test_labels_have_the_same_share_on_both_sides(seed):
    labels = ["rare"] * 2 + ["once"] + ["common"] * 200 + ["half"] * 100
    rows = Examples("text", [str(n) for n in range(303)], labels, [str(n) for n in range(303)])
    rest, held = hold_out(rows, 0.2, seed)
    counts = {name: held.targets.count(name) for name in set(labels)}
    assert counts["rare"] == 1
    assert counts["once"] == 0
    assert abs(counts["common"] - 40) <= 1
    assert abs(counts["half"] - 20) <= 1
    for part in (rest, held):
        assert [labels[int(n)] for n in part.inputs] == part.targets
        assert part.inputs == part.places
    assert sorted(rest.inputs + held.inputs) == sorted(rows.inputs)


def test_the_seed_decides_the_parts():
    one, same, other = (hold_out(numbers(50), 0.3, seed)[1].places for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) == 15


def test_too_few_examples_to_hold_any_out():
    for examples in (texts(1), numbers(1), texts(3, targets=["a", "b", "c"])):
        with pytest.raises(DataError, match="examples are too few to hold out 10% of them"):
            hold_out(examples, 0.1, 0)


# encoders


@pytest.mark.parametrize("tokens", ["words", "characters", "bpe", "unigram", "jamo"])
def test_each_way_to_split_a_text(tokens):
    config = Config(task="classify", tokens=tokens, vocabulary=30).settled("text")
    examples = texts(inputs=[*texts().inputs[:-1], "좋은 영화"])
    encoder = fit_encoder(config, examples)
    assert encoder.name == {"bpe": "subwords", "unigram": "subwords"}.get(tokens, tokens)
    assert 2 < encoder.vocabulary <= 30
    again = encoder_from_config(json.loads(json.dumps(encoder.config())), "text")
    for text in [*examples.inputs, "never seen 이상한"]:
        ids = encoder.encode(text)
        assert ids.min() >= 1
        assert ids.max() < encoder.vocabulary
        np.testing.assert_array_equal(again.encode(text), ids)
    assert again.config() == encoder.config()


def test_the_length_is_guessed_or_given():
    guessed = fit_encoder(Config(task="classify").settled("text"), texts())
    assert guessed.max_length == max(len(text.split()) for text in texts().inputs)
    given = fit_encoder(Config(task="classify", max_length=2).settled("text"), texts())
    assert given.max_length == max(len(given.encode(text)) for text in texts().inputs) == 2
    tags = fit_encoder(Config(task="tag", max_length=2).settled("tokens"), sentences())
    assert [len(tags.encode(row)) for row in sentences().inputs] == [
        len(row) for row in sentences().inputs
    ]


def test_the_encoder_follows_the_kind():
    assert fit_encoder(Config(task="regress").settled("numbers"), numbers()).name == Numbers.name
    assert fit_encoder(Config(task="tag").settled("tokens"), sentences()).name == Affixes.name
    korean = texts(3, inputs=["이 영화 참 좋다", "너무 지루한 영화였다", "재미있다"], targets=None)
    assert fit_encoder(Config(task="classify").settled("text"), korean).name != "words"


@pytest.mark.parametrize("name", [None, "pickle", ["words"], {"words": 1}, 3, "x" * 10_000])
@pytest.mark.parametrize("kind", ["text", "tokens", "numbers", "sound"])
def test_an_encoder_that_does_not_exist_is_refused(name, kind):
    refused(lambda: encoder_from_config({"name": name}, kind), f"no encoder of {kind} called")


def test_an_encoder_of_another_kind_is_refused():
    config = Affixes().fit([["a"]]).config()
    refused(lambda: encoder_from_config(config, "text"), "no encoder of text called 'affixes'")


def test_affixes_come_back():
    affixes = Affixes(50, 1, 6).fit(sentences().inputs)
    again = Affixes.from_config(json.loads(json.dumps(affixes.config())))
    assert again.config() == affixes.config()
    assert again.columns == affixes.columns
    assert again.max_length == 6
    for row in [*sentences().inputs, ["새", "Gone", "10.25", ""]]:
        ids = affixes.encode(row)
        assert (ids.shape, ids.dtype) == ((min(len(row), 6), len(PARTS)), np.int32)
        np.testing.assert_array_equal(again.encode(row), ids)
        assert (ids >= 1).all()
        assert (ids < affixes.columns).all()


def test_affixes_of_words_that_were_never_seen():
    affixes = Affixes().fit([["running", "Paris", "3.14"]])
    seen, unseen = affixes.encode(["running"])[0], affixes.encode(["jumping"])[0]
    assert [int(n) for n in unseen] == [1, *seen[1:4], 1, 1, seen[6]]
    assert affixes.encode(["2.71"])[0, -1] == affixes.encode(["3.14"])[0, -1]
    assert affixes.encode([]).tolist() == [[1] * len(PARTS)]
    decomposed = unicodedata.normalize("NFD", "학교에")
    korean = Affixes().fit([["학교에"]])
    assert korean.encode([decomposed]).tolist() == korean.encode(["학교에"]).tolist()
    assert korean.encode(["학교에"]).min() == 2


def test_affixes_keep_the_most_frequent():
    rows = [["b", "b", "a", "c", "c", "c"]]
    affixes = Affixes(vocabulary_size=4).fit(rows)
    assert affixes.columns[0] == 4
    assert affixes.encode([*"abcd"])[:, 0].tolist() == [1, 3, 2, 1]
    # the order of the data does not matter
    assert Affixes().fit([[*"ba"]]).config() == Affixes().fit([[*"ab"]]).config()
    assert Affixes(min_count=2).fit(rows).encode([*"abc"])[:, 0].tolist() == [1, 3, 2]
    assert "33.33% of 3 words" in affixes.describe([["b", "c", "z"]])[1]


def _affixes(**changed: Any) -> dict[str, Any]:
    return {**Affixes().fit([["a", "b"]]).config(), **changed}


@pytest.mark.parametrize(
    "config",
    [
        {"name": "affixes"},
        _affixes(more=1),
        _affixes(vocabulary_size=0),
        _affixes(vocabulary_size=True),
        _affixes(min_count="1"),
        _affixes(max_length=-1),
        _affixes(max_length=2.0),
        _affixes(parts=[]),
        _affixes(parts={}),
        _affixes(parts=dict.fromkeys(PARTS, "ab")),
        _affixes(parts={part: ["a", 1] for part in PARTS}),
        _affixes(parts={part: ["a", "a"] for part in PARTS}),
        _affixes(parts={part: [["a"]] for part in PARTS}),
        _affixes(parts={part: ["a"] for part in reversed(PARTS)}),
    ],
    ids=lambda config: str(config)[:40],
)
def test_hostile_affixes_are_refused(config):
    refused(lambda: encoder_from_config(config, "tokens"), "not as it was written")


# pooling

X = np.random.default_rng(7).normal(size=(4, 6, 3)).astype(np.float32)
MASK = np.arange(6) < np.array([6, 3, 1, 0])[:, None]


@pytest.mark.parametrize("mode", ["mean", "max", "attention"])
def test_pooling_is_what_its_equations_say(mode):
    layer = Pooling(mode)
    found = np.asarray(layer(X, mask=MASK))
    weights = [np.asarray(w.value, np.float64) for w in layer.weights]
    for row in range(3):
        real = X[row][MASK[row]].astype(np.float64)
        if mode == "attention":
            kernel, bias, context = weights
            scores = np.exp(np.tanh(real @ kernel + bias) @ context)
            wanted = (real * scores).sum(0) / scores.sum()
        else:
            wanted = real.mean(0) if mode == "mean" else real.max(0)
        np.testing.assert_allclose(found[row], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[3], 0)
    assert len(weights) == (3 if mode == "attention" else 0)


@pytest.mark.parametrize("mode", ["mean", "max", "attention"])
def test_what_is_masked_does_not_count(mode):
    layer = Pooling(mode)
    wanted = np.asarray(layer(X, mask=MASK))
    for filling in (0.0, -3.0, 1e6):
        changed = np.where(MASK[..., None], X, np.float32(filling))
        np.testing.assert_array_equal(layer(changed, mask=MASK), wanted)
    longer = np.concatenate([X, np.full((4, 5, 3), 9, np.float32)], 1)
    mask = np.concatenate([MASK, np.zeros((4, 5), bool)], 1)
    np.testing.assert_allclose(layer(longer, mask=mask), wanted, rtol=1e-6, atol=1e-7)
    everything = np.ones((4, 6), bool)
    np.testing.assert_allclose(layer(X), layer(X, mask=everything), rtol=1e-6)


def test_pooling_has_finite_gradients_for_a_row_without_a_step():
    import jax

    layer = Pooling("attention")
    layer(X)
    gradient = jax.grad(lambda x: layer(x, mask=MASK).sum())(X)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(np.asarray(gradient)[~MASK], 0)


def test_pooling_is_rebuilt_from_its_config():
    layer = Pooling("attention", name="pool")
    again = Pooling.from_config(layer.get_config())
    assert (again.mode, again.name) == ("attention", "pool")
    assert layer.compute_output_shape((None, 5, 3)) == (None, 3)
    with pytest.raises(UsageError, match="`mode` must be one of mean, max, attention"):
        Pooling("last")
