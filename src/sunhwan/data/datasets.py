"""`sunhwan.datasets`: the named data sets, ready for a model."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, overload

from numpy.typing import NDArray

from sunhwan.data import corpora, indices, synthetic
from sunhwan.data.indices import Split
from sunhwan.data.padding import Ragged, pad_sequences
from sunhwan.errors import UsageError


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in its two parts.

    Attributes
    ----------
    name
        What `load` was asked for.
    train, test
        Rows `x` and targets `y`.
    word_index
        Each word and its rank from 1, as `keras.datasets` gives it; the number in `x` is larger
        by 3. Empty where there are no words.
    labels
        What the labels 0, 1, ... in `y` stand for. Empty where `y` is a number to be met.
    """

    name: str
    train: Split
    test: Split
    word_index: dict[str, int] = field(default_factory=dict, repr=False)
    labels: tuple[str, ...] = ()

    def decode(self, row: Iterable[int]) -> str:
        """The text of one row of `x`, with ``[START]`` and ``[OOV]``, without what pads it.

        Raises
        ------
        UsageError
            The data set is none of texts, or a number stands for no word.
        """
        if not self.word_index:
            raise UsageError(f"`decode` needs a data set of texts, but {self.name} holds numbers")
        return indices.decode(row, self.word_index)


@overload
def load(name: str, split: None = None, **options: Any) -> Dataset: ...
@overload
def load(name: str, split: Literal["train", "test"], **options: Any) -> Split: ...
def load(name: str, split: str | None = None, **options: Any) -> Dataset | Split:
    """Load a data set by its name.

    Texts come from the folder that `SUNHWAN_DATA` names, else they are downloaded, checked and
    cached. Numbers are made here.

    Parameters
    ----------
    name
        ``"imdb"``: 25,000 film reviews to train and 25,000 to test, 0 negative, 1 positive.
        ``"reuters"``: 8,982 and 2,246 newswires of 46 topics.
        ``"multiplication"``: the product of two marked numbers; see `synthetic.multiplication`.
        ``"counting"``: the next number; see `synthetic.counting`.
    split
        ``"train"`` or ``"test"`` for that part alone.
    **options
        ``"imdb"`` and ``"reuters"``: `num_words` (numbers from this on become 2), `skip_top`
        (numbers below this become 2), `maxlen` (pad or cut to this length; Keras's `load_data`
        leaves longer rows out instead), `padding` and `truncating` (``"pre"`` or ``"post"``),
        `seed` (of the order of the rows, 113); ``"reuters"`` also `test_split` (0.2).
        ``"multiplication"``: `sequences`, `steps`, `seed`.

    Returns
    -------
    Dataset or Split
        Texts: `x` is ``int32[N, maxlen]``, or ``object[N]`` of lists of int without `maxlen`; `y`
        is ``int64[N]``. 0 pads, 1 starts a text, 2 is a word left out, words from 4. Numbers: `x`
        is ``float32[N, T, D]`` and `y` is ``float32[N]``.

    Raises
    ------
    UsageError
        No such data set, part or option.
    DataError
        A file is malformed, or there is neither a folder nor a network.

    Examples
    --------
    >>> data = load("multiplication", sequences=30, steps=5)
    >>> data.train.x.shape, data.test.x.shape
    ((26, 5, 2), (4, 5, 2))
    >>> x, y = load("counting", "train")
    >>> x.shape, y.shape
    ((6, 4, 1), (6,))
    """
    if name not in _LOADERS:
        raise UsageError(_no_such("data set", name, list(_LOADERS)))
    if split not in (None, "train", "test"):
        raise UsageError(f"`split` must be 'train', 'test' or None, received {split!r}")
    known = list(inspect.signature(_LOADERS[name]).parameters)
    for option in options:
        if option not in known:
            raise UsageError(_no_such(f"option of {name}", option, known))
    data = _LOADERS[name](**options)
    if split is None:
        return data
    return data.train if split == "train" else data.test


def _imdb(
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    padding: str = "pre",
    truncating: str = "pre",
    seed: int = corpora.SEED,
) -> Dataset:
    form = _Form(num_words, skip_top, maxlen, padding, truncating)
    return form.of("imdb", seed, corpora.USUAL_SPLIT)


def _reuters(
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    padding: str = "pre",
    truncating: str = "pre",
    seed: int = corpora.SEED,
    test_split: float = corpora.USUAL_SPLIT,
) -> Dataset:
    form = _Form(num_words, skip_top, maxlen, padding, truncating)
    return form.of("reuters", seed, test_split)


@dataclass(frozen=True)
class _Form:
    """How the rows of a corpus of texts are to come out."""

    num_words: int | None
    skip_top: int
    maxlen: int | None
    padding: str
    truncating: str

    def of(self, name: str, seed: int, test_split: float) -> Dataset:
        corpus = corpora.find(name)
        parts = corpora.read(corpus, seed, test_split)
        train, test = (Split(self._rows(part.x), part.y) for part in parts)
        return Dataset(name, train, test, corpus.ranks(), corpora.label_names(name))

    def _rows(self, ranks: Ragged) -> NDArray[Any]:
        rows = indices.to_indices(ranks, self.num_words, self.skip_top)
        if self.maxlen is None:
            return rows.lists()
        return pad_sequences(rows, self.maxlen, "int32", self.padding, self.truncating)


def _multiplication(
    sequences: int = synthetic.SEQUENCES, steps: int = 100, seed: int = 0
) -> Dataset:
    return Dataset("multiplication", *synthetic.multiplication(sequences, steps, seed))


def _counting() -> Dataset:
    return Dataset("counting", *synthetic.counting())


_LOADERS: dict[str, Callable[..., Dataset]] = {
    "imdb": _imdb,
    "reuters": _reuters,
    "multiplication": _multiplication,
    "counting": _counting,
}


def _no_such(kind: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"there is no {kind} {name!r}; did you mean {close[0]!r}?"
    return f"there is no {kind} {name!r}; there are {', '.join(known) or 'none'}"
