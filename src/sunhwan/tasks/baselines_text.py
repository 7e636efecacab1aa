"""Baselines that read texts, or lists of tokens: n-grams and the tutorials' feed-forward net."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.drawing import in_blocks
from sunhwan.data.padding import pad_sequences
from sunhwan.data.words import split_words
from sunhwan.tasks.baselines_numbers import fit

#: a text, or its tokens
Text = str | Sequence[str]

#: bytes of test texts whose n-grams are in memory at a time
_AT_ONCE = 1 << 22

#: where more of the words than this are new, letters tell more than words
_MANY_NEW_WORDS = 0.1

#: n-grams are told apart by so many hashes
HASHES = 1 << 18
# fewer n-grams are kept where there are many classes, for the sake of time
_MOST_WEIGHTS, _FEWEST_FEATURES = 1_000_000, 1_000
_ITERATIONS = 300
_PENALTIES = [0.01, 0.1, 1.0, 10.0]

# the feed-forward net of the tutorials (Chollet 2018, section 6.1)
_RANKS, _WORDS, _WIDTH, _BATCH = 10_000, 20, 8, 64
# about as many steps whatever the number of rows, so that neither few nor many cost it its chance;
# their number is chosen as the settings below are
STEPS, _FEWEST_EPOCHS, _MOST_EPOCHS = 2_000, 3, 40


@dataclass(frozen=True)
class Grams:
    """The n-grams that are read, and what is made of them.

    Attributes
    ----------
    letters
        Whether an n-gram is made of the letters of a word, else of words or tokens.
    low, high
        From so many to so many of them; of words and tokens at most three.
    sublinear
        Whether an n-gram that occurs n times in a text counts 1 + log n times.
    features
        So many are kept: those that tell most.
    C
        The inverse of the logistic regression's penalty.
    """

    letters: bool
    low: int
    high: int
    sublinear: bool
    features: int
    C: float


# chosen on parts held out of the training data of IMDB and Reuters, and of NSMC: see
# benchmarks/results/baseline-settings.json, which benchmarks/baseline_settings.py writes
WORDS = Grams(False, 1, 2, True, 50_000, 100.0)
LETTERS = Grams(True, 2, 4, True, 50_000, 10.0)

#: what n-grams of up to so many words are called
_UP_TO = {1: "", 2: " and their pairs", 3: ", their pairs and triples"}


def logistic(
    train: Sequence[Text],
    y: NDArray[np.int64],
    test: Sequence[Text],
    grams: Grams | None = None,
) -> tuple[NDArray[np.float64], str]:
    """Logistic regression on the TF-IDF of n-grams (Wang and Manning 2012 on how far these go).

    Words and pairs of words; letters in twos to fours where words are mostly new, as in Korean,
    where a word is written together with its particles.

    Parameters
    ----------
    y
        Class numbers ``int64[N]``, each at least once.
    grams
        Other settings than `WORDS` or `LETTERS`.

    Returns
    -------
    tuple
        Probabilities ``float64[N, C]`` of the test texts, and a line on what was chosen.
    """
    from sklearn.feature_selection import SelectKBest, chi2
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    classes = int(y.max()) + 1
    grams = grams or grams_for(train)
    vectors, tf_idf, what = _vectors(train, grams)
    features = affordable_features(grams.features, classes)
    model = make_pipeline(
        SelectKBest(chi2, k=features), LogisticRegression(C=grams.C, max_iter=_ITERATIONS)
    )
    note = fit(model, vectors, y)
    answers = [model.predict_proba(tf_idf(some)) for some in in_blocks(test, _AT_ONCE)]
    probabilities = np.concatenate(answers, dtype=np.float64)
    return probabilities, f"TF-IDF of {what}, the {features:,} that tell most{note}"


def ridge(
    train: Sequence[Text], y: NDArray[np.float64], test: Sequence[Text], seed: int
) -> tuple[list[float], str]:
    """Ridge regression of a number on the TF-IDF of n-grams, chosen as in `logistic`."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, ShuffleSplit

    vectors, tf_idf, what = _vectors(train, grams_for(train))
    model = GridSearchCV(
        Ridge(solver="sparse_cg"),
        {"alpha": _PENALTIES},
        scoring="neg_mean_squared_error",
        cv=ShuffleSplit(1, test_size=0.2, random_state=seed),
    ).fit(vectors, y)
    detail = f"TF-IDF of {what}; penalty {model.best_params_['alpha']:.3g}"
    answers = [model.predict(tf_idf(some)) for some in in_blocks(test, _AT_ONCE)]
    return np.concatenate(answers).tolist(), detail


def feed_forward(
    train: Sequence[Text],
    y: NDArray[np.int64],
    test: Sequence[Text],
    seed: int,
    steps: int = STEPS,
) -> tuple[NDArray[np.float64], str]:
    """The tutorials' net without recurrence: the last 20 words, embedded and laid side by side.

    Trained for about so many `steps`. Parameters and returns as `logistic`. Sets Keras's random
    seed.
    """
    import keras

    classes = int(y.max()) + 1
    words = Counter(word for text in train for word in _words(text))
    rank = {word: n for n, (word, _) in enumerate(words.most_common(_RANKS - 1), 1)}
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((_WORDS,), dtype="int32"),
            keras.layers.Embedding(_RANKS, _WIDTH),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy")
    x = _last_words(train, rank)
    epochs = int(np.clip(steps * _BATCH // len(x), _FEWEST_EPOCHS, _MOST_EPOCHS))
    model.fit(x, y, batch_size=_BATCH, epochs=epochs, verbose=0)
    answers = model.predict(_last_words(test, rank), batch_size=1024, verbose=0)
    probabilities = np.asarray(answers, np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return (
        probabilities,
        f"last {_WORDS} words, Embedding {_WIDTH}, Flatten, Dense, {epochs} epochs",
    )


def share_of_new_words(texts: Sequence[str]) -> float:
    """How many of the words of the last tenth of `texts` do not occur in those before.

    Examples
    --------
    >>> share_of_new_words([*["a fine film"] * 9, "a film noir"])
    0.3333333333333333
    """
    border = len(texts) * 9 // 10
    known = {word for text in texts[:border] for word in split_words(text)}
    words = [word for text in texts[border:] for word in split_words(text)]
    return sum(word not in known for word in words) / len(words) if words else 0.0


def affordable_features(features: int, classes: int) -> int:
    """How many n-grams `logistic` keeps where it is asked for `features`.

    Examples
    --------
    >>> affordable_features(50_000, 2), affordable_features(50_000, 46)
    (50000, 21739)
    """
    return min(features, max(_FEWEST_FEATURES, _MOST_WEIGHTS // classes))


def grams_for(texts: Sequence[Text]) -> Grams:
    """`LETTERS` where words are mostly new, else `WORDS`.

    Examples
    --------
    >>> grams_for(["a fine film", "a film"]) == WORDS
    True
    """
    strings = [text for text in texts if isinstance(text, str)]
    return LETTERS if share_of_new_words(strings) > _MANY_NEW_WORDS else WORDS


def _vectors(texts: Sequence[Text], grams: Grams) -> tuple[Any, Any, str]:
    """TF-IDF vectors of `texts`, what makes those of others, and what they are made of."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    if not isinstance(texts[0], str):
        options: dict[str, Any] = {"tokenizer": list, "lowercase": False, "token_pattern": None}
        what = f"tokens{_UP_TO[grams.high]}"
    elif grams.letters:
        options = {"analyzer": "char_wb"}
        what = f"{grams.low} to {grams.high} letters of a word"
    else:
        options = {"token_pattern": r"(?u)\b\w+\b"}
        what = f"words{_UP_TO[grams.high]}"
    # counts that tell apart need neither a sign nor a length before TF-IDF
    counts = HashingVectorizer(
        n_features=HASHES,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
        ngram_range=(grams.low, grams.high),
        **options,
    )
    weigh = TfidfTransformer(sublinear_tf=grams.sublinear)
    vectors = weigh.fit_transform(counts.transform(texts))
    return vectors, lambda others: weigh.transform(counts.transform(others)), what


def _words(text: Text) -> Sequence[str]:
    return split_words(text) if isinstance(text, str) else text


def _last_words(texts: Sequence[Text], rank: dict[str, int]) -> NDArray[np.int32]:
    """Ranks of the last words that have one, ``int32[N, 20]``, padded in front."""
    blocks = []
    for some in in_blocks(texts, _AT_ONCE):
        rows = [[rank[word] for word in _words(text) if word in rank][-_WORDS:] for text in some]
        blocks.append(pad_sequences(rows, maxlen=_WORDS))
    return np.concatenate(blocks)
