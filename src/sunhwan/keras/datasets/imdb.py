"""25,000 film reviews to train and 25,000 to test, 0 negative and 1 positive."""

from __future__ import annotations

from sunhwan.data import corpora
from sunhwan.data.indices import Split
from sunhwan.data.indices import load_data as _load_data


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Split, Split]:
    """`keras.datasets.imdb.load_data`, from the folder that `SUNHWAN_DATA` names if it has it.

    Parameters
    ----------
    path
        The name of the downloaded file in Keras's cache; not used with the folder.
    num_words, skip_top, maxlen, seed, start_char, oov_char, index_from
        See `sunhwan.data.indices.load_data`.

    Returns
    -------
    tuple
        ``(x_train, y_train), (x_test, y_test)``: `x` is ``object[25000]`` of lists of int, `y`
        is ``int64[25000]``. 1 starts a text, 2 is a word left out, words from 4.

    Raises
    ------
    DataError
        A file is malformed, or there is neither a folder nor a network.
    """
    marks = (start_char, oov_char, index_from)
    return _load_data("imdb", num_words, skip_top, maxlen, seed, *marks, path=path)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Each word and its rank from 1. The number in `x` is larger by `index_from`.

    `sunhwan.data.decode` turns a row back into text.
    """
    return corpora.find("imdb", path).ranks()
