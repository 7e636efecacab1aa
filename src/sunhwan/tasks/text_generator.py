"""A language model in scikit-learn's manners: `TextGenerator`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sunhwan.errors import DataError, UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress, choose
from sunhwan.tasks import generate_judging, generate_run
from sunhwan.tasks.generate_config import GenerateConfig
from sunhwan.tasks.generate_parts import split_texts
from sunhwan.tasks.language_learner import LanguageLearner
from sunhwan.tasks.options import checked_names, make
from sunhwan.tasks.sampling import SamplingOptions
from sunhwan.tasks.writer import Suggestion, Writer


class TextGenerator(BaseEstimator):  # type: ignore[misc]
    """Learns how texts go on, and writes on.

    Parameters are the options of ``sunhwan train generate``, and those that are None are chosen by
    the texts; `sunhwan.tasks.generate_config.GenerateConfig` says what each one is.

    Attributes
    ----------
    history_
        By name, a figure for each epoch: ``loss``, ``val_loss``, ….
    best_epoch_
        The epoch, from 1, whose weights the network has.
    model_
        The `keras.Model`: ids and states in, logits and states out.
    learner_
        What was chosen and learnt; ``learner_.config`` has all options.

    Examples
    --------
    >>> generator = TextGenerator(units=16, epochs=90, learning_rate=0.02).fit("국민대학")
    >>> generator.generate("국", temperature=0), generator.suggest("국민", 1)[0].text
    ('민대학', '대')
    """

    @checked_names
    def __init__(
        self,
        *,
        tokens: str = "auto",
        vocabulary: int | None = None,
        cell: str | None = None,
        units: int | None = None,
        num_layers: int | None = None,
        embedding: int | None = None,
        dropout: float | None = None,
        recurrent_dropout: float = 0.0,
        weight_dropout: float | None = None,
        sequence_length: int | None = None,
        optimizer: str = "adam",
        learning_rate: float | None = None,
        schedule: str | None = None,
        clipnorm: float = 1.0,
        epochs: int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        validation: float = 0.05,
        seed: int = 1,
    ) -> None:
        self.tokens = tokens
        self.vocabulary = vocabulary
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.embedding = embedding
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_dropout = weight_dropout
        self.sequence_length = sequence_length
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.clipnorm = clipnorm
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.validation = validation
        self.seed = seed

    def fit(self, texts: str | Sequence[str], *, verbose: bool = False) -> Self:
        """Train a new network; the same texts and parameters give the same bits.

        Parameters
        ----------
        texts
            One text, or several: a list, an array or a column of a frame.
        verbose
            Whether the progress is shown on stderr.

        Raises
        ------
        UsageError
            A parameter does not fit.
        DataError
            There is no text, or one is none or empty.
        TrainingError
            The loss is no longer finite.
        """
        given = self.get_params(deep=False)
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in given.items()}
        config = make(GenerateConfig, plain)
        rows = _texts(texts)
        parts = split_texts(rows, config.validation, 0.0, config.seed)
        learner = LanguageLearner(config)
        learner.prepare(parts.training)
        ids = [
            learner.joined(learner.ids(part), closed=parts.closed)
            for part in (parts.training, parts.validation or parts.training)
        ]
        progress = choose() if verbose else Progress()
        progress.plan(type(self).__name__, 1, learner.config.epochs or 1)
        try:
            history = learner.fit(*ids, progress=progress)
        finally:
            progress.close()
        self._adopt(learner, history.figures, history.best_epoch)
        return self

    def generate(
        self,
        prompt: str = "",
        length: int = 500,
        *,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 1,
    ) -> str:
        """What comes after a prompt, at most `length` tokens; the same seed gives the same text."""
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        return "".join(self.stream(prompt, length, seed=seed, **options))

    def stream(
        self, prompt: str = "", length: int = 500, *, seed: int = 1, **options: Any
    ) -> Iterator[str]:
        """The same a few letters at a time, as it is written; `options` as of `generate`."""
        chosen = SamplingOptions(**options)
        return self._writer().write(prompt, length=length, options=chosen, seed=seed)

    def suggest(self, prompt: str = "", count: int = 10) -> list[Suggestion]:
        """The likeliest tokens after a prompt: ``text`` and ``probability`` of each."""
        return self._writer().suggest(prompt, count)

    def evaluate(self, texts: str | Sequence[str]) -> dict[str, float]:
        """``loss`` (nats a token), ``perplexity`` and ``bits_per_character`` on other texts."""
        learner, rows = self._fitted(), _texts(texts)
        losses = learner.losses(learner.joined(learner.ids(rows), closed=True))
        found = generate_judging.figures(losses, sum(map(len, rows)), learner.config.seed)
        return cast(dict[str, float], found["metrics"])

    def save(self, path: Path | str, overwrite: bool = False) -> Path:
        """Leave the network and all that it needs in a folder, for `sunhwan.load`; its path.

        Raises
        ------
        UsageError
            The folder holds a run, and `overwrite` is False, or something else.
        """
        history = {"figures": self.history_, "best_epoch": self.best_epoch_}
        return generate_run.save(self._fitted(), path, history, overwrite=overwrite).path

    @classmethod
    def load(cls, path: Path | str) -> TextGenerator:
        """The generator in a folder that `save`, or ``sunhwan train generate``, left.

        Raises
        ------
        DataError
            It is no run, is damaged, or its training did not finish.
        """
        learner, generator = generate_run.load(path), cls()
        generator.set_params(
            **{name: getattr(learner.config, name) for name in generator.get_params(deep=False)}
        )
        history = RunFolder.open(path).read("history.json")
        figures, best_epoch = history.get("figures"), history.get("best_epoch")
        if not isinstance(figures, dict) or type(best_epoch) is not int:
            raise DataError(f"{path}: history.json is not as it was written")
        generator._adopt(learner, figures, best_epoch)
        return generator

    def _adopt(
        self, learner: LanguageLearner, history: Mapping[str, list[float]], best_epoch: int
    ) -> None:
        """Set the fitted attributes."""
        self.learner_, self.model_ = learner, learner.model
        self.history_, self.best_epoch_ = dict(history), best_epoch

    def _fitted(self) -> LanguageLearner:
        check_is_fitted(self, "learner_")
        return cast(LanguageLearner, self.learner_)

    def _writer(self) -> Writer:
        return Writer(self._fitted())


def _texts(texts: Any) -> list[str]:
    """Texts one by one, none of them empty."""
    rows = [texts] if isinstance(texts, str) else texts
    rows = list(rows.to_list() if hasattr(rows, "to_list") else rows)
    if not rows:
        raise DataError("there must be at least one text, received none")
    for number, row in enumerate(rows):
        if not isinstance(row, str):
            raise UsageError(f"text {number} must be a str, received {type(row).__name__}")
        if not row.strip():
            raise DataError(f"text {number} is empty", hint="leave it out")
    return [str(row) for row in rows]
