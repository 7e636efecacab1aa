"""8,982 newswires of 46 topics to train and 2,246 to test."""

from __future__ import annotations

from keras.datasets.reuters import get_label_names as get_label_names

from sunhwan.data import corpora
from sunhwan.data.indices import Split
from sunhwan.data.indices import load_data as _load_data


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Split, Split]:
    """`keras.datasets.reuters.load_data`, from the folder that `SUNHWAN_DATA` names if it has it.

    Parameters
    ----------
    path
        The name of the downloaded file in Keras's cache; not used with the folder.
    test_split
        With the folder, 0.2 keeps its own two parts, which have the usual sizes; any other share
        puts both together, shuffles them, and takes the test from the end, as Keras does.
    num_words, skip_top, maxlen, seed, start_char, oov_char, index_from
        See `sunhwan.data.indices.load_data`.

    Returns
    -------
    tuple
        ``(x_train, y_train), (x_test, y_test)``: `x` is ``object[N]`` of lists of int, `y` is
        ``int64[N]``. 1 starts a text, 2 is a word left out, words from 4.

    Raises
    ------
    UsageError
        `test_split` is no share.
    DataError
        A file is malformed, or there is neither a folder nor a network.
    """
    marks = (start_char, oov_char, index_from)
    return _load_data(
        "reuters", num_words, skip_top, maxlen, seed, *marks, test_split=test_split, path=path
    )


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Each word and its rank from 1. The number in `x` is larger by `index_from`.

    `sunhwan.data.decode` turns a row back into text.
    """
    return corpora.find("reuters", path).ranks()
