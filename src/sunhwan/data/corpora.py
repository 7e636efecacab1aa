"""IMDB reviews and Reuters newswires as ranks of words: from the data folder, else downloaded.

From the folder that `SUNHWAN_DATA` names, texts are split into words and ranked by their count in
the training file, once; the cache keeps the outcome. Without the folder, Keras downloads the files
that it has always used, checks them against its own checksums, and keeps them in its own cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sunhwan.data import store
from sunhwan.data.padding import Ragged
from sunhwan.data.table import Table, read_table
from sunhwan.data.words import look_up_words, rank_words
from sunhwan.errors import DataError, UsageError

#: the order of the rows that everyone knows
SEED = 113
#: the share of test rows that leaves Reuters in its usual parts of 8,982 and 2,246
USUAL_SPLIT = 0.2

_FILES = ("train.tsv.gz", "test.tsv.gz")
_CACHED = (
    *("words", "x_train", "offsets_train", "y_train"),
    *("x_test", "offsets_test", "y_test"),
)
#: larger than any rank, so that Keras leaves out no word
_EVERY_WORD = 2**31


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of a corpus: `x` ``int32`` ranks of the words from 1, `y` ``int64[N]`` labels."""

    x: Ragged
    y: NDArray[np.int64]

    def take(self, order: NDArray[np.int64]) -> Part:
        """The rows numbered in `order`, in that order."""
        return Part(self.x.take(order), self.y[order])


class Corpus(Protocol):
    """What can be asked of a corpus, wherever it comes from."""

    def parts(self, seed: int, test_split: float, longest: int | None) -> tuple[Part, Part]:
        """The training and the test rows, in the order that Keras gives them.

        Parameters
        ----------
        seed
            NumPy's `RandomState` of this seed shuffles train, then test.
        test_split
            Anything but 0.2 puts both parts together, shuffles, and takes this share from the end
            for the test. Only Reuters has a choice.
        longest
            Rows with more words are left out first; ``None`` keeps all.
        """
        ...

    def ranks(self) -> dict[str, int]:
        """Each word and its rank from 1."""
        ...


def find(name: str, path: str | None = None) -> Corpus:
    """The corpus ``"imdb"`` or ``"reuters"``: from the data folder if it has it, else from Keras.

    `path` is the name of the downloaded file in Keras's cache.

    Raises
    ------
    DataError
        The folder is no folder or lacks a file. What `find` returns raises it too: for a malformed
        file, or where a download fails.
    """
    files = store.find(name, _FILES)
    if files is None:
        return _KerasCorpus(name, path)
    return _FolderCorpus(name, files)


def label_names(name: str) -> tuple[str, ...]:
    """What the labels 0, 1, ... of a corpus stand for."""
    if name == "imdb":
        return ("negative", "positive")
    return tuple(_keras(name).get_label_names())


class _FolderCorpus:
    def __init__(self, name: str, files: list[Path]) -> None:
        # a change to how words are made needs a new number here, or old cache files would be used
        key = f"{name}-words1-{store.checksum(files)[:24]}"
        self._arrays = store.remember(key, _CACHED, lambda: _prepare(name, files))

    def parts(self, seed: int, test_split: float, longest: int | None) -> tuple[Part, Part]:
        random = np.random.RandomState(seed)
        train, test = self._part("train"), self._part("test")
        if test_split == USUAL_SPLIT:
            first, second = (_short(_mixed(part, random), longest) for part in (train, test))
            return first, second
        together = Part(train.x.join(test.x), np.concatenate([train.y, test.y]))
        rows = _short(_mixed(together, random), longest)
        numbers = np.arange(len(rows.y))
        cut = int(len(numbers) * (1 - test_split))
        return rows.take(numbers[:cut]), rows.take(numbers[cut:])

    def ranks(self) -> dict[str, int]:
        words = self._arrays["words"].tobytes().decode("utf-8").split("\n")
        return {word: rank for rank, word in enumerate(words, 1)}

    def _part(self, part: str) -> Part:
        arrays = self._arrays
        return Part(Ragged(arrays[f"x_{part}"], arrays[f"offsets_{part}"]), arrays[f"y_{part}"])


class _KerasCorpus:
    def __init__(self, name: str, path: str | None) -> None:
        self._name = name
        self._path = {} if path is None else {"path": path}

    def parts(self, seed: int, test_split: float, longest: int | None) -> tuple[Part, Part]:
        # with none of the marks that Keras adds: plain ranks
        options: dict[str, Any] = {
            "num_words": _EVERY_WORD,
            "seed": seed,
            "start_char": None,
            "oov_char": None,
            "index_from": 0,
            # Keras leaves out rows that have as many words as `maxlen`, or more
            "maxlen": None if longest is None else longest + 1,
        }
        if self._name == "reuters":
            options["test_split"] = test_split
        load = _keras(self._name).load_data
        train, test = (
            Part(Ragged.from_rows(np.array(row, np.int32) for row in x), np.array(y, np.int64))
            for x, y in self._fetch(load, options)
        )
        return train, test

    def ranks(self) -> dict[str, int]:
        ranks: dict[str, int] = self._fetch(_keras(self._name).get_word_index, {})
        return ranks

    def _fetch(self, load: Callable[..., Any], options: dict[str, Any]) -> Any:
        """Call a function of Keras that downloads, and say in one sentence that it could not."""
        try:
            return load(**self._path, **options)
        except Exception as error:
            # Keras raises a plain Exception where an address does not answer, and a ValueError
            # that begins as below where a checksum differs; the rest is no matter of the network
            unreachable = type(error) is Exception or isinstance(error, OSError | HTTPException)
            if not unreachable and not str(error).startswith("Incomplete or corrupted file"):
                raise
            raise DataError(
                f"{self._name} could not be downloaded, and `SUNHWAN_DATA` names no folder that "
                f"has it: {error}",
                hint="connect to the network, or set SUNHWAN_DATA to a folder that holds "
                + " and ".join(f"{self._name}/{file}" for file in _FILES),
            ) from error


def _keras(name: str) -> ModuleType:
    # here and not above: importing Keras takes seconds that a reader of the folder need not spend
    import keras

    module: ModuleType = getattr(keras.datasets, name)
    return module


def _prepare(name: str, files: list[Path]) -> store.Arrays:
    label = {"imdb": "label", "reuters": "topic"}[name]
    train, test = (read_table(file, [label, "text"]) for file in files)
    x_train, words = rank_words(train["text"])
    x_test = look_up_words(test["text"], words)
    return {
        "x_train": x_train.flat,
        "offsets_train": x_train.offsets,
        "y_train": _labels(name, train),
        "x_test": x_test.flat,
        "offsets_test": x_test.offsets,
        "y_test": _labels(name, test),
        # one text, for an array of strings would give each word the room of the longest
        "words": np.frombuffer("\n".join(words).encode("utf-8"), np.uint8),
    }


def _labels(name: str, table: Table) -> NDArray[np.int64]:
    if name == "imdb":
        return table.integers("label", 0, 1)
    return table.codes("topic", label_names(name))


def _mixed(part: Part, random: np.random.RandomState) -> Part:
    order = np.arange(len(part.y))
    random.shuffle(order)
    return part.take(order)


def _short(part: Part, longest: int | None) -> Part:
    if longest is None:
        return part
    return part.take(np.flatnonzero(part.x.lengths <= longest))


def read(
    corpus: Corpus,
    seed: int = SEED,
    test_split: float = USUAL_SPLIT,
    longest: int | None = None,
) -> tuple[Part, Part]:
    """The parts of a corpus, see `Corpus.parts`, with the arguments checked.

    Raises
    ------
    UsageError
        `test_split` is no share, or `longest` leaves no row.
    """
    if not 0 <= test_split <= 1:
        raise UsageError(f"`test_split` must be a share from 0 to 1, received {test_split}")
    train, test = corpus.parts(seed, test_split, longest)
    if not len(train.x) + len(test.x):
        raise UsageError("`maxlen` must leave some rows, but all are as long or longer")
    return train, test
