"""What estimators share whose parameters are the options of a task, and which learn from texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sunhwan.errors import DataError, UsageError
from sunhwan.runs.progress import Progress, choose
from sunhwan.tasks import run_records
from sunhwan.tasks.options import Options, make
from sunhwan.tasks.training import History

Learner = TypeVar("Learner")


class RunEstimator(BaseEstimator, Generic[Learner]):  # type: ignore[misc]
    """An estimator that a run folder holds.

    Attributes
    ----------
    history_
        By name, a figure for each epoch: ``loss``, ``val_loss``, ….
    best_epoch_
        The epoch, from 1, whose weights the network has.
    learner_
        What was chosen and learnt; ``learner_.config`` has all options.
    """

    #: the options of the task
    _options: ClassVar[type[Options]]

    def save(self, path: Path | str, overwrite: bool = False) -> Path:
        """Leave the network and all that it needs in a folder, for `sunhwan.load`; its path.

        Raises
        ------
        UsageError
            The folder holds a run, and `overwrite` is False, or something else.
        """
        history = {"figures": self.history_, "best_epoch": self.best_epoch_}
        return run_records.keep(self._fitted(), path, history, overwrite=overwrite).path

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """The estimator in a folder that `save`, or ``sunhwan train``, left.

        Raises
        ------
        UsageError
            It is a run of another task.
        DataError
            It is no run, is damaged, or its training did not finish.
        """
        learner, estimator = cls._load(path), cls()
        estimator.set_params(
            **{name: getattr(learner.config, name) for name in estimator.get_params(deep=False)}
        )
        estimator._adopt(learner, *run_records.history_of(path))
        return estimator

    @staticmethod
    def _load(path: Path | str) -> Any:
        """The learner of a run of the task."""
        raise NotImplementedError

    def _config(self) -> Any:
        """The parameters as options."""
        given = self.get_params(deep=False)
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in given.items()}
        return make(self._options, plain)

    def _trained(self, learner: Any, fit: Callable[[Progress], History], verbose: bool) -> Self:
        """This estimator with a learner that `fit` trains."""
        progress = choose() if verbose else Progress()
        progress.plan(type(self).__name__, 1, learner.config.epochs or 1)
        try:
            history = fit(progress)
        finally:
            progress.close()
        self._adopt(learner, history.figures, history.best_epoch)
        return self

    def _adopt(self, learner: Any, history: Mapping[str, list[float]], best_epoch: int) -> None:
        """Set the fitted attributes."""
        self.learner_, self.model_ = learner, learner.model
        self.history_, self.best_epoch_ = dict(history), best_epoch

    def _fitted(self) -> Learner:
        check_is_fitted(self, "learner_")
        return cast(Learner, self.learner_)


def texts_of(texts: Any, name: str = "text", least: int = 1) -> list[str]:
    """Texts one by one, none of them empty: of one text, a list, an array or a column of a frame.

    Parameters
    ----------
    name
        Of one, for messages.
    least
        0 or 1: how many there must be.

    Raises
    ------
    UsageError
        One is no text.
    DataError
        There is none, or one is empty.

    Examples
    --------
    >>> texts_of(np.array(["a", "b"])), texts_of("one")
    (['a', 'b'], ['one'])
    """
    rows = [texts] if isinstance(texts, str) else texts
    rows = list(rows.to_list() if hasattr(rows, "to_list") else rows)
    if len(rows) < least:
        raise DataError(f"there must be at least one {name}, received none")
    for number, row in enumerate(rows):
        if not isinstance(row, str):
            raise UsageError(f"{name} {number} must be a str, received {type(row).__name__}")
        if not row.strip():
            raise DataError(f"{name} {number} is empty", hint="leave it out")
    return [str(row) for row in rows]
