"""The estimators: scikit-learn's manners, every kind of data, and each wrong row named."""

from __future__ import annotations

import inspect
import pickle
import random
import wave
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import polars as pl
import pytest
from jax.experimental.compilation_cache import compilation_cache
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score

import sunhwan
from sunhwan import Classifier, Regressor, Tagger
from sunhwan.data.examples import Examples
from sunhwan.errors import DataError, ShapeError, SunhwanError, UsageError
from sunhwan.tasks import running
from sunhwan.tasks.config import Config
from sunhwan.tasks.inputs import read_examples, read_inputs

# both compile to the same
TINY: dict[str, Any] = {"units": 5, "embedding": 3, "num_layers": 1, "batch_size": 8, "dropout": 0}
TINY |= {"bidirectional": False, "epochs": 2, "patience": 60, "validation": 0.25}
LEARNS: dict[str, Any] = TINY | {"epochs": 40, "learning_rate": 0.03}
KINDS = [Classifier, Regressor, Tagger]


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Compile what the tests have in common once."""
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    yield
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def films(count: int = 24) -> tuple[list[str], list[str]]:
    """Texts of three words, of which one decides."""
    words = [("abcd"[n % 4], ["good", "bad"][n // 4 % 2]) for n in range(count)]
    random.Random(4).shuffle(words)
    return [f"{a} {b} film" for a, b in words], ["yes" if b == "good" else "no" for _, b in words]


def waves(count: int = 16, features: int = 2) -> tuple[list[Any], list[float]]:
    """Sequences of unequal length, whose answer is their mean."""
    draw = np.random.default_rng(6)
    rows = [draw.normal(n % 3, 0.3, (3 + n % 2, features)) for n in range(count)]
    return rows, [float(row.mean()) for row in rows]


@pytest.fixture(scope="module")
def fitted(_compiled: None) -> Classifier:
    return Classifier(**LEARNS).fit(*films())


# scikit-learn's manners


@pytest.mark.parametrize("kind", KINDS)
def test_the_constructor_only_stores_parameters(kind: Any) -> None:
    names = list(inspect.signature(kind).parameters)
    assert set(names) == set(Config.model_fields) - {"task", "test"}
    assert all(p.default is not p.empty for p in inspect.signature(kind).parameters.values())
    nonsense = {name: object() for name in names}
    estimator = kind(**nonsense)
    assert vars(estimator) == nonsense
    assert estimator.get_params() == nonsense
    defaults = kind().get_params()
    assert all(Config.model_fields[name].default == value for name, value in defaults.items())


@pytest.mark.parametrize("kind", KINDS)
def test_clone_and_set_params(kind: Any) -> None:
    estimator = kind(units=5, cell="lstm").set_params(units=7)
    copy = clone(estimator)
    assert copy is not estimator
    assert copy.get_params() == estimator.get_params()
    assert (copy.units, copy.cell) == (7, "lstm")
    with pytest.raises(ValueError, match="Invalid parameter 'unit' for estimator"):
        estimator.set_params(unit=3)


def test_what_scikit_learn_takes_them_for() -> None:
    assert [is_classifier(kind()) for kind in KINDS] == [True, False, False]
    assert [is_regressor(kind()) for kind in KINDS] == [False, True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_told_before_fit(kind: Any, tmp_path: Path) -> None:
    estimator = kind()
    for call in (estimator.predict, lambda X: estimator.evaluate(X, X)):
        with pytest.raises(NotFittedError):
            call([[1.0, 2.0]])
    with pytest.raises((NotFittedError, AttributeError)):
        estimator.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fit_gives_itself_and_leaves_parameters_alone(fitted: Classifier) -> None:
    assert isinstance(fitted, Classifier)
    assert fitted.get_params() == Classifier(**LEARNS).get_params()
    assert isinstance(fitted.model_, keras.Model)
    assert fitted.classes_.tolist() == ["no", "yes"]
    assert len(fitted.history_["val_loss"]) >= fitted.best_epoch_ >= 1
    assert not hasattr(fitted, "n_features_in_")
    X, y = films()
    assert fitted.score(X, y) == 1.0
    assert fitted.predict(["a bad film"]).tolist() == ["no"]
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (24, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.classes_[probabilities.argmax(1)], fitted.predict(X))


def test_the_same_seed_gives_the_same_bits_and_leaves_generators_alone() -> None:
    X, y = films()
    random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    one, two = (Classifier(**TINY).fit(X, y).predict_proba(X) for _ in range(2))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    np.testing.assert_array_equal(one, two)
    other = Classifier(**TINY, seed=2).fit(X, y).predict_proba(X)
    assert np.abs(other - one).max() > 1e-4


def test_cross_validation() -> None:
    X, y = films()
    scores = cross_val_score(Classifier(**LEARNS), X, y, cv=2)
    assert min(scores) > 0.7
    with pytest.raises(ValueError, match="`y` must"):
        cross_val_score(Classifier(**TINY), X, [None] * 24, cv=GroupKFold(2), groups=[0, 1] * 12,
                        error_score="raise")  # fmt: skip


def test_grid_search_with_numpy_values() -> None:
    search = GridSearchCV(
        Classifier(**TINY), {"learning_rate": np.array([1e-6, 0.05])}, cv=2, scoring="neg_log_loss"
    )
    X, y = films()
    search.set_params(estimator__epochs=np.int64(12))
    search.fit(np.array(X), np.array(y))
    assert search.best_params_ == {"learning_rate": 0.05}
    assert search.predict(X[:2]).shape == (2,)


def test_it_can_be_pickled(fitted: Classifier) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    X, _ = films()
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_a_wrong_parameter_is_told_by_fit() -> None:
    with pytest.raises(UsageError, match=r"`units`: .*, received 0"):
        Classifier(units=0).fit(*films())
    with pytest.raises(UsageError, match=r"`cell`: .*'lstm' or 'gru', received 'rnn'"):
        Classifier(cell="rnn").fit(*films())
    with pytest.raises(UsageError, match="`class_weights` needs labels"):
        Regressor(**TINY, class_weights="balanced").fit(*waves())


# labels


@pytest.mark.parametrize(
    "labels",
    [[10, 9, -2], ["b", "가", "A b"], [3.0, 1.0, 20.0], [True, False, True]],
    ids=["int", "str", "float", "bool"],
)
def test_predict_returns_the_callers_labels(labels: list[Any], tmp_path: Path) -> None:
    X, y = ["one", "two", "three"] * 6, labels * 6
    classifier = Classifier(**TINY).fit(X, y)
    assert classifier.classes_.tolist() == sorted(set(labels))
    assert classifier.classes_.dtype == np.array(labels).dtype
    again = sunhwan.load(classifier.save(tmp_path / "run"))
    assert again.classes_.tolist() == classifier.classes_.tolist()
    assert again.predict(X).tolist() == classifier.predict(X).tolist()
    assert {type(value) for value in again.predict(X).tolist()} == {type(labels[0])}


def test_probabilities_stand_in_the_order_of_the_values() -> None:
    # as names, "10" comes before "9"
    X, y = films()
    numbers = [9 if label == "yes" else 10 for label in y]
    classifier = Classifier(**LEARNS).fit(X, numbers)
    assert classifier.classes_.tolist() == [9, 10]
    assert classifier.predict(X).tolist() == numbers
    assert classifier.predict_proba(X).argmax(1).tolist() == [n - 9 for n in numbers]
    assert classifier.evaluate(X, numbers)["accuracy"] == 1.0


# kinds of data


def test_numbers_of_unequal_length() -> None:
    X, y = waves()
    regressor = Regressor(**LEARNS).fit(X, y)
    assert regressor.n_features_in_ == 2
    found = regressor.predict(X)
    assert (found.shape, found.dtype) == ((16,), np.float64)
    figures = regressor.evaluate(X, y)
    assert {"mae", "rmse", "r2", "skill"} == set(figures)
    assert figures["r2"] == pytest.approx(regressor.score(X, y))
    assert figures["r2"] > 0.8
    with pytest.raises(DataError, match="`X` must have 2 features as in training, received 1"):
        regressor.predict([[1.0, 2.0]])
    with pytest.raises(DataError, match="`X` must hold numbers as in training, received text"):
        regressor.predict(["text"])


def test_the_ways_to_give_numbers() -> None:
    flat = np.random.default_rng(2).normal(size=(4, 5))
    wanted = [row[:, None].astype(np.float32) for row in flat]
    columns = {f"x{n}": flat[:, n] for n in range(5)}
    for given in (
        flat,
        flat[:, :, None],
        flat.tolist(),
        list(flat),
        tuple(flat[:, :, None].tolist()),
        pl.DataFrame(columns),
        pl.Series(flat.tolist()),
        [pl.Series(row) for row in flat],
    ):
        found = read_inputs(given, "classify")
        assert found.kind == "numbers"
        for one, other in zip(found.inputs, wanted, strict=True):
            assert one.dtype == np.float32
            np.testing.assert_array_equal(one, other)


def test_the_ways_to_give_texts() -> None:
    texts = ["so good", "나쁜 영화"]
    frame = pl.DataFrame({"text": texts})
    given = [texts, tuple(texts), np.array(texts), np.array(texts, object), frame, frame["text"]]
    for value in given:
        found = read_inputs(value, "classify")
        assert (found.kind, found.inputs) == ("text", texts)
        assert {type(text) for text in found.inputs} == {str}


def test_columns_of_a_frame_by_name() -> None:
    frame = pl.DataFrame({"x": ["a", "b"], "who": [7, 8], "y": [1, 0]})
    examples, labels = read_examples(frame, "y", "classify", "who")
    assert examples == Examples(
        "text", ["a", "b"], ["1", "0"], ["row 0", "row 1"], groups=["7", "8"]
    )
    assert labels == "int"
    with pytest.raises(UsageError, match="no column 'label', but x, who, y"):
        read_examples(frame, "label", "classify")
    with pytest.raises(DataError, match="`X` must be one column, received 2") as caught:
        read_examples(frame, "y", "classify")
    assert caught.value.hint == 'choose one, such as X["x"]'
    with pytest.raises(DataError, match="must be a frame where 'y' names"):
        read_examples(["a", "b"], "y", "classify")


class _Pandas:
    """What a pandas frame has, as far as it is used."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._columns, self.columns = columns, np.array(list(columns), object)

    def __getitem__(self, name: Any) -> Any:
        if isinstance(name, list):
            return _Pandas({one: self._columns[one] for one in name})
        return pl.Series(self._columns[name], strict=False, dtype=pl.Object)

    def to_numpy(self) -> Any:
        return np.array(list(self._columns.values())).T


def test_a_frame_like_that_of_pandas() -> None:
    examples, _ = read_examples(_Pandas({"y": ["n", "p"], "x": ["a", "b"]}), "y", "classify")
    assert (examples.inputs, examples.targets) == (["a", "b"], ["n", "p"])
    with pytest.raises(DataError, match="row 1 of `X` must be a text, received nan"):
        read_examples(_Pandas({"y": ["n", "p"], "x": ["a", float("nan")]}), "y", "classify")
    found = read_inputs(_Pandas({"a": [1, 2], "b": [3, 4]}), "regress")
    assert [row.ravel().tolist() for row in found.inputs] == [[1, 3], [2, 4]]


def test_sounds_by_their_paths(tmp_path: Path) -> None:
    paths = []
    for number in range(8):
        paths.append(tmp_path / f"{number}.wav")
        with wave.open(str(paths[-1]), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            tone = np.sin(np.arange(2400) * (0.2 if number % 2 else 0.9)) * 9000
            file.writeframes(tone.astype(np.int16).tobytes())
    classifier = Classifier(**TINY).fit(paths, [0, 1] * 4)
    assert classifier.predict(paths).shape == (8,)
    with pytest.raises(DataError, match=r"none\.wav"):
        classifier.predict([tmp_path / "none.wav"])


def test_tags_of_tokens(tmp_path: Path) -> None:
    X = [["dogs", "run"], ["cats", "see", "dogs"]] * 6
    y = [["N", "V"], ["N", "V", "N"]] * 6
    tagger = Tagger(**LEARNS).fit(X, y)
    assert tagger.classes_.tolist() == ["N", "V"]
    assert [row.tolist() for row in tagger.predict(X)] == y
    assert [row.shape for row in tagger.predict_proba(X)[:2]] == [(2, 2), (3, 2)]
    assert tagger.score(X, y) == tagger.evaluate(X, y)["accuracy"] == 1.0
    again = sunhwan.load(tagger.save(tmp_path / "run"))
    assert isinstance(again, Tagger)
    assert [row.tolist() for row in again.predict(X)] == y


def test_numbers_at_each_step() -> None:
    X, _ = waves()
    y = [row[:, 0] * 2 for row in X]
    tagger = Tagger(**LEARNS).fit(X, y)
    assert not hasattr(tagger, "classes_")
    assert tagger.n_features_in_ == 2
    found = tagger.predict(X)
    assert [row.shape for row in found] == [row.shape for row in y]
    assert tagger.score(X, y) > 0.8
    with pytest.raises(UsageError, match="no probabilities"):
        tagger.predict_proba(X)
    with pytest.raises(DataError, match="`y` must hold numbers"):
        tagger.evaluate(X, [["a"] * len(row) for row in X])


def test_integers_at_each_step_are_labels() -> None:
    X, y = [[0.5, 1.5], [2.5]], [[0, 1], [1]]
    assert read_examples(X, y, "tag")[0].targets == [["0", "1"], ["1"]]
    examples, labels = read_examples(X, [np.array([0.5, 1]), [2.0]], "tag")
    assert labels == ""
    assert [row.tolist() for row in examples.targets or []] == [[0.5, 1.0], [2.0]]


# groups and validation data


def test_groups_are_held_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        "sunhwan.tasks.estimators.Learner.fit",
        lambda self, training, validation, **_: seen.extend([training, validation]) or 1 / 0,
    )
    X, y = films()
    with pytest.raises(ZeroDivisionError):
        Classifier(**TINY | {"validation": 0.3}).fit(X, y, groups=np.arange(24) // 4)
    training, validation = seen
    assert set(training.groups).isdisjoint(validation.groups)
    assert len(training) + len(validation) == 24
    assert len(validation) == 8


def test_validation_data() -> None:
    X, y = films()
    one = Classifier(**TINY).fit(X, y, validation_data=(X[:5], y[:5]))
    other = Classifier(**TINY).fit(X, y, validation_data=(X[5:], y[5:]))
    assert one.history_["loss"] == other.history_["loss"]
    assert one.history_["val_loss"] != other.history_["val_loss"]
    for given, message in (
        ((X, [*y[:-1], "maybe"]), "row 23 of `y` has a label that training has not: 'maybe'"),
        (([1.0, 2.0], ["yes", "no"]), "`validation_data`: row 0 of `X` must be a sequence"),
        (([[1.0], [2.0]], ["yes", "no"]), "`validation_data` must hold text as in training"),
        ([X, y], r"must be \(X, y\)"),
    ):
        with pytest.raises(SunhwanError, match=message):
            Classifier(**TINY).fit(X, y, validation_data=given)


def test_progress_is_shown_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Classifier(**TINY).fit(*films(), verbose=True)
    assert "Classifier" in capsys.readouterr().err
    Classifier(**TINY).fit(*films())
    assert capsys.readouterr() == ("", "")


# what is wrong, by its row

T3 = ["a", "b", "c"]
WRONG = [
    ("classify", T3, [0, 1], ShapeError, "`y` must have one entry for each of the 3 rows"),
    ("classify", [], [], DataError, "`X` must have at least one row"),
    ("classify", T3, [], DataError, "`y` must have at least one row"),
    ("classify", "abc", [1], DataError, "`X` must be a list, .* received 'abc'"),
    ("classify", None, [1], DataError, "`X` must be a list, .* received None"),
    ("classify", {"a": 1}, [1], DataError, "`X` must be a list"),
    ("classify", (x for x in T3), [1], DataError, "`X` must be a list"),
    ("classify", np.float64(3), [1], DataError, "`X` must be a list"),
    ("classify", ["a", None, "c"], [0, 1, 0], DataError, "row 1 of `X` must be a text, .* None"),
    ("classify", ["a", "b", 3], [0, 1, 0], DataError, "row 2 of `X` must be a text, received 3"),
    ("classify", ["a", " ", "c"], [0, 1, 0], DataError, "row 1 .* received a blank one"),
    ("classify", np.array([["a"], ["b"]]), [0, 1], DataError, "`X` must have one axis"),
    ("classify", [1.0, 2.0], [0, 1], DataError, r"row 0 of `X` .* shape \[T, D\] or \[T\]"),
    ("classify", [[1.0], []], [0, 1], DataError, r"row 1 of `X` .*received \(0,\)"),
    ("classify", [[[1, 2]], [[1]]], [0, 1], DataError, "row 1 of `X` has 1 features a step"),
    ("classify", [[1], [[1, 2], [3]]], [0, 1], DataError, "row 1 of `X` must have as many"),
    ("classify", [[1, 2], ["a", 2]], [0, 1], DataError, "row 1 of `X` must be a sequence of num"),
    ("classify", [[1, 2], [1, np.nan]], [0, 1], DataError, "row 1 of `X`, step 1, .*nan"),
    ("classify", [[1, 1e39], [1, 2]], [0, 1], DataError, "row 0 of `X`, step 1, .*1e.39"),
    ("classify", np.zeros((2, 2, 2, 2)), [0, 1], DataError, r"row 0 .* received \(2, 2, 2\)"),
    ("classify", T3, [0, 0.5, 1], DataError, "row 1 of `y` must be a label, received 0.5"),
    ("classify", T3, [0, None, 1], DataError, "row 1 of `y` must be a label, received None"),
    ("classify", T3, [0.0, np.nan, 1], DataError, "row 1 of `y` must be a label, received nan"),
    ("classify", T3, [0, "b", 1], DataError, "row 1 of `y` must be a label like '0' .*'b'"),
    ("classify", T3, [[0], [1], [0]], DataError, "row 0 of `y` must be a label"),
    ("regress", T3, [1, "2", 3], DataError, "row 1 of `y` must be a number, received '2'"),
    ("regress", T3, [1, 2, np.nan], DataError, "row 2 of `y` must be a number that .* nan"),
    ("regress", T3, [True, 2, 3], DataError, "row 0 of `y` must be a number, received True"),
    ("tag", T3, [["x"]] * 3, DataError, "must be a list of tokens or of numbers, received a text"),
    ("tag", [["a"], []], [["x"], []], DataError, "row 1 of `X` must be a list of tokens"),
    ("tag", [["a"], ["b", ""]], [["x"], ["y", "x"]], DataError, "row 1 of `X`, token 1: .* ''"),
    ("tag", [["a", "b"]], [["x"]], ShapeError, "row 0 of `y` .* its 2 steps, received 1"),
    ("tag", [["a"], ["b"]], [["x"], "y"], ShapeError, "row 1 of `y` .* its 1 steps, received 'y'"),
    ("tag", [["a"], ["b"]], [["x"], [None]], DataError, "row 1, step 0 of `y` must be a label"),
    ("tag", [[1.0], [2.0]], [[0.5], [np.inf]], DataError, "row 1, step 0 of `y` must be a number"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "X", "y", "kind", "message"), WRONG)
def test_wrong_data_is_refused_with_its_row(
    task: Any, X: Any, y: Any, kind: type[SunhwanError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        read_examples(X, y, task)
    assert "\n" not in caught.value.message


def test_groups_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="`groups` must have one entry for each of the 3 rows"):
        read_examples(T3, [0, 1, 0], "classify", [1, 2])
    with pytest.raises(DataError, match="row 1 of `groups` must be a label, received None"):
        read_examples(T3, [0, 1, 0], "classify", ["a", None, "b"])


def test_too_little_to_learn_from() -> None:
    with pytest.raises(DataError, match="at least two labels to tell apart, received only '7'"):
        Classifier(**TINY).fit(T3 * 4, [7] * 12)
    with pytest.raises(DataError, match="1 examples are too few"):
        Classifier(**TINY).fit(["a"], [0])


def test_a_label_that_training_had_not_is_missed(fitted: Classifier) -> None:
    figures = fitted.evaluate(["a good film", "a bad film"], ["yes", "maybe"])
    assert figures["accuracy"] == 0.5


# folders


def test_save_and_load(fitted: Classifier, tmp_path: Path) -> None:
    path = fitted.save(tmp_path / "run")
    with pytest.raises(UsageError, match="already holds a run"):
        fitted.save(path)
    assert fitted.save(path, overwrite=True) == path
    again = sunhwan.load(str(path))
    assert isinstance(again, Classifier)
    X, _ = films()
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.history_ == fitted.history_
    assert again.best_epoch_ == fitted.best_epoch_
    assert {k: v for k, v in again.get_params().items() if LEARNS.get(k, v) != v} == {}
    refit = clone(again).fit(*films())
    np.testing.assert_array_equal(refit.predict_proba(X), fitted.predict_proba(X))


def test_a_run_of_the_command_is_loaded(tmp_path: Path) -> None:
    X, y = films(40)
    table = tmp_path / "films.csv"
    rows = zip(X, y, strict=True)
    table.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    running.start(Config(task="classify", **TINY), running.Data((str(table),)), tmp_path / "run")
    classifier = sunhwan.load(tmp_path / "run")
    assert isinstance(classifier, Classifier)
    assert classifier.classes_.tolist() == ["no", "yes"]
    assert classifier.units == 5
    wanted = running.evaluate(tmp_path / "run", [table])["metrics"]
    assert classifier.evaluate(X, y) == pytest.approx(wanted)
