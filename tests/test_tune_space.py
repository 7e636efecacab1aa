"""What a search tries, and how it is named."""

from __future__ import annotations

from typing import Any

import pytest

from sunhwan.errors import UsageError
from sunhwan.tasks.config import make_options
from sunhwan.tasks.tuning_space import (
    Choice,
    Range,
    check_space,
    default_space,
    option_text,
    read_space,
    size_of,
)

SEVERAL = {"task": "classify", "epochs": 7}


def read(*texts: str, **options: Any):
    return read_space(texts, make_options({**SEVERAL, **options}))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("units=32,64", Choice((32, 64))),
        ("units= 64 ,32", Choice((64, 32))),
        ("units=16..160", Range(16, 160, log=True)),
        ("units=16..159", Range(16, 159, log=False)),
        ("learning-rate=1e-4..1e-2", Range(1e-4, 1e-2, log=True)),
        ("learning_rate=0.001..0.005", Range(0.001, 0.005, log=False)),
        ("dropout=0..0.5", Range(0.0, 0.5, log=False)),
        ("clipnorm=1,5", Choice((1.0, 5.0))),
        ("bidirectional=true,no", Choice((True, False))),
        ("cell=gru,lstm", Choice(("gru", "lstm"))),
        ("max-length=10..20", Range(10, 20, log=False)),
    ],
)
def test_values_have_the_type_of_the_option(text: str, wanted: Choice | Range) -> None:
    (found,) = read(text).values()
    assert found == wanted
    kinds = [type(value) for value in getattr(found, "values", (getattr(found, "low", 0),))]
    assert kinds == [
        type(value) for value in getattr(wanted, "values", (getattr(wanted, "low", 0),))
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["unit=1,2"], "no option `unit`"),
        (["lr=1e-3..1e-2"], "it is called `learning_rate` here"),
        (["units"], "must be an option with values, received 'units'"),
        (["units="], "must be an option with values"),
        (["units=64"], "leaves nothing to search\nhint: give two or more, or --units 64"),
        (["units=32,32"], "a value twice"),
        (["units=32,0"], "`units`: input should be greater than or equal to 1"),
        (["units=32,4.5"], "`units`: input should be a valid integer"),
        (["units=64..32"], "from a lower to a higher"),
        (["cell=gru,grub"], "`cell`: input should be 'simple', 'lstm' or 'gru'"),
        (["cell=gru..lstm"], "`cell` has no range"),
        (["bidirectional=false..true"], "has no range"),
        (["units=1,2", "units=3,4"], "names `units` twice"),
        (["seed=1,2"], "decides which examples"),
        (["class-weights=none,balanced"], "changes the figure"),
        (["horizon=3,4"], "changes the figure"),
        (["input-length=3,4"], "`input_length` has no meaning for `classify`"),
    ],
)
def test_what_cannot_be_searched_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(*texts)
    assert message in str(caught.value)


def test_a_forecast_has_options_of_its_own() -> None:
    assert read("input-length=12,24", task="forecast") == {"input_length": Choice((12, 24))}
    with pytest.raises(UsageError, match="`pooling` has no meaning for `forecast`"):
        read("pooling=max,mean", task="forecast")
    with pytest.raises(UsageError, match="`pooling` has no meaning for `tag`"):
        read("pooling=max,mean", task="tag")


@pytest.mark.parametrize(
    ("task", "kind", "missing"),
    [
        ("classify", "text", set()),
        ("tag", "tokens", {"pooling"}),
        ("tag", "numbers", {"pooling", "embedding", "token_dropout"}),
        ("regress", "numbers", {"embedding", "token_dropout"}),
        ("classify", "sound", {"embedding", "token_dropout"}),
    ],
)
def test_the_default_search_has_the_defaults_in_it(task: str, kind: str, missing: set) -> None:
    config = make_options({"task": task}).settled(kind)
    space = default_space(config, kind, [])
    check_space(space, kind, task)
    assert set(space) ^ missing == {
        "units", "num_layers", "dropout", "learning_rate", "cell", "batch_size", "bidirectional",
        "embedding", "token_dropout", "pooling",
    }  # fmt: skip
    assert all(getattr(config, name) in values for name, values in space.items())
    for name, values in space.items():  # each value is one that the option may have
        ends = values.values if isinstance(values, Choice) else (values.low, values.high)
        for value in ends:
            assert getattr(make_options({"task": task, name: value}), name) == value


def test_an_unusual_default_is_searched_too() -> None:
    given = {"task": "classify", "cell": "simple", "dropout": 0.8, "num_layers": 3, "units": 1}
    config = make_options(given).settled("text")
    space = default_space(config, "text", [])
    assert space["cell"] == Choice(("gru", "lstm", "simple"))
    assert space["dropout"] == Range(0.0, 0.8, log=False)
    assert space["num_layers"] == Choice((1, 2, 3))
    assert space["units"] == Choice((1, 2))
    assert list(default_space(config, "text", list(given))) == [
        "learning_rate", "batch_size", "bidirectional", "embedding", "token_dropout", "pooling",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind", "task", "message"),
    [
        ("embedding", "numbers", "classify", "no effect on numbers"),
        ("vocabulary", "sound", "classify", "no effect on sound"),
        ("max_length", "tokens", "tag", "cannot be searched for `tag`"),
        ("", "text", "classify", "nothing is left to search"),
    ],
)
def test_options_without_effect_are_refused(name, kind, task, message) -> None:
    with pytest.raises(UsageError, match=message):
        check_space({name: Choice((1, 2))} if name else {}, kind, task)


def test_values_are_told_apart_by_their_type() -> None:
    assert 1 not in Choice((True, False))
    assert 1.0 not in Range(1, 5, log=False)
    assert True not in Range(1, 5, log=False)
    assert Range(0.001, 0.015, log=True).rounded(0.01499999) == 0.015
    assert Range(0.00123456, 0.5, log=True).rounded(0.00123456) == 0.00123456
    assert size_of({"a": Choice((1, 2)), "b": Range(0.0, 1.0, log=False)}) is None
    assert (
        option_text({"learning_rate": 0.00012, "cell": "gru"}) == "learning-rate 0.00012, cell gru"
    )
