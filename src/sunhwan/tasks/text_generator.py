"""A language model in scikit-learn's manners: `TextGenerator`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self, cast

from sunhwan.tasks import generate_judging, generate_run
from sunhwan.tasks.generate_config import GenerateConfig
from sunhwan.tasks.generate_parts import split_texts
from sunhwan.tasks.language_learner import LanguageLearner
from sunhwan.tasks.options import checked_names
from sunhwan.tasks.run_estimator import RunEstimator, texts_of
from sunhwan.tasks.sampling import SamplingOptions
from sunhwan.tasks.writer import Suggestion, Writer


class TextGenerator(RunEstimator[LanguageLearner]):
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

    _options = GenerateConfig
    _load = staticmethod(generate_run.load)

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
        config: GenerateConfig = self._config()
        parts = split_texts(texts_of(texts), config.validation, 0.0, config.seed)
        learner = LanguageLearner(config)
        learner.prepare(parts.training)
        ids = [
            learner.joined(learner.ids(part), closed=parts.closed)
            for part in (parts.training, parts.validation or parts.training)
        ]
        return self._trained(
            learner, lambda progress: learner.fit(*ids, progress=progress), verbose
        )

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
        learner, rows = self._fitted(), texts_of(texts)
        losses = learner.losses(learner.joined(learner.ids(rows), closed=True))
        found = generate_judging.figures(losses, sum(map(len, rows)), learner.config.seed)
        return cast(dict[str, float], found["metrics"])

    def _writer(self) -> Writer:
        return Writer(self._fitted())
