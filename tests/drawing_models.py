"""Models to be drawn: a name, what builds each, and the structure that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import Input, Model, Sequential
from keras.layers import Concatenate, Conv1D, Dense, Dropout, RepeatVector, TimeDistributed

from sunhwan.layers import GRU, LSTM, Bidirectional, Embedding, SimpleRNN
from sunhwan.tasks.caption_network import CaptionNetwork
from sunhwan.tasks.forecasting import build_forecaster
from sunhwan.tasks.language_network import LanguageNetwork
from sunhwan.tasks.networks import Network
from sunhwan.tasks.translate_network import TranslateNetwork

MANY_TO_ONE, MANY_TO_MANY = "many to one", "many to many"


def reviews() -> Any:
    return Sequential(
        [Input((500,), dtype="int32"), Embedding(10_000, 32), LSTM(32), Dense(1)], name="reviews"
    )


def letters() -> Any:
    lstm = [LSTM(7, return_sequences=True) for _ in range(2)]
    return Sequential([Input((None, 46)), *lstm, TimeDistributed(Dense(46))])


def tagger() -> Any:
    both = Bidirectional(GRU(6, return_sequences=True), merge_mode="sum")
    return Sequential([Input((None,), dtype="int32"), Embedding(50, 8), both, Dense(17)])


def both_ends() -> Any:
    return Sequential([Input((12, 3)), Bidirectional(LSTM(5)), Dropout(0.5), Dense(4)])


def from_one() -> Any:
    return Sequential([Input((8,)), RepeatVector(5), GRU(6, return_sequences=True), Dense(3)])


def encoder_decoder() -> Any:
    source, target = Input((None, 71), name="source"), Input((None, 93), name="target")
    _, h, c = LSTM(25, return_state=True, name="encoder")(source)
    decoder = LSTM(25, return_sequences=True, return_state=True, name="decoder")
    steps, _, _ = decoder(target, initial_state=[h, c])
    return Model([source, target], Dense(93)(steps))


def from_image() -> Any:
    image, words = Input((512,), name="image"), Input((None,), dtype="int32", name="words")
    begin = Dense(32, name="begin")(image)
    steps = GRU(32, return_sequences=True)(Embedding(50, 16)(words), initial_state=begin)
    return Model([image, words], Dense(50)(steps))


def stateful() -> Any:
    layers = [SimpleRNN(8, stateful=True, return_sequences=True), Dense(1)]
    return Sequential([Input(batch_shape=(1, 4, 2)), *layers])


def single_step() -> Any:
    return Sequential([Input((1, 5)), SimpleRNN(4), Dense(3)])


def backwards() -> Any:
    layers = [GRU(4, go_backwards=True, return_sequences=True), GRU(3, return_sequences=True)]
    return Sequential([Input((7, 5)), *layers])


def twins() -> Any:
    """Two texts and a vector, whose readers share their weights."""
    one, other = (Input((30,), dtype="int32", name=name) for name in ("one", "other"))
    table, lstm, facts = Embedding(99, 8), LSTM(16), Input((6,), name="facts")
    joined = Concatenate()([lstm(table(one)), lstm(table(other)), facts])
    return Model([one, other, facts], [Dense(1, name="a")(joined), Dense(3, name="b")(joined)])


def three_inputs() -> Any:
    given = [Input((20, 2), name=f"input_{number}") for number in range(3)]
    return Model(given, Dense(1)(Concatenate()([GRU(3)(one) for one in given])))


def nested() -> Any:
    given = Input((30, 4))
    inner = Model(given, [GRU(4)(given), keras.ops.mean(given, axis=1)])
    ids = Input((30,), dtype="int32")
    last, mean = inner(Sequential([Input((30,)), Embedding(9, 4)])(ids))
    return Model(ids, {"last": Dense(1)(last), "mean": mean})


def odd_layers() -> Any:
    """Windows, attention, cells of Keras's own, a residual, a function, and a pair of outputs."""
    given = Input((40, 4))
    cells = keras.layers.StackedRNNCells([keras.layers.LSTMCell(4), keras.layers.GRUCell(3)])
    x = keras.layers.RNN(cells, return_sequences=True)(Conv1D(4, 3, strides=2)(given))
    x = keras.layers.Add()([x, keras.layers.MultiHeadAttention(2, 3)(x, x)])
    there, back = Bidirectional(GRU(3, return_sequences=True), merge_mode=None)(x)
    last = keras.layers.Lambda(lambda steps: steps[:, -1], output_shape=(3,))(back)
    return Model(given, [there, last])


def one_after_another() -> Any:
    """Layers that begin with the last states of one beside them, in both directions."""
    given = Input((9, 8))
    _, h = GRU(4, return_state=True, go_backwards=True)(given)
    there, back = GRU(4), GRU(4, go_backwards=True, return_sequences=True)
    return Model(given, [there(given, initial_state=h), back(given, initial_state=h)])


def network(**options: Any) -> Any:
    usual: dict[str, Any] = {
        "inputs": "ids", "vocabulary": (60,), "outputs": 3, "per_step": False, "cell": "lstm",
        "units": 6, "num_layers": 2, "bidirectional": False, "embedding": 5, "pooling": "last",
        "dropout": 0.2, "recurrent_dropout": 0,
    }  # fmt: skip
    return Network(**{**usual, **options}).build()


def language() -> Any:
    sizes: dict[str, Any] = {"ids": 60, "cell": "lstm", "units": 6, "num_layers": 2}
    return LanguageNetwork(**sizes, embedding=5, dropout=0.1, recurrent_dropout=0)


def carried() -> Any:
    return language().learning(language().build(), 4, 32)


def translator(**options: Any) -> Any:
    usual: dict[str, Any] = {
        "source_ids": 80, "target_ids": 90, "cell": "lstm", "units": 6, "num_layers": 2,
        "embedding": 5, "dropout": 0.1, "attention": "additive", "shared": False,
    }  # fmt: skip
    return TranslateNetwork(**{**usual, **options}).build()


def captioner() -> Any:
    return CaptionNetwork(
        target_ids=30, cell="gru", units=6, num_layers=1, embedding=5, dropout=0.1,
        attention="additive", height=32, width=48, filters=(8, 16),
    ).build().whole  # fmt: skip


def forecaster() -> Any:
    return build_forecaster(input_length=24, features=2, future_features=3, horizon=12)


MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "reviews": (reviews, MANY_TO_ONE),
    "letters": (letters, MANY_TO_MANY),
    "tagger": (tagger, MANY_TO_MANY),
    "both ends": (both_ends, MANY_TO_ONE),
    "from one": (from_one, "one to many"),
    "encoder and decoder": (encoder_decoder, MANY_TO_MANY),
    "from an image": (from_image, "one to many"),
    "stateful": (stateful, MANY_TO_MANY),
    "a single step": (single_step, "one to one"),
    "backwards": (backwards, MANY_TO_MANY),
    "twins": (twins, MANY_TO_ONE),
    "three inputs": (three_inputs, MANY_TO_ONE),
    "nested": (nested, MANY_TO_ONE),
    "odd layers": (odd_layers, MANY_TO_MANY),
    "one after another": (one_after_another, MANY_TO_MANY),
    "classes": (lambda: network(pooling="attention", token_dropout=0.1), MANY_TO_ONE),
    "tags of columns": (
        lambda: network(
            inputs="columns", vocabulary=(90, 40, 7), per_step=True, bidirectional=True
        ),
        MANY_TO_MANY,
    ),
    "numbers": (lambda: network(inputs="numbers", features=3, pooling="max"), MANY_TO_ONE),
    "clips": (
        lambda: network(inputs="frames", frame=(16, 16, 3), per_step=True), MANY_TO_MANY
    ),
    "a language": (lambda: language().build(), MANY_TO_MANY),
    "a language carried on": (carried, MANY_TO_MANY),
    "a translator": (lambda: translator().whole, MANY_TO_MANY),
    "a translator that learns": (lambda: translator().learning, MANY_TO_MANY),
    "a translator that reads": (lambda: translator(cell="gru").reading, MANY_TO_MANY),
    "a translator that writes": (lambda: translator().decoding, MANY_TO_MANY),
    "no attention": (lambda: translator(attention="none", num_layers=1).whole, MANY_TO_MANY),
    "captions": (captioner, "one to many"),
    "a forecast": (forecaster, MANY_TO_ONE),
}  # fmt: skip
