"""What is timed: models, layers and a sweep of sizes, as plain descriptions, with arithmetic."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

#: products and sums of a step forward, by kind of layer: gates x 2
_PER_WEIGHT = {"simple_rnn": 2, "gru": 6, "lstm": 8}


@dataclass(frozen=True)
class Case:
    """A model, or a layer alone.

    Parameters
    ----------
    name
        On the command line and in the record.
    shape
        Of a row of the input: ``(T,)`` word numbers or ``(T, D)`` values.
    layers
        From the input to the answer, each a plain dict with ``kind`` and its sizes.
    batch
        Rows of a step.
    loss, optimizer
        Keras's names; empty for a layer alone.
    steps
        The most steps of a turn of training: so many batches of rows are made.
    target
        The ratio to the fastest peer that the project aims at.
    over
        The case to whose own time the target refers, where it is not the fastest peer's.
    texts
        Whose the word numbers are: a data set of `sunhwan.data.load`, cut at the front to the
        length of a row, or padded there with 0.
    is_masked
        Whether the padding is masked.
    axes
        Of which sweeps a layer is a point: ``time``, ``batch``, ``units``.
    """

    name: str
    shape: tuple[int, ...]
    layers: tuple[dict[str, Any], ...]
    batch: int
    loss: str = ""
    optimizer: str = ""
    steps: int = 1
    target: float | None = None
    over: str | None = None
    texts: str = "imdb"
    is_masked: bool = False
    axes: tuple[str, ...] = field(default=())

    def plan(self, task: str, batch: int | None = None) -> dict[str, Any]:
        """What a worker is told; `task` is ``fit``, ``layer`` or ``infer``.

        Examples
        --------
        >>> MODELS[0].plan("infer", batch=1)["batch"]
        1
        """
        names = ("name", "shape", "layers", "batch", "loss", "optimizer")
        plan = {name: asdict(self)[name] for name in names}
        return {**plan, "task": task, "batch": batch or self.batch}

    @property
    def forward_flop(self) -> int:
        """Products and sums of the recurrent layers for one batch forward, gate functions left out.

        ``2 g B T (H H + D H)`` with g gates: ``8 B T (H H + D H)`` for an LSTM.

        Examples
        --------
        >>> lstm_layer(256, 16, 150).forward_flop == 8 * 16 * 150 * 2 * 256 * 256
        True
        """
        total, width = 0, self.shape[-1]
        for layer in self.layers:
            kind, units = layer.get("cell", layer["kind"]), layer.get("units", 0)
            if kind in _PER_WEIGHT:
                directions = 2 if layer["kind"] == "bidirectional" else 1
                weights = units * units + width * units
                steps = self.batch * self.shape[0] * directions
                total += _PER_WEIGHT[kind] * steps * weights
                width = units * directions
            elif kind == "embedding":
                width = units
        return total

    @property
    def step_flop(self) -> int:
        """Of a step forward and back: three times as many as forward."""
        return 3 * self.forward_flop


def _embedding(units: int, mask: bool = False) -> dict[str, Any]:
    return {"kind": "embedding", "size": 10_000, "units": units, "mask": mask}


def _recurrent(kind: str, units: int, sequences: bool = False) -> dict[str, Any]:
    return {"kind": kind, "units": units, "sequences": sequences}


def _dense(units: int, activation: str = "linear") -> dict[str, Any]:
    return {"kind": "dense", "units": units, "activation": activation}


_BINARY: dict[str, Any] = {"loss": "binary_crossentropy", "optimizer": "rmsprop"}
_NUMBER: dict[str, Any] = {"loss": "mse", "optimizer": "adam"}


def _multiplication(kind: str, steps: int, target: float) -> Case:
    name = f"multiplication-{kind.replace('_', '-')}"
    layers = (_recurrent(kind, 30, True), _recurrent(kind, 30), _dense(1))
    return Case(name, (100, 2), layers, 32, **_NUMBER, steps=steps, target=target)


def _imdb(name: str, kind: str, mask: bool = False, **rest: Any) -> Case:
    layers = (_embedding(32, mask), _recurrent(kind, 32), _dense(1, "sigmoid"))
    return Case(name, (500,), layers, 128, **_BINARY, is_masked=mask, **rest)


MODELS = (
    _imdb("imdb-lstm", "lstm", steps=20, target=10.0),
    _imdb("imdb-simple-rnn", "simple_rnn", steps=40, target=8.0),
    Case(
        "reuters-gru",
        (300,),
        (
            _embedding(256),
            _recurrent("gru", 256, True),
            _recurrent("gru", 256),
            _dense(46, "softmax"),
        ),
        32,
        "sparse_categorical_crossentropy",
        "adam",
        steps=10,
        target=4.0,
        texts="reuters",
    ),
    _multiplication("lstm", 128, 6.0),
    _multiplication("simple_rnn", 256, 3.0),
    Case(
        "deep-lstm",
        (60, 13),
        (
            *(_recurrent("lstm", units, True) for units in (1024, 512, 256, 128)),
            {"kind": "flatten"},
            _dense(64, "swish"),
            _dense(1, "sigmoid"),
        ),
        32,
        "binary_crossentropy",
        "adam",
        steps=8,
        target=2.5,
    ),
    Case(
        "bidirectional",
        (200,),
        (
            _embedding(128),
            {**_recurrent("bidirectional", 128), "cell": "lstm"},
            _dense(1, "sigmoid"),
        ),
        32,
        **_BINARY,
        steps=20,
    ),
    _imdb("imdb-lstm-masked", "lstm", mask=True, steps=20, target=1.6, over="imdb-lstm"),
)


def lstm_layer(units: int, batch: int, time: int, *axes: str) -> Case:
    """An LSTM alone, with as many inputs as units, that gives all its steps.

    Examples
    --------
    >>> lstm_layer(256, 16, 150).name
    'lstm-h256-b16-t150'
    """
    name = f"lstm-h{units}-b{batch}-t{time}"
    layers = (_recurrent("lstm", units, True),)
    return Case(name, (time, units), layers, batch, axes=axes)


#: training shapes of https://github.com/baidu-research/DeepBench
LAYERS = (
    *(lstm_layer(256, batch, 150) for batch in (16, 32, 64)),
    *(lstm_layer(512, batch, 25) for batch in (16, 32, 64, 128)),
)

#: a point that all three sweeps share, and their ends
_UNITS, _BATCH, _TIME = 128, 32, 200
_POINTS = {
    "time": (50, 100, 200, 400, 800),
    "batch": (1, 4, 16, 32, 64, 256),
    "units": (32, 64, 128, 256, 512),
}


def sweep() -> tuple[Case, ...]:
    """An LSTM whose time, batch or units are changed while the other two stay as they are.

    Examples
    --------
    >>> [case.axes for case in sweep() if case.name == "lstm-h128-b32-t200"]
    [('time', 'batch', 'units')]
    """
    found: dict[str, Case] = {}
    for axis, values in _POINTS.items():
        for value in values:
            sizes = {"units": _UNITS, "batch": _BATCH, "time": _TIME, axis: value}
            case = lstm_layer(sizes["units"], sizes["batch"], sizes["time"])
            axes = found[case.name].axes if case.name in found else ()
            found[case.name] = replace(case, axes=(*axes, axis))
    return tuple(found.values())
