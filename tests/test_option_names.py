"""Options that an estimator does not have: which one was meant, in scikit-learn's manners."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from sunhwan import Classifier, Regressor, Tagger
from sunhwan.errors import SunhwanError, UnknownOptionError, UsageError

KINDS = [Classifier, Regressor, Tagger]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("unit", "did you mean `units`?"),
        ("learning-rate", "did you mean `learning_rate`?"),
        ("hidden_size", "it is called `units` here"),
        ("zzz", "its options are cell, units, num_layers"),
    ],
)
def test_an_unknown_option_names_the_one_that_was_meant(kind: Any, name: str, hint: str) -> None:
    with pytest.raises(UnknownOptionError) as caught:
        kind(cell="gru", **{name: 3})
    assert caught.value.message == f"`{name}` is no option of {kind.__name__}"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)
    assert str(caught.value).endswith(caught.value.hint)


@pytest.mark.parametrize("python", [TypeError, ValueError, UsageError, SunhwanError])
def test_it_is_caught_as_what_callers_expect(python: type[Exception]) -> None:
    with pytest.raises(python, match="`seeds` is no option of Regressor"):
        Regressor(seeds=3)  # type: ignore[call-arg]


def test_values_without_a_name_are_refused_by_python() -> None:
    with pytest.raises(TypeError, match="positional argument"):
        Classifier(3)  # type: ignore[misc]


@pytest.mark.parametrize("kind", KINDS)
def test_scikit_learn_reads_the_signature_as_before(kind: Any) -> None:
    parameters = inspect.signature(kind).parameters.values()
    assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    assert kind._get_param_names() == sorted(p.name for p in parameters)
    estimator = kind(units=5, seed=4)
    for other in (clone(estimator), pickle.loads(pickle.dumps(estimator))):
        assert other.get_params() == estimator.get_params()
    assert repr(estimator) == f"{kind.__name__}(seed=4, units=5)"
    grid = [clone(estimator).set_params(**one) for one in ParameterGrid({"units": [2, 3]})]
    assert [(one.units, one.seed) for one in grid] == [(2, 4), (3, 4)]


def test_a_subclass_with_a_constructor_of_its_own() -> None:
    class Mine(Classifier):
        def __init__(self, *, units: int = 7, extra: str = "x") -> None:
            super().__init__(units=units)
            self.extra = extra

    assert clone(Mine(extra="y")).get_params() == {"extra": "y", "units": 7}
    with pytest.raises(TypeError, match="unit"):
        Mine(unit=3)  # type: ignore[call-arg]
