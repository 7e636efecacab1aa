"""What to try next and when to give a trial up, which Optuna decides.

Each decision is a function of the seed and the trials that are done, and of nothing that a process
remembers. So a search that goes on after an interruption tries what it would have tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sunhwan.errors import UsageError
from sunhwan.tasks.tuning_folder import Trial
from sunhwan.tasks.tuning_space import Choice, Space, Value, size_of

if TYPE_CHECKING:
    import optuna

#: trials that are drawn before the search learns from them (Bergstra et al. 2011)
_DRAWN = 10
#: trials that are finished before one is given up, and how many must have got as far as it has
_FINISHED, _AS_FAR = 5, 3
#: the share of its epochs that each trial has
_FREE = 0.1
#: draws before the first combination that was not tried is taken
_DRAWS = 20
#: trials from which it can be told which options matter
_ENOUGH = 10
#: the share of them that are the best
_BEST = 0.3


def load_optuna() -> Any:
    """Optuna, which says nothing but warnings.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            "`sunhwan tune` needs Optuna, which is not installed",
            hint="pip install 'sunhwan[tune]'",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


class Attempt:
    """A trial that is about to be tried.

    Attributes
    ----------
    options
        By name.
    """

    def __init__(self, options: dict[str, Value], trial: optuna.Trial) -> None:
        self.options = options
        self._trial = trial

    def is_weak(self, epoch: int, loss: float) -> bool:
        """True if a loss after so many epochs, from 1, says that the rest is not worth its time.

        That is so if no loss of the trial is as small as the median of the others after as many
        epochs (Golovin et al. 2017).
        """
        self._trial.report(loss, epoch)
        return self._trial.should_prune()


class Advisor:
    """Chooses options by a tree-structured Parzen estimator (Bergstra et al. 2011).

    Parameters
    ----------
    space
        What is searched.
    first
        Options to begin with, as far as they are in the space.
    seed
        Of all choices.
    epochs
        The most epochs of a trial; none is given up in the first tenth of them.
    """

    def __init__(self, space: Space, first: Mapping[str, Any], seed: int, epochs: int) -> None:
        self._space, self._seed = space, seed
        self._first = {name: first[name] for name in space if first.get(name) in space[name]}
        self._warmup = 1 + round(_FREE * epochs)
        self._distributions = {name: _distribution(one) for name, one in space.items()}

    def next(self, trials: Sequence[Trial]) -> Attempt | None:
        """The trial after `trials`, unlike all of them; None if there is no other."""
        size = size_of(self._space)
        if size is not None and len(trials) >= size:
            return None
        tried = [trial.options for trial in trials]
        for draw in range(_DRAWS):
            attempt = self._ask(trials, draw, {} if trials or draw else self._first)
            if attempt.options not in tried:
                return attempt
        left = (options for options in self._combinations() if options not in tried)
        return self._ask(trials, _DRAWS, next(left))

    def importances(self, trials: Sequence[Trial]) -> dict[str, float]:
        """The share of each option in what tells the best trials from the others, largest first.

        That is PED-ANOVA (Watanabe et al. 2023), with the best 30 %. It goes by the order of the
        trials alone, in which those that were not finished are the last: a single huge loss would
        else decide. Empty where there are too few trials.
        """
        if len(trials) < _ENOUGH:
            return {}
        importance = load_optuna().importance
        order = sorted(trials, key=lambda one: (one.state != "finished", one.loss))
        placed = [
            one.model_copy(update={"state": "finished", "figures": {"val_loss": [float(place)]}})
            for place, one in enumerate(order)
        ]
        evaluator = importance.PedAnovaImportanceEvaluator(target_quantile=_BEST)
        found = importance.get_param_importances(self._study(placed, 0), evaluator=evaluator)
        return {name: float(share) for name, share in found.items()}

    def _ask(self, trials: Sequence[Trial], draw: int, fixed: Mapping[str, Value]) -> Attempt:
        study = self._study(trials, draw)
        if fixed:
            study.enqueue_trial(dict(fixed))
        trial = study.ask(self._distributions)
        options = {name: self._space[name].rounded(trial.params[name]) for name in self._space}
        return Attempt(options, trial)

    def _study(self, trials: Sequence[Trial], draw: int) -> optuna.Study:
        optuna = load_optuna()
        words = np.random.SeedSequence([self._seed, len(trials), draw]).generate_state(1)
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(
                seed=int(words[0]), n_startup_trials=_DRAWN, multivariate=True, constant_liar=False
            ),
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=_FINISHED, n_warmup_steps=self._warmup, n_min_trials=_AS_FAR
            ),
        )
        states = optuna.trial.TrialState
        for trial in trials:
            is_done = trial.state == "finished"
            # a trial that diverged has no figures here, which puts it behind all that were given up
            losses = [] if trial.state == "diverged" else trial.losses
            study.add_trial(
                optuna.trial.create_trial(
                    state=states.COMPLETE if is_done else states.PRUNED,
                    value=trial.loss if is_done else None,
                    params=trial.options,
                    distributions=self._distributions,
                    intermediate_values=dict(enumerate(losses, 1)),
                )
            )
        return study

    def _combinations(self) -> Any:
        """All options that there are, where they can be counted."""
        names = list(self._space)
        values = [
            one.values if isinstance(one, Choice) else range(int(one.low), int(one.high) + 1)
            for one in self._space.values()
        ]
        return (dict(zip(names, row, strict=True)) for row in itertools.product(*values))


def _distribution(one: Any) -> Any:
    distributions = load_optuna().distributions
    if isinstance(one, Choice):
        return distributions.CategoricalDistribution(one.values)
    kind = "IntDistribution" if isinstance(one.low, int) else "FloatDistribution"
    return getattr(distributions, kind)(one.low, one.high, log=one.log)
