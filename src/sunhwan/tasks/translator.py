"""What texts become of texts, in scikit-learn's manners: `Translator`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.korean import to_nfc
from sunhwan.errors import DataError, ShapeError, UsageError
from sunhwan.tasks import translate_judging, translate_run
from sunhwan.tasks.options import checked_names
from sunhwan.tasks.run_estimator import RunEstimator, texts_of
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_learner import TranslateLearner
from sunhwan.tasks.translate_parts import Pairs, split_pairs


class Translation(NamedTuple):
    """A text that was written for a source, and what the network thinks of it."""

    text: str
    log_probability: float  #: of its tokens and its end
    score: float  #: the log-probability over the length penalty; the higher the better


class Translator(RunEstimator[TranslateLearner]):
    """Learns pairs of texts: translations, summaries, questions and answers.

    Parameters are the options of ``sunhwan train translate``, and those that are None are chosen by
    the pairs; `sunhwan.tasks.translate_config.TranslateConfig` says what each one is.

    Attributes
    ----------
    history_
        By name, a figure for each epoch: ``loss``, ``val_loss``, ….
    best_epoch_
        The epoch, from 1, whose weights the network has.
    model_
        The `keras.Model` with all weights: ids of sources and of targets, which begin with the
        end, in; logits out.
    learner_
        What was chosen and learnt; ``learner_.config`` has all options.
    rejected_
        Pairs that were too long to learn from, with the reason for each.

    Examples
    --------
    >>> sources = [a + b + c for a in "abc" for b in "abc" for c in "abc"]
    >>> options = {"units": 16, "embedding": 8, "dropout": 0, "token_dropout": 0,
    ...            "learning_rate": 0.02, "epochs": 40}
    >>> translator = Translator(**options).fit(sources, [text.upper() for text in sources])
    >>> translator.translate("cab"), translator.translate(["abc", "bb"])
    ('CAB', ['ABC', 'BB'])
    """

    _options = TranslateConfig
    _load = staticmethod(translate_run.load)

    @checked_names
    def __init__(
        self,
        *,
        source_tokens: str = "auto",
        target_tokens: str = "auto",
        shared_vocabulary: bool = False,
        vocabulary: int | None = None,
        attention: str = "additive",
        cell: str | None = None,
        units: int | None = None,
        num_layers: int | None = None,
        embedding: int | None = None,
        dropout: float | None = None,
        token_dropout: float = 0.1,
        copy_unknown: bool = False,
        max_length: int | None = None,
        own_words: float = 0.0,
        own_epochs: int | None = None,
        width: int = 5,
        length_penalty: float = 0.6,
        optimizer: str = "adam",
        learning_rate: float | None = None,
        schedule: str | None = None,
        clipnorm: float = 1.0,
        epochs: int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        validation: float = 0.1,
        seed: int = 1,
    ) -> None:
        self.source_tokens = source_tokens
        self.target_tokens = target_tokens
        self.shared_vocabulary = shared_vocabulary
        self.vocabulary = vocabulary
        self.attention = attention
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.embedding = embedding
        self.dropout = dropout
        self.token_dropout = token_dropout
        self.copy_unknown = copy_unknown
        self.max_length = max_length
        self.own_words = own_words
        self.own_epochs = own_epochs
        self.width = width
        self.length_penalty = length_penalty
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.clipnorm = clipnorm
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.validation = validation
        self.seed = seed

    def fit(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        *,
        validation_data: tuple[Any, Any] | None = None,
        verbose: bool = False,
    ) -> Self:
        """Train a new network; the same pairs and parameters give the same bits.

        Parameters
        ----------
        sources, targets
            N texts each: a list, an array or a column of a frame. Pairs that are too long to learn
            from are left out with a warning that names them.
        validation_data
            ``(sources, targets)`` to stop in time by; None holds out the share `validation` of the
            pairs, those with the same source or the same target together.
        verbose
            Whether the progress is shown on stderr.

        Raises
        ------
        UsageError
            A parameter does not fit.
        DataError, ShapeError
            Texts that do not fit; names the one, counted from 0.
        TrainingError
            The loss is no longer finite.
        """
        config: TranslateConfig = self._config()
        pairs = _pairs(sources, targets)
        if validation_data is None:
            parts = split_pairs(pairs, config.validation, 0.0, config.seed)
            training, validation = parts.training, parts.validation
        else:
            training, validation = pairs, _validation(validation_data)
        learner = TranslateLearner(config)
        learner.prepare(training)
        training, longer = learner.short_enough(training)
        validation, others = learner.short_enough(validation, learnt=False)
        for one in (rejected := [*longer, *others]):
            warnings.warn(f"{one.place} is left out: {one.reason}", stacklevel=2)
        self.rejected_ = rejected
        return self._trained(
            learner,
            lambda progress: learner.fit(training, validation, progress=progress),
            verbose,
        )

    def translate(
        self,
        texts: str | Sequence[str],
        *,
        width: int | None = None,
        length_penalty: float | None = None,
        with_scores: bool = False,
    ) -> Any:
        """What becomes of a text, or of each of several, found by beam search.

        Parameters
        ----------
        texts
            One text; or several, as for `fit`.
        width
            Beginnings that the search keeps; None is what the parameters say.
        length_penalty
            Above 0 long texts are favoured; None is what the parameters say.
        with_scores
            Whether a `Translation` is returned for each, not its text alone.

        Returns
        -------
        str or list of str
            As many as there are texts.

        Raises
        ------
        DataError
            A text is empty, or far longer than what was learnt; names it, counted from 0.
        UsageError
            An option out of range.
        """
        learner = self._fitted()
        asked = _readable(learner, texts)
        best = learner.best(asked, width=width, length_penalty=length_penalty)
        written = [
            Translation(learner.written(one, text), one.log_probability, one.score)
            for one, text in zip(best, asked, strict=True)
        ]
        found = written if with_scores else [one.text for one in written]
        return found[0] if isinstance(texts, str) else found

    def attention_of(
        self, text: str, translation: str | None = None
    ) -> tuple[list[str], list[str], NDArray[np.float32]]:
        """What of a text each token of its translation looked at.

        Parameters
        ----------
        translation
            None is that of `translate`.

        Returns
        -------
        tuple
            S tokens of the text; T tokens of the translation, the last of them its end, which is
            written as nothing; and ``float32[T, S]``, rows that sum to 1.

        Raises
        ------
        UsageError
            The network has no attention.
        """
        learner = self._fitted()
        asked = _readable(learner, text)[0]
        said = learner.answer([asked])[0] if translation is None else to_nfc(translation)
        return learner.looked_at(asked, said)

    def _adopt(self, learner: Any, history: Mapping[str, list[float]], best_epoch: int) -> None:
        super()._adopt(learner, history, best_epoch)
        self.model_ = learner.models.whole

    def evaluate(self, sources: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        """``chrf``, ``bleu`` and ``exact_match`` on other pairs.

        Pairs with the same source count as one with several right answers.
        """
        learner, pairs = self._fitted(), _pairs(sources, targets)
        rows, wanted = translate_judging.by_source(pairs.sources, pairs.targets)
        said = learner.answer(_readable(learner, [pairs.sources[row] for row in rows], "source"))
        counts = translate_judging.count(said, wanted)
        found = translate_judging.figures(counts, learner.config.seed)
        return cast(dict[str, float], found["metrics"])


def _readable(learner: TranslateLearner, texts: Any, name: str = "text") -> list[str]:
    """Texts to translate, none of them too long."""
    asked = [_tidy(text) for text in texts_of(texts, name, least=0)]
    places = [f"{name} {number}" for number in range(len(asked))]
    if longer := learner.readable(Pairs(asked, [], places))[1]:
        raise DataError(f"{longer[0].place}: {longer[0].reason}", hint="divide it")
    return asked


def _pairs(sources: Any, targets: Any) -> Pairs:
    read = [_tidy(text) for text in texts_of(sources, "source")]
    written = [_tidy(text) for text in texts_of(targets, "target")]
    if len(read) != len(written):
        raise ShapeError(
            f"there must be a target for each of the {len(read)} sources, received {len(written)}"
        )
    return Pairs(read, written, [f"pair {number}" for number in range(len(read))])


def _validation(data: Any) -> Pairs:
    if not isinstance(data, tuple) or len(data) != 2:
        raise UsageError("`validation_data` must be (sources, targets)")
    try:
        return _pairs(*data)
    except DataError as error:
        raise DataError(f"`validation_data`: {error.message}", hint=error.hint) from error


def _tidy(text: str) -> str:
    return to_nfc(text.replace("\r\n", "\n").strip())
