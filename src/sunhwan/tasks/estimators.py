"""Recurrent networks in scikit-learn's manners: `Classifier`, `Regressor`, `Tagger`, and `load`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from sunhwan.data.examples import Examples
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress, choose
from sunhwan.tasks import judging, pieces, run_records, running
from sunhwan.tasks.captioner import Captioner
from sunhwan.tasks.config import Config, Task, make_config
from sunhwan.tasks.forecaster import Forecaster
from sunhwan.tasks.inputs import LABELS, read_examples, read_inputs
from sunhwan.tasks.learner import Learner
from sunhwan.tasks.options import checked_names
from sunhwan.tasks.splits import hold_out
from sunhwan.tasks.text_generator import TextGenerator
from sunhwan.tasks.translator import Translator


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """What the estimators share; see `Classifier`."""

    _task: Task

    @checked_names
    def __init__(
        self,
        *,
        cell: str | None = None,
        units: int | None = None,
        num_layers: int | None = None,
        bidirectional: bool | None = None,
        embedding: int | None = None,
        pooling: str | None = None,
        dropout: float | None = None,
        recurrent_dropout: float = 0.0,
        token_dropout: float | None = None,
        tokens: str = "auto",
        vocabulary: int | None = None,
        max_length: int | None = None,
        optimizer: str = "adam",
        learning_rate: float | None = None,
        schedule: str | None = None,
        clipnorm: float = 1.0,
        epochs: int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        class_weights: str = "none",
        validation: float = 0.1,
        seed: int = 1,
    ) -> None:
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.embedding = embedding
        self.pooling = pooling
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.token_dropout = token_dropout
        self.tokens = tokens
        self.vocabulary = vocabulary
        self.max_length = max_length
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.clipnorm = clipnorm
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.class_weights = class_weights
        self.validation = validation
        self.seed = seed

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        verbose: bool = False,
    ) -> Self:
        """Train a new network; the same data and parameters give the same bits.

        Parameters
        ----------
        X
            N sequences, as a list, an array or a column of a pandas or polars frame:

            - texts; or lists of tokens;
            - numbers ``float[N, T, D]``, or a list of ``float[T, D]`` of unequal T;
              ``float[N, T]`` are N sequences of T steps with one feature, and so are the rows of a
              frame of numbers;
            - paths (`pathlib.Path`) of WAV, FLAC or OGG files.
        y
            N answers; or, where `X` is a frame, the name of the column that holds them.
        groups
            What must not be parted when a share is held out, such as the speaker: one value a row,
            or the name of a column of `X`.
        validation_data
            ``(X, y)`` to stop in time by; None holds out the share `validation` of the data.
        verbose
            Whether the progress is shown on stderr.

        Raises
        ------
        UsageError
            A parameter does not fit.
        DataError, ShapeError
            Data that does not fit; names the row, counted from 0.
        TrainingError
            The loss is no longer finite.
        """
        config = self._config()
        examples, labels = read_examples(X, y, self._task, groups)
        if validation_data is None:
            training, validation = hold_out(examples, config.validation, config.seed)
        else:
            training, validation = examples, _validation(validation_data, self._task)
        if self._task == "tag":
            config = pieces.settled(config, training)
        learner = Learner(config)
        training, validation = learner.pieces(training), learner.pieces(validation)
        learner.prepare(training)
        if validation_data is not None:
            _check_like(learner, validation, "validation_data")
            _check_labels(learner, validation)
        progress = choose() if verbose else Progress()
        progress.plan(type(self).__name__, 1, learner.config.epochs or 1)
        try:
            history = learner.fit(training, validation, progress=progress)
        finally:
            progress.close()
        self._adopt(learner, labels, history.figures, history.best_epoch)
        return self

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """Figures by name on data with answers.

        Parameters
        ----------
        X, y
            As of `fit`. A label that training did not have counts as missed.

        Returns
        -------
        dict
            For labels ``accuracy``, ``macro_f1`` and ``log_loss``, with ``sentence_accuracy`` of a
            `Tagger`; for numbers ``mae``, ``rmse``, ``r2`` and ``skill`` (over the mean of the
            training answers). What is not defined, such as R² of equal numbers, is left out.
        """
        learner = self._fitted()
        examples, labels = read_examples(X, y, self._task)
        _check_like(learner, examples, "X")
        if bool(labels) != bool(learner.classes):
            wanted = "labels" if learner.classes else "numbers"
            raise DataError(f"`y` must hold {wanted}, as in training")
        rows = learner.pieces(examples)
        judged = judging.judge(learner, rows, learner.encode(rows))
        return cast(dict[str, float], judged["metrics"])

    def save(self, path: Path | str, overwrite: bool = False) -> Path:
        """Leave the network and all that it needs in a folder, for `sunhwan.load`; its path.

        Raises
        ------
        UsageError
            The folder holds a run, and `overwrite` is False, or something else.
        """
        learner = self._fitted()
        history = {"figures": self.history_, "best_epoch": self.best_epoch_}
        run = running.save(learner, path, history, labels=self._labels, overwrite=overwrite)
        return run.path

    def _config(self) -> Config:
        given = self.get_params(deep=False)
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in given.items()}
        return make_config({"task": self._task, **plain})

    def _fitted(self) -> Learner:
        check_is_fitted(self, "learner_")
        return cast(Learner, self.learner_)

    def _answers(self, X: Any) -> Any:
        """Probabilities or numbers, as `Learner.answer` gives them."""
        learner = self._fitted()
        examples = read_inputs(X, self._task)
        _check_like(learner, examples, "X")
        return learner.answer(learner.encode(examples))

    def _adopt(
        self, learner: Learner, labels: str, history: Mapping[str, list[float]], best_epoch: int
    ) -> None:
        """Set the fitted attributes; `labels` is a name in `LABELS`, or nothing for numbers."""
        for name in ("classes_", "n_features_in_"):
            self.__dict__.pop(name, None)
        self.learner_, self.model_ = learner, learner.model
        self.history_, self.best_epoch_ = dict(history), best_epoch
        self._labels = labels
        if learner.kind == "numbers":
            self.n_features_in_ = int(learner.encoder.width)
        if learner.classes:
            # scikit-learn wants the order of the values, not that of their names
            values = [LABELS[labels](name) for name in learner.classes]
            self._order = sorted(range(len(values)), key=values.__getitem__)
            self.classes_ = np.array([values[place] for place in self._order])


class Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """Tells which label a sequence has: a text, numbers over time, a sound.

    Parameters are the options of ``sunhwan train classify``, and their defaults fit the kind of
    the data; `sunhwan.tasks.config.Config` says what each one is. ``get_params``, ``set_params``,
    ``score`` (accuracy), ``sklearn.base.clone``, ``cross_val_score`` and ``GridSearchCV`` work.

    Attributes
    ----------
    classes_
        ``[C]``: the labels in their order, as they were given: texts, numbers or bools.
    history_
        By name, a figure for each epoch: ``loss``, ``val_loss``, ``accuracy``, ….
    best_epoch_
        The epoch, from 1, whose weights the network has.
    model_
        The `keras.Model`: padded ids or numbers in, logits out.
    n_features_in_
        D; for numbers alone.

    Examples
    --------
    >>> texts, labels = ["a good film", "what a bad film"] * 10, [1, 0] * 10
    >>> classifier = Classifier(units=8, epochs=40, learning_rate=0.02).fit(texts, labels)
    >>> classifier.predict(["bad", "so good"]).tolist(), classifier.classes_.tolist()
    ([0, 1], [0, 1])
    """

    _task = "classify"

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each row: an array ``[N]`` of what `y` had."""
        best = self.predict_proba(X).argmax(axis=1)
        return cast(NDArray[Any], self.classes_[best])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """``float64[N, C]``: the probability of each of `classes_`."""
        found = self._answers(X)
        return cast(NDArray[np.float64], found[:, self._order])


class Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """Tells a number for a sequence: a text, numbers over time, a sound.

    Parameters and attributes as of `Classifier`, without ``classes_``; ``score`` is R².

    Examples
    --------
    >>> Regressor(units=16).set_params(cell="lstm")
    Regressor(cell='lstm', units=16)
    """

    _task = "regress"

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The number of each row, ``float64[N]``."""
        return cast(NDArray[np.float64], self._answers(X))


class Tagger(_Estimator):
    """Tells a label, or a number, for each step of a sequence.

    Parameters and attributes as of `Classifier`; without ``classes_`` where it tells numbers. A
    row of `X` is a list of tokens, or numbers ``float[T, D]``; a row of `y` has T labels, or T
    floats. Sequences of more than `max_length` steps are read in pieces of it; where there are
    fewer than five sequences, each is learnt from up to a point in time.

    Examples
    --------
    >>> Tagger(bidirectional=False)
    Tagger(bidirectional=False)
    """

    _task = "tag"

    def predict(self, X: Any) -> list[NDArray[Any]]:
        """For each row an array ``[T]`` of labels, or ``float64[T]``."""
        if not self._fitted().classes:
            return list(self._answers(X))
        return [self.classes_[row.argmax(axis=1)] for row in self.predict_proba(X)]

    def predict_proba(self, X: Any) -> list[NDArray[np.float64]]:
        """For each row ``float64[T, C]``: the probability of each of `classes_` at each step."""
        if not self._fitted().classes:
            raise UsageError("there are no probabilities where the answers are numbers")
        return [row[:, self._order] for row in self._answers(X)]

    def score(self, X: Any, y: Any) -> float:
        """The share of right labels of all steps, or R²."""
        return self.evaluate(X, y)["accuracy" if self._fitted().classes else "r2"]


def load(
    path: Path | str,
) -> Classifier | Regressor | Tagger | Forecaster | TextGenerator | Translator | Captioner:
    """The estimator in a folder that `save`, or ``sunhwan train``, left.

    Raises
    ------
    DataError
        It is no run, is damaged, or its training did not finish.
    UsageError
        It is a run of another task.
    """
    run = RunFolder.open(path)
    if run.task == "forecast":
        return Forecaster.load(path)
    if run.task == "generate":
        return TextGenerator.load(path)
    if run.task == "translate":
        return Translator.load(path)
    if run.task == "caption":
        return Captioner.load(path)
    kinds: dict[str, Any] = {kind._task: kind for kind in (Classifier, Regressor, Tagger)}
    if run.task not in kinds:
        raise UsageError(f"{path} is a run of `{run.task}`, which has no estimator")
    learner = running.load(path)
    if learner.task != run.task:
        raise DataError(f"{path}: run.json and config.json name different tasks")
    estimator = kinds[run.task]()
    estimator.set_params(
        **{name: getattr(learner.config, name) for name in estimator.get_params(deep=False)}
    )
    labels = run.read("config.json").get("labels", "str")
    figures, best_epoch = run_records.history_of(path)
    try:
        estimator._adopt(learner, labels, figures, best_epoch)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: the labels are not {labels!r} as config.json says") from error
    return cast("Classifier | Regressor | Tagger", estimator)


def _validation(data: Any, task: Task) -> Examples:
    if not isinstance(data, tuple) or len(data) != 2:
        raise UsageError("`validation_data` must be (X, y)")
    try:
        return read_examples(*data, task)[0]
    except DataError as error:
        raise DataError(f"`validation_data`: {error.message}", hint=error.hint) from error


def _check_like(learner: Learner, examples: Examples, name: str) -> None:
    """See that inputs are of the kind and width of those in training."""
    if examples.kind != learner.kind:
        raise DataError(
            f"`{name}` must hold {learner.kind} as in training, received {examples.kind}"
        )
    if learner.kind == "numbers":
        width, given = learner.encoder.width, examples.inputs[0].shape[1]
        if width != given:
            raise DataError(f"`{name}` must have {width} features as in training, received {given}")


def _check_labels(learner: Learner, validation: Examples) -> None:
    known = set(learner.classes)
    for row, target in enumerate(validation.targets or []):
        if (type(target) is str or known) and not known.issuperset(np.atleast_1d(target)):
            raise DataError(
                f"`validation_data`: row {row} of `y` has a label that training has not: {target!r}"
            )
