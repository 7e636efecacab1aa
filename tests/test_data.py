"""The data sets: what they hold, the numbers everyone knows, and what malformed files say."""

from __future__ import annotations

import gzip
import os
import re
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data import Ragged, datasets, decode, pad_sequences, read_table, store
from sunhwan.data.words import PUNCTUATION, look_up_words, rank_words, split_words
from sunhwan.errors import DataError, ShapeError, UsageError
from sunhwan.keras.datasets import imdb, reuters

TRAIN = [
    ("a", 1, "The film, the BEST film!"),
    ("b", 0, "the worst"),
    ("c", 1, "It isn't the worst<br />film"),
    ("d", 0, "the end"),
]
TEST = [("e", 0, "the unseen film"), ("f", 1, "Best.")]
#: words of TRAIN by count, then by first appearance
RANKS = ["the", "film", "worst", "best", "it", "isn't", "br", "end"]


def _table(header, rows):
    return "".join("\t".join(map(str, row)) + "\n" for row in [header, *rows]).encode()


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content))
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder with a tiny IMDB and a tiny Reuters, and a cache of its own."""
    data = tmp_path / "data"
    for part, rows in (("train", TRAIN), ("test", TEST)):
        _write(data / f"imdb/{part}.tsv.gz", _table(("id", "label", "text"), rows))
    topics = ["earn", "acq", "lead", "cocoa"]
    stories = [(n, topics[n % 4], " ".join(["oil"] * (n + 1))) for n in range(15)]
    _write(data / "reuters/train.tsv.gz", _table(("id", "topic", "text"), stories[:12]))
    _write(data / "reuters/test.tsv.gz", _table(("id", "topic", "text"), stories[12:]))
    monkeypatch.setenv("SUNHWAN_DATA", str(data))
    monkeypatch.setenv("SUNHWAN_CACHE", str(tmp_path / "cache"))
    return data


# words


def test_words_are_lower_cased_and_punctuation_parts_them():
    assert split_words("Don't\tSTOP--now_or:never 10/10\u2028Ärger") == (
        ["don't", "stop", "now", "or", "never", "10", "10", "ärger"]
    )
    assert split_words(PUNCTUATION) == []


def test_ranks_go_by_count_then_by_first_appearance():
    rows, words = rank_words(["b a", "c c a b", "", "d b"])
    assert words == ["b", "a", "c", "d"]
    assert [row.tolist() for row in rows] == [[1, 2], [3, 3, 2, 1], [], [4, 1]]
    assert rows.flat.dtype == np.int32
    assert [row.tolist() for row in look_up_words(["d x a", "x"], words)] == [[4, 2], []]


# padding


def _padded_by_loops(rows, length, padding, truncating, value):
    lines = []
    for row in rows:
        line = list(row[-length:] if truncating == "pre" else row[:length])
        fill = [value] * (length - len(line))
        lines.append(fill + line if padding == "pre" else line + fill)
    return np.array(lines, np.int32)


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("length", [1, 3, 7, 20])
def test_padding_and_cutting_on_either_side(padding, truncating, length):
    random = np.random.default_rng(5)
    rows = [random.integers(1, 99, size=n).tolist() for n in (0, 1, 7, 3, 12, 0, 6)]
    expected = _padded_by_loops(rows, length, padding, truncating, -7)
    options = {"padding": padding, "truncating": truncating, "value": -7}
    for given in (rows, Ragged.from_rows(rows)):
        padded = pad_sequences(given, length, **options)
        assert padded.dtype == np.int32
        np.testing.assert_array_equal(padded, expected)


def test_padding_agrees_with_keras_on_vectors_and_takes_the_longest_by_default():
    import keras

    random = np.random.default_rng(6)
    rows = [random.normal(size=(n, 2)).astype(np.float32) for n in (3, 1, 5)]
    expected = keras.utils.pad_sequences(rows, dtype="float32", padding="post", value=0.5)
    padded = pad_sequences(rows, dtype="float32", padding="post", value=0.5)
    assert padded.shape == (3, 5, 2)
    np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize(
    ("rows", "options", "error", "says"),
    [
        ([[1]], {"padding": "left"}, UsageError, "`padding` must be 'pre' or 'post'.*'left'"),
        ([[1]], {"truncating": 1}, UsageError, "`truncating` must be 'pre' or 'post', received 1"),
        ([[1]], {"maxlen": 0}, UsageError, "`maxlen` must be at least 1, received 0"),
        ([[1], 2], {}, DataError, "row 1 must be a sequence of numbers, received 2"),
        ([[1], [], ["x"]], {}, DataError, "row 2 must be a sequence of numbers"),
        ([[1, 2], [[1, 2]]], {}, ShapeError, r"row 1 must have steps of shape \(\), .*\(2,\)"),
        ([[[1, 2], [1]]], {}, ShapeError, "row 0 must have steps of one shape"),
        ([[0.5]], {}, DataError, "float64 values, which `dtype` int32 cannot hold\nhint: pass"),
    ],
)
def test_padding_says_what_is_wrong(rows, options, error, says):
    with pytest.raises(error, match=says):
        pad_sequences(rows, **options)


# files


GOOD = b"id\tlabel\ttext\na\t1\tfine\nb\t0\tpoor\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "bad.tsv.gz: expected a header line, but the file is empty"),
        (b"id\tlabel\ttext\n", "bad.tsv.gz: expected rows after the header, but line 1 is"),
        (b"id\ttext\na\tfine\n", "bad.tsv.gz, line 1: expected a column `label`, received id"),
        (GOOD + b"c\t1\n", "bad.tsv.gz, line 4: expected 3 fields .* received 2"),
        (GOOD + b"c\t1\tx\ty\n", "bad.tsv.gz, line 4: expected 3 fields .* received 4"),
        (GOOD + b"\n", "bad.tsv.gz, line 4: expected 3 fields .* received 1"),
        (
            GOOD + b"c\t1\tcaf\xe9 au lait\n",
            "line 4: expected UTF-8, received byte 0xe9 at place 8",
        ),
        (GOOD + b"c\tone\tx\n", "line 4: `label` must be a whole number from 0 to 1.*'one'"),
        (GOOD + b"c\t2\tx\n", "line 4: `label` must be a whole number from 0 to 1, received '2'"),
    ],
)
def test_a_malformed_table_names_file_and_line(tmp_path, content, says):
    path = _write(tmp_path / "bad.tsv.gz", content)
    with pytest.raises(DataError, match=says):
        read_table(path, ["label", "text"]).integers("label", 0, 1)


def test_damaged_gzip_names_file_and_line(tmp_path):
    path = tmp_path / "bad.tsv.gz"
    noise = np.random.default_rng(7).integers(97, 123, 400_000).astype(np.uint8).tobytes()
    whole = gzip.compress(GOOD + b"c\t1\t" + noise + b"\n")
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"bad.tsv.gz, line 4: the gzip data is cut off"):
        read_table(path, ["text"])
    path.write_bytes(whole[:-8] + b"\0\0\0\0" + whole[-4:])
    with pytest.raises(DataError, match=r"line 5: the file cannot be read as gzip data .*CRC"):
        read_table(path, ["text"])
    path.write_bytes(GOOD)
    with pytest.raises(DataError, match=r"line 1: the file cannot be read as gzip data .*gzipped"):
        read_table(path, ["text"])
    with pytest.raises(DataError, match=r"none.tsv.gz: expected a file, but there is none"):
        read_table(tmp_path / "none.tsv.gz", ["text"])


def test_a_table_splits_lines_at_line_feeds_only(tmp_path):
    text = "one\u2028two\x85three\x0cfour"
    content = f"label\ttext\r\n1\t{text}\r\n0\t\r\n".encode()
    table = read_table(_write(tmp_path / "t.tsv.gz", content), ["label"])
    assert table["text"] == [text, ""]
    assert table.integers("label", 0, 1).tolist() == [1, 0]


def test_a_malformed_corpus_is_told_through_load(folder):
    _write(folder / "reuters/test.tsv.gz", b"id\ttopic\ttext\n1\tearn\tx\n2\tmoon\ty\n")
    with pytest.raises(DataError, match=r"test.tsv.gz, line 3: `topic` must be one of the 46 kno"):
        datasets.load("reuters")
    (folder / "reuters/test.tsv.gz").unlink()
    with pytest.raises(DataError, match=r"must hold train.tsv.gz and .*but lacks test.tsv.gz"):
        reuters.load_data()


def test_the_data_folder_must_be_one(tmp_path, monkeypatch):
    monkeypatch.setenv("SUNHWAN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="`SUNHWAN_DATA` must name a folder, received"):
        datasets.load("imdb")


# the conventions of Keras


def _rows(parts):
    return [sorted(zip(map(tuple, x), y.tolist(), strict=True)) for x, y in parts]


def test_the_numbers_everyone_knows(folder):
    assert imdb.get_word_index() == {word: rank for rank, word in enumerate(RANKS, 1)}
    train, test = imdb.load_data()
    assert isinstance(train[0][0], list)
    assert train[0].dtype == object
    assert train[1].dtype == np.int64
    # 1 starts, the word of rank r is r + 3, and words that train lacks are left out
    assert _rows([train, test]) == [
        [((1, 4, 5, 4, 7, 5), 1), ((1, 4, 6), 0), ((1, 4, 11), 0), ((1, 8, 9, 4, 6, 10, 5), 1)],
        [((1, 4, 5), 0), ((1, 7), 1)],
    ]


def _ranked(rng, lengths):
    rows = [rng.integers(1, 40, size=n).tolist() for n in lengths]
    return np.fromiter(rows, dtype=object, count=len(rows))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_words": 17, "skip_top": 6},
        {"num_words": 30, "oov_char": None, "start_char": None, "seed": 5},
        {"num_words": 30, "maxlen": 9, "index_from": 0},
        {"num_words": 30, "maxlen": 9, "start_char": None, "seed": 1},
    ],
)
@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_keras_gives_the_same_rows_for_the_same_ranks(name, options, tmp_path, monkeypatch):
    """Two copies of the same ranks, ours from a folder and Keras's own file, give equal rows."""
    import keras

    rng = np.random.default_rng(8)
    # 39 words, of which the last is used once: Keras drops the highest number unless told more
    parts = {"train": _ranked(rng, range(2, 20)), "test": _ranked(rng, range(1, 12))}
    labels = {part: rng.integers(0, 2, size=len(rows)) for part, rows in parts.items()}
    arrays = {f"{a}_{part}": v[part] for part in parts for a, v in (("x", parts), ("y", labels))}
    if name == "reuters":
        # Keras's own file has one part, and the split is made after the shuffle
        options = {"test_split": 0.3, **options}
        arrays = {k: np.concatenate([arrays[f"{k}_{p}"] for p in parts]) for k in "xy"}
    np.savez(tmp_path / "stock.npz", **arrays)
    stock = getattr(keras.datasets, name).load_data
    monkeypatch.setitem(stock.__globals__, "get_file", lambda **_: str(tmp_path / "stock.npz"))
    expected = stock(**{"num_words": 99, **options})

    mine = {"imdb": imdb, "reuters": reuters}[name].load_data
    monkeypatch.delenv("SUNHWAN_DATA", raising=False)
    downloaded = mine(**options)
    ranks = {part: Ragged.from_rows(rows) for part, rows in parts.items()}
    prepared = {f"y_{part}": labels[part] for part in parts}
    for part, rows in ranks.items():
        prepared |= {f"x_{part}": rows.flat.astype(np.int32), f"offsets_{part}": rows.offsets}
    monkeypatch.setattr(store, "find", lambda name, files: [])
    monkeypatch.setattr(store, "remember", lambda *_: prepared)
    for received in (downloaded, mine(**options)):
        for (x, y), (x_stock, y_stock) in zip(received, expected, strict=True):
            assert x.tolist() == list(map(list, x_stock))
            assert y.tolist() == list(y_stock)


def test_rows_of_one_length_stay_lists(folder):
    for part in ("train", "test"):
        rows = [("x", 0, "two words"), ("y", 1, "two words")]
        _write(folder / f"imdb/{part}.tsv.gz", _table(("id", "label", "text"), rows))
    (x, _), _ = imdb.load_data()
    assert x.shape == (2,)
    assert x[1] == [1, 4, 5]


def test_decoding_gives_the_words_back(folder):
    data = datasets.load("imdb", maxlen=9, num_words=10)
    texts = {data.decode(row) for row in data.train.x}
    assert texts == {
        "[START] the film the best film",
        "[START] the worst",
        "[START] the [OOV]",
        "[START] it isn't the worst [OOV] film",
    }
    words = {"the": 1, "end": 2}
    assert (
        decode(np.array([1, 2]), words, start_char=None, oov_char=None, index_from=0) == "the end"
    )
    with pytest.raises(UsageError, match=r"step 1 of the row .* received 77"):
        decode([4, 77], words)


# load


def test_load_pads_and_names_its_parts(folder):
    data = datasets.load("imdb", maxlen=4, padding="post", truncating="post")
    assert data.train.x.dtype == np.int32
    assert data.train.x.shape == (4, 4)
    assert sorted(data.test.x.tolist()) == [[1, 4, 5, 0], [1, 7, 0, 0]]
    assert data.labels == ("negative", "positive")
    x, y = datasets.load("imdb", "test", maxlen=4)
    assert sorted(x.tolist()) == [[0, 0, 1, 7], [0, 1, 4, 5]]
    assert y[x[:, 1] == 1].tolist() == [0]
    assert datasets.load("imdb").train.x.dtype == object


def test_the_order_follows_the_seed(folder):
    first, again, other = (datasets.load("reuters", "train", seed=s) for s in (3, 3, 4))
    assert [first.x.tolist(), first.y.tolist()] == [again.x.tolist(), again.y.tolist()]
    assert first.x.tolist() != other.x.tolist()
    assert sorted(first.x.tolist()) == sorted(other.x.tolist())


def test_reuters_keeps_the_folders_split_unless_told(folder):
    usual, half = datasets.load("reuters"), datasets.load("reuters", test_split=0.4)
    assert [len(usual.train.x), len(usual.test.x)] == [12, 3]
    assert sorted(map(len, usual.test.x)) == [14, 15, 16]
    assert [len(half.train.x), len(half.test.x)] == [9, 6]
    assert sorted(map(len, [*half.train.x, *half.test.x])) == list(range(2, 17))
    # the label goes with its story: n + 1 words of topic n % 4
    topics = [usual.labels.index(topic) for topic in ("earn", "acq", "lead", "cocoa")]
    for x, y in (usual.train, half.train, half.test):
        assert [topics[(len(row) - 2) % 4] for row in x] == y.tolist()
    with pytest.raises(UsageError, match="`test_split` must be a share from 0 to 1, received 20"):
        reuters.load_data(test_split=20)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: datasets.load("imbd"), "no data set 'imbd'; did you mean 'imdb'"),
        (lambda: datasets.load("mnist"), "there are imdb, reuters, multiplication, counting"),
        (lambda: datasets.load("imdb", "val"), "`split` must be 'train', 'test' or None.*'val'"),
        (lambda: datasets.load("imdb", maxlength=3), "option of imdb .*did you mean 'maxlen'"),
        (lambda: datasets.load("imdb", test_split=0.5), "there is no option of imdb 'test_split'"),
        (lambda: datasets.load("counting", seed=1), "option of counting 'seed'; there are none"),
        (lambda: datasets.load("imdb", num_words=0), "`num_words` must be at least 1, received 0"),
        (lambda: imdb.load_data(maxlen=2), "`maxlen` must leave some rows"),
        (lambda: datasets.load("multiplication", steps=1), "`steps` must be at least 2"),
        (lambda: datasets.load("multiplication", sequences=6), "`sequences` must be at least 7"),
        (lambda: datasets.load("counting").decode([4]), "counting holds numbers"),
    ],
)
def test_a_wrong_call_is_told_in_one_sentence(folder, call, says):
    with pytest.raises(UsageError, match=says):
        call()


# cache and download


def test_the_cache_is_used_rebuilt_when_broken_and_follows_the_source(folder, tmp_path):
    before = datasets.load("imdb", maxlen=5).train.x
    (kept,) = (tmp_path / "cache").iterdir()
    whole = kept.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:150] + bytes([whole[150] ^ 1]) + whole[151:]
    for broken in (b"", b"no archive", whole[:middle], flipped):
        kept.write_bytes(broken)
        np.testing.assert_array_equal(datasets.load("imdb", maxlen=5).train.x, before)
        assert kept.stat().st_size == len(whole)
    time = kept.stat().st_mtime_ns
    datasets.load("imdb")
    assert kept.stat().st_mtime_ns == time
    _write(folder / "imdb/test.tsv.gz", _table(("id", "label", "text"), TEST[:1]))
    assert len(datasets.load("imdb", "test").x) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_cache_that_cannot_be_written_warns_and_loads(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SUNHWAN_CACHE", str(tmp_path / "file/below"))
    with pytest.warns(RuntimeWarning, match="cannot be written .*`SUNHWAN_CACHE`"):
        assert len(datasets.load("imdb", "train").x) == 4


def test_the_cache_lies_in_the_users_cache_folder(monkeypatch):
    monkeypatch.delenv("SUNHWAN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert store.cache_folder() == Path("/somewhere/sunhwan")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert store.cache_folder() == Path.home() / ".cache/sunhwan"


@pytest.mark.parametrize(
    "call",
    [lambda: datasets.load("imdb"), reuters.load_data, imdb.get_word_index],
    ids=["load", "load_data", "get_word_index"],
)
def test_no_folder_and_no_network_is_one_sentence(call, tmp_path, monkeypatch):
    monkeypatch.delenv("SUNHWAN_DATA", raising=False)
    # an empty cache, and a proxy at a port of this machine where nobody listens
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr(urllib.request, "_opener", None)
    with pytest.raises(DataError) as caught:
        call()
    sentence, hint = str(caught.value).split("\n")
    assert re.match(r"(imdb|reuters) could not be downloaded, and `SUNHWAN_DATA` names", sentence)
    assert "set SUNHWAN_DATA to a folder" in hint
    assert not list(tmp_path.rglob("*.npz"))


def test_a_download_with_the_wrong_content_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("SUNHWAN_DATA", raising=False)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    fake = "keras.src.utils.file_utils.urlretrieve"
    monkeypatch.setattr(fake, lambda url, path, *_: Path(path).write_bytes(b"not the data"))
    with pytest.raises(DataError, match=r"could not be downloaded.*Incomplete or corrupted"):
        imdb.load_data()


# numbers


def test_multiplication_marks_two_steps_and_wants_their_product():
    data = datasets.load("multiplication", seed=3)
    assert data.train.x.shape == (2560, 100, 2)
    assert data.test.x.shape == (440, 100, 2)
    assert {data.train.x.dtype, data.train.y.dtype} == {np.dtype(np.float32)}
    for x, y in (data.train, data.test):
        marks, numbers = x[..., 0], x[..., 1]
        assert set(np.unique(marks)) == {0.0, 1.0}
        assert set(marks.sum(axis=1)) == {2.0}
        assert 0 <= numbers.min() < 0.001
        assert 0.999 < numbers.max() < 1
        np.testing.assert_array_equal(numbers[marks == 1].reshape(-1, 2).prod(axis=1), y)
    # 5,120 marks on 100 steps: 51.2 each, with a standard deviation of 7.1
    share = data.train.x[..., 0].sum(axis=0)
    assert share.min() > 51.2 - 5 * 7.1
    assert share.max() < 51.2 + 5 * 7.1


def test_multiplication_follows_its_seed():
    first, again, other = (datasets.load("multiplication", "test", seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.x, again.x)
    assert not np.array_equal(first.y, other.y)
    data = datasets.load("multiplication", sequences=7, steps=2)
    assert data.train.x.shape == (6, 2, 2)
    assert np.all(data.train.x[..., 0] == 1)


def test_counting_is_the_six_windows():
    data = datasets.load("counting")
    rows = np.float32(
        [
            [0.0, 0.1, 0.2, 0.3, 0.4],
            [0.1, 0.2, 0.3, 0.4, 0.5],
            [0.2, 0.3, 0.4, 0.5, 0.6],
            [0.3, 0.4, 0.5, 0.6, 0.7],
            [0.4, 0.5, 0.6, 0.7, 0.8],
            [0.5, 0.6, 0.7, 0.8, 0.9],
        ]
    )
    assert data.train.x.shape == (6, 4, 1)
    np.testing.assert_array_equal(data.train.x[..., 0], rows[:, :4])
    np.testing.assert_array_equal(data.train.y, rows[:, 4])
    beyond = np.float32([[0.6, 0.7, 0.8, 0.9], [-0.1, 0, 0.1, 0.2]])
    np.testing.assert_array_equal(data.test.x[..., 0], beyond)
    np.testing.assert_array_equal(data.test.y, np.float32([1.0, 0.3]))


# the real thing

needs_data = pytest.mark.skipif(
    not os.environ.get("SUNHWAN_DATA"), reason="SUNHWAN_DATA names no folder with the real data"
)


@needs_data
def test_real_imdb_has_the_well_known_ranks(tmp_path, monkeypatch):
    monkeypatch.setenv("SUNHWAN_CACHE", str(tmp_path))
    data = datasets.load("imdb", num_words=10000, maxlen=500)
    for word, rank in {"the": 1, "br": 7, "this": 11, "film": 19}.items():
        assert abs(data.word_index[word] - rank) <= 2
    for x, y in (data.train, data.test):
        assert x.shape == (25000, 500)
        assert 4 < x.max() < 10000
        assert y.sum() == 12500
    assert data.decode(data.train.x[(data.train.x == 1).any(axis=1)][0]).startswith("[START] ")


@needs_data
def test_real_reuters_has_the_well_known_sizes(tmp_path, monkeypatch):
    monkeypatch.setenv("SUNHWAN_CACHE", str(tmp_path))
    (x_train, y_train), (x_test, y_test) = reuters.load_data(num_words=10000)
    assert [len(x_train), len(x_test)] == [8982, 2246]
    assert set(y_train) == set(y_test) | set(y_train) == set(range(46))
    # the two largest topics of the well-known file, "earn" and "acq", have these sizes there
    counts = np.bincount(np.concatenate([y_train, y_test]))
    assert [counts[3], counts[4]] == [3972, 2423]
    assert max(map(max, x_train)) == 9999
