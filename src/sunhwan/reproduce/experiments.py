"""The experiments as data: what is trained on what, how it is judged and what was published.

Nothing here imports Keras before a model is built, so that listing the names takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sunhwan.reproduce.material import Material, counting, imdb, multiplication, reuters
from sunhwan.reproduce.names import named
from sunhwan.reproduce.starts import chrono

#: an answer to a number task is right within this distance (Hochreiter and Schmidhuber 1997)
TOLERANCE = 0.04

#: epochs without a better validation loss before training stops, as in the tutorials
PATIENCE = 3


@dataclass(frozen=True)
class Variant:
    """One model of an experiment.

    Parameters
    ----------
    name, title
        Short name for files, and what the model is called in a report.
    build
        Takes a namespace with ``Embedding``, ``SimpleRNN``, ``LSTM`` and ``GRU`` (ours or
        Keras's) and gives the list of layers.
    parameters
        Weights of each layer of `build`, in order; checked when the model is built.
    published
        Figures by name: ``test_loss``, ``accuracy``, ``share_right``, ``val_accuracy``,
        ``epochs_run``, ``answers``, ``confusion``; only those that were published.
    remark
        What there is to say about the result, in a sentence.
    calm
        So many epochs at the end run with a tenth of the learning rate. The published ones have
        none, and stop wherever the last batches have just thrown the weights.
    """

    name: str
    title: str
    build: Callable[[Any], list[Any]]
    parameters: tuple[int, ...]
    published: Mapping[str, Any]
    remark: str = ""
    calm: int = 0


@dataclass(frozen=True)
class Experiment:
    """A row of the table of published experiments.

    Parameters
    ----------
    name, title
        Name on the command line; heading of the report.
    task
        ``"binary"``, ``"classes"`` (many) or ``"numbers"``; decides how answers are judged.
    data
        One sentence on the data, for the report.
    load
        Gives the arrays; called once an experiment.
    loss, optimizer, epochs, batch, validation_split
        As for Keras's ``compile`` and ``fit``.
    early_stopping
        Whether training stops after `PATIENCE` epochs without a better ``val_loss``; the
        weights of the last epoch are kept, as in the tutorials.
    headline
        The figure that the report opens with, and the one of `Variant.published` beside it.
    flow
        Whether the gradient that flows back is measured, before training and after it, with the
        weights of the epoch whose ``val_loss`` was best: they are the ones that are kept.
    """

    name: str
    title: str
    task: str
    data: str
    load: Callable[[], Material]
    variants: tuple[Variant, ...]
    loss: str
    optimizer: str
    epochs: int
    batch: int
    validation_split: float
    headline: str
    early_stopping: bool = False
    flow: bool = False

    @property
    def models(self) -> str:
        """What a list says of the models."""
        return "; ".join(variant.title for variant in self.variants)

    @property
    def limit(self) -> str:
        """What a list says of the epochs."""
        return f"up to {self.epochs}" if self.early_stopping else str(self.epochs)


def find(name: str) -> Experiment:
    """The experiment called `name`.

    Raises
    ------
    UsageError
        There is none; the hint names the nearest, or all.

    Examples
    --------
    >>> find("imdb-lstm").epochs
    10
    """
    return named(name, EXPERIMENTS)


def _counting(layers: Any) -> list[Any]:
    return [layers.SimpleRNN(10), _dense(1)]


def _multiplication(kind: str) -> Callable[[Any], list[Any]]:
    def build(layers: Any) -> list[Any]:
        layer = getattr(layers, kind)
        return [layer(30, return_sequences=True), layer(30), _dense(1)]

    return build


def _carrying(layers: Any) -> list[Any]:
    """An LSTM whose cells begin with memories of 1 to 100 steps (Tallec and Ollivier 2018)."""
    options = {"unit_forget_bias": False, "bias_initializer": chrono(100)}
    return [
        layers.LSTM(30, return_sequences=True, **options),
        layers.LSTM(30, **options),
        _dense(1),
    ]


def _imdb(kind: str) -> Callable[[Any], list[Any]]:
    def build(layers: Any) -> list[Any]:
        return [
            layers.Embedding(10_000, 32),
            getattr(layers, kind)(32),
            _dense(1, activation="sigmoid"),
        ]

    return build


def _reuters(layers: Any) -> list[Any]:
    return [
        layers.Embedding(10_000, 256),
        layers.GRU(256, return_sequences=True),
        layers.GRU(256),
        _dense(46, activation="softmax"),
    ]


def _feedforward(layers: Any) -> list[Any]:
    return [layers.Embedding(10_000, 8), _flatten(), _dense(1, activation="sigmoid")]


def _lstm1(layers: Any) -> list[Any]:
    # the LSTM's own output is the answer, hence its sigmoid
    return [layers.Embedding(10_000, 8), layers.LSTM(1, activation="sigmoid")]


def _lstm32(layers: Any) -> list[Any]:
    return [layers.Embedding(10_000, 8), layers.LSTM(32), _dense(1, activation="sigmoid")]


def _lstm4_sequence(layers: Any) -> list[Any]:
    return [
        layers.Embedding(10_000, 8),
        layers.LSTM(4, return_sequences=True),
        _flatten(),
        _dense(1, activation="sigmoid"),
    ]


def _dense(units: int, activation: str | None = None) -> Any:
    import keras

    return keras.layers.Dense(units, activation=activation)


def _flatten() -> Any:
    import keras

    return keras.layers.Flatten()


def _reviews(name: str, maxlen: int, title: str, variant: Variant, **changes: Any) -> Experiment:
    """An experiment on the film reviews; `changes` replace what the long ones have in common."""
    settings: dict[str, Any] = {"epochs": 10, "headline": "accuracy", **changes}
    length = (
        "the last 20 words of each" if maxlen == 20 else f"padded or cut at the front to {maxlen}"
    )
    return Experiment(
        name=name,
        title=title,
        task="binary",
        data="25,000 IMDB film reviews to train on and 25,000 to test on, "
        f"the 10,000 commonest words, {length}",
        load=lambda: imdb(maxlen),
        variants=(variant,),
        loss="binary_crossentropy",
        optimizer="rmsprop",
        batch=128,
        validation_split=0.2,
        **settings,
    )


_SHORT: dict[str, Any] = {"epochs": 30, "early_stopping": True}

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        name="counting",
        title="Counting on in steps of a tenth",
        task="numbers",
        data="six windows of four numbers, 0.0 0.1 0.2 0.3 → 0.4 up to 0.5 0.6 0.7 0.8 → 0.9; "
        "tested on one window above and one below them",
        load=counting,
        variants=(
            Variant(
                "simple-rnn",
                "SimpleRNN(10)",
                _counting,
                (120, 11),
                {
                    "answers": (0.376, 0.511, 0.627, 0.722, 0.799, 0.862, 0.914, 0.228),
                    # the mean square of 0.914 - 1.0 and 0.228 - 0.3
                    "test_loss": 0.00629,
                },
                "Follows the windows it was trained on and falls short of those beyond.",
            ),
        ),
        loss="mse",
        optimizer="adam",
        epochs=100,
        batch=32,
        validation_split=0.0,
        headline="test_loss",
    ),
    Experiment(
        name="multiplication",
        title="The multiplication problem",
        task="numbers",
        data="3,000 sequences of 100 steps, each a mark and a number from 0 to 1, two of them "
        "marked; the answer is the product of the marked numbers; 2,560 train, 440 test",
        load=multiplication,
        variants=(
            Variant(
                "lstm",
                "LSTM(30) twice",
                _multiplication("LSTM"),
                (3_960, 7_320, 31),
                {"test_loss": 3.9e-4, "share_right": 0.959},
                "The loss falls from about epoch 40.",
            ),
            Variant(
                "lstm-calm",
                "LSTM(30) twice, calm at the end",
                _multiplication("LSTM"),
                (3_960, 7_320, 31),
                {},
                "Not published: the same with a tenth of the learning rate in the last 10 of its "
                "100 epochs, so that the result does not hang on where it stops.",
                calm=10,
            ),
            Variant(
                "simple-rnn",
                "SimpleRNN(30) twice",
                _multiplication("SimpleRNN"),
                (990, 1_830, 31),
                {"test_loss": 0.0667, "share_right": 0.127},
                "Learns the training sequences by heart and does not carry over to others.",
            ),
        ),
        loss="mse",
        optimizer="adam",
        epochs=100,
        batch=32,
        validation_split=0.2,
        headline="share_right",
    ),
    Experiment(
        name="vanishing-gradient",
        title="Why gradients vanish, and what an LSTM does about it",
        task="numbers",
        data="3,000 sequences of 100 steps, each a mark and a number from 0 to 1, two of them "
        "marked; the answer is the product of the marked numbers; 2,560 train, 440 test",
        load=multiplication,
        variants=(
            Variant(
                "simple-rnn",
                "SimpleRNN(30) twice",
                _multiplication("SimpleRNN"),
                (990, 1_830, 31),
                {},
                calm=10,
            ),
            Variant(
                "gru", "GRU(30) twice", _multiplication("GRU"), (3_060, 5_580, 31), {}, calm=10
            ),
            Variant(
                "lstm", "LSTM(30) twice", _multiplication("LSTM"), (3_960, 7_320, 31), {}, calm=10
            ),
            Variant(
                "lstm-chrono",
                "LSTM(30) twice, open forget gates at the start",
                _carrying,
                (3_960, 7_320, 31),
                {},
                calm=10,
            ),
        ),
        loss="mse",
        optimizer="adam",
        epochs=100,
        batch=32,
        validation_split=0.2,
        headline="share_right",
        flow=True,
    ),
    _reviews(
        "imdb-simple-rnn",
        500,
        "Film reviews with a simple recurrent layer",
        Variant(
            "simple-rnn",
            "SimpleRNN(32)",
            _imdb("SimpleRNN"),
            (320_000, 2_080, 33),
            {"test_loss": 0.590, "accuracy": 0.8196},
        ),
    ),
    _reviews(
        "imdb-lstm",
        500,
        "Film reviews with an LSTM",
        Variant(
            "lstm",
            "LSTM(32)",
            _imdb("LSTM"),
            (320_000, 8_320, 33),
            {"test_loss": 0.442, "accuracy": 0.8666},
        ),
    ),
    Experiment(
        name="reuters-gru",
        title="Newswire topics with two GRU layers",
        task="classes",
        data="Reuters newswire, 46 topics, the 10,000 commonest words, padded or cut at the "
        "front to 300; 8,982 stories train, 2,246 test",
        load=lambda: reuters(300),
        variants=(
            Variant(
                "gru",
                "GRU(256) twice",
                _reuters,
                (2_560_000, 394_752, 394_752, 11_822),
                {"test_loss": 1.988, "accuracy": 0.682},
                "Over-fits after about epoch 10.",
            ),
        ),
        loss="sparse_categorical_crossentropy",
        optimizer="adam",
        epochs=20,
        batch=32,
        validation_split=0.2,
        headline="accuracy",
    ),
    _reviews(
        "imdb20-feedforward",
        20,
        "Twenty words without recurrence",
        Variant(
            "feedforward",
            "Flatten and Dense(1)",
            _feedforward,
            (80_000, 0, 161),
            {
                "accuracy": 0.7625,
                "val_accuracy": 0.7536,
                "epochs_run": 10,
                "confusion": ((9498, 2936), (3002, 9564)),
            },
        ),
        **_SHORT,
    ),
    _reviews(
        "imdb20-lstm1",
        20,
        "Twenty words with a single LSTM unit",
        Variant(
            "lstm",
            "LSTM(1), sigmoid",
            _lstm1,
            (80_000, 40),
            {
                "accuracy": 0.6964,
                "val_accuracy": 0.6988,
                "epochs_run": 8,
                "confusion": ((7717, 2808), (4783, 9692)),
            },
        ),
        **_SHORT,
    ),
    _reviews(
        "imdb20-lstm32",
        20,
        "Twenty words with 32 LSTM units",
        Variant(
            "lstm",
            "LSTM(32)",
            _lstm32,
            (80_000, 5_248, 33),
            {"val_accuracy": 0.748, "epochs_run": 4},
        ),
        **{**_SHORT, "headline": "val_accuracy"},
    ),
    _reviews(
        "imdb20-lstm4-sequence",
        20,
        "Twenty words with every output of four LSTM units",
        Variant(
            "lstm",
            "LSTM(4), all steps",
            _lstm4_sequence,
            (80_000, 208, 0, 81),
            {"val_accuracy": 0.7402, "epochs_run": 5},
        ),
        **{**_SHORT, "headline": "val_accuracy"},
    ),
)
