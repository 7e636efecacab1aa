"""One network of a study, with one seed: built, trained and judged by what it writes alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.reproduce.studies import BIN, Attention, Contender, Share, Size
from sunhwan.reproduce.symbols import Part, Range, SymbolPairs
from sunhwan.runs.progress import Progress
from sunhwan.tasks.decoder_network import STATES, Models
from sunhwan.tasks.options import drawn_from
from sunhwan.tasks.steps import forward_pass, variables
from sunhwan.tasks.training import train
from sunhwan.tasks.translate_network import TranslateNetwork

Bools = NDArray[np.bool_]

#: of what training is watched by and judged by, which is the same for all seeds
_SEED = 0
#: sequences of each bin that training is watched by
_WATCHED = 50
#: symbols of the sequence whose attention is shown
_LOOK = 20


class WithOwnWords(keras.layers.Layer):  # type: ignore[misc]
    """Target-in ids of which a share is what the network writes, one after the other.

    Scheduled sampling as Bengio et al. (2015) describe it: each id behind the first is the true
    one or, with the probability `own` of its row, the likeliest after all that was read so far,
    own words included. With `own` of 1 that is how a network writes alone; with 0 nothing is
    computed. There is no gradient through the choice. A network learns from these ids in one
    pass over all steps, with the gradients that the loop itself would have.

    Parameters
    ----------
    models
        Of a translation.
    """

    def __init__(self, models: Models, **options: Any) -> None:
        super().__init__(**options)
        # behind a function, so that its layers count once among those of the model around it
        self._models: Callable[[], Models] = lambda: models
        self._states = len(STATES[models.network.cell]) * models.network.num_layers
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, source: Any, ids: Any, own: Any) -> Any:
        """Return ``int32[B, T]``."""
        ops = keras.ops
        draws = keras.random.uniform(ops.shape(ids), seed=self.seed_generator)
        return ops.cond(
            ops.any(own > 0), lambda: self._mixed(source, ids, draws < own), lambda: ids
        )

    def _mixed(self, source: Any, ids: Any, is_own: Any) -> Any:
        ops, models = keras.ops, self._models()
        still = ops.stop_gradient
        values = [(variable, still(variable.value)) for variable in models.learning.variables]
        with keras.StatelessScope(state_mapping=values):
            known = models.reading(source, training=False)
            # as values without the masks that Keras ties to them
            known = [still(one) for one in (known if isinstance(known, list) else [known])]
            states, rest = known[: self._states], known[self._states :]

            def step(carried: Any, column: Any) -> Any:
                last, states = carried
                true, is_own = column
                logits, *after = models.decoding([last[:, None], *states, *rest], training=False)
                guess = ops.cast(ops.argmax(logits[:, 0], axis=-1), "int32")
                last = ops.where(is_own, guess, true)
                return (last, after[: self._states]), last

            columns = ops.transpose(ids[:, 1:]), ops.transpose(is_own[:, 1:])
            _, written = ops.scan(step, (ids[:, 0], states), columns)
        return ops.concatenate([ids[:, :1], ops.transpose(written)], axis=1)

    def compute_output_spec(self, source: Any, ids: Any, own: Any) -> Any:
        """Return shape and type of the ids."""
        return keras.KerasTensor(ids.shape, "int32")


@dataclass(frozen=True, eq=False)
class Network:
    """A network, and all that is compiled with it, which serves for every seed.

    Attributes
    ----------
    models
        Those of a translation.
    model
        What learns and is judged: from source ``int32[B, S]``, target-in ids ``int32[B, T]`` and
        two shares ``float32[B, 1]`` of its own words, of `WithOwnWords` and of a second reading,
        to logits ``float32[B, T, V]``.
    looking
        From the first three of these to the ids that were read, and what attention looked at in
        each step, ``float32[B, T, S]``; None without attention.
    """

    models: Models
    model: Any
    looking: Any
    loss: Any
    metrics: tuple[Any, ...]
    optimizer: Any


def build(attention: Attention, size: Size) -> Network:
    """A new network with random weights."""
    models = TranslateNetwork(
        source_ids=size.alphabet + 1,
        target_ids=size.alphabet + 2,
        cell="lstm",
        units=size.units,
        num_layers=1,
        embedding=size.embedding,
        dropout=0.0,
        token_dropout=0.0,
        attention=attention,
        shared=True,
    ).build()
    source = keras.Input((None,), dtype="int32", name="source")
    ids = keras.Input((None,), dtype="int32", name="target")
    own, second = keras.Input((1,), name="own"), keras.Input((1,), name="second")
    read = WithOwnWords(models, name="with_own_words")(source, ids, own)
    logits = models.learning([source, read, second])
    looking = None
    if attention != "none":
        *_, weights = models.decoding([read, *models.reading(source)])
        looking = keras.Model([source, ids, own], [read, weights])
    return Network(
        models,
        keras.Model([source, ids, own, second], logits),
        looking,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        (
            keras.metrics.SparseCategoricalAccuracy(name="symbols_right"),
            keras.metrics.MeanMetricWrapper(_probability, name="probability"),
        ),
        keras.optimizers.Adam(size.learning_rate, clipnorm=1.0),
    )


def _probability(wanted: Any, logits: Any) -> Any:
    """What each true symbol was held for, ``float32[N]``."""
    ops = keras.ops
    shares = ops.softmax(logits, axis=-1)
    return ops.take_along_axis(shares, ops.cast(wanted, "int32")[:, None], axis=-1)[:, 0]


_built = functools.lru_cache(maxsize=1)(build)


def _drawn(contender: Contender, size: Size, seed: int) -> Network:
    """A network with the initial weights of a seed."""
    network = _built(contender.attention, size)
    with drawn_from(seed):
        fresh = build(contender.attention, size).model
    for variable, value in zip(network.model.variables, fresh.variables, strict=True):
        variable.assign(value)
    return network


def record(
    contender: Contender, size: Size, *, seed: int, epochs: int, progress: Progress, label: str
) -> dict[str, Any]:
    """The record of one seed.

    The same seed on the same machine gives the same bits, but for ``seconds``.

    Returns
    -------
    dict
        ``seed``; ``sequences_right`` and ``symbols_right``, of sequences as long as the longest
        bin that was learnt, written alone; ``by_length`` with ``sequences`` and ``symbols`` for
        each bin; ``by_place`` with the share of wrong symbols at each place, ``true`` where the
        true ones before were read and ``own`` where its own were; with attention ``look``: a
        ``source``, what was ``written`` and ``weights``; ``seconds`` and ``history``.

    Raises
    ------
    TrainingError
        A loss is not finite.
    KeyboardInterrupt
        Ctrl-C was pressed.
    """
    network = _drawn(contender, size, seed)
    pairs = SymbolPairs(
        contender.task,
        size.alphabet,
        ranges=_ranges(size.bins),
        batches=size.batches,
        batch_size=size.batch_size,
        seed=seed,
        shares=_shares(contender.own, contender.second, epochs),
    )
    history = train(
        network.model,
        pairs,
        _alone(contender, size, "watch", _WATCHED, size.bins),
        loss=network.loss,
        optimizer=network.optimizer,
        metrics=network.metrics,
        epochs=epochs,
        # of all that it learns from in an epoch, which is far more than it is watched by
        monitor="probability",
        mode="max",
        schedule="cosine",
        progress=progress,
        label=label,
    )
    return {
        "seed": seed,
        **_judge(network.model, contender, size),
        **({} if network.looking is None else _look(network.looking, contender, size)),
        "seconds": round(history.seconds, 2),
        "epochs_run": history.epochs,
        "history": history.figures,
    }


def _shares(own: Share, second: Share, epochs: int) -> Callable[[int], tuple[float, float]]:
    """Own words from epoch to epoch: none, all, or from none in the first to all in the last."""

    def share(kind: Share, epoch: int) -> float:
        return {"none": 0.0, "all": 1.0, "growing": epoch / max(epochs - 1, 1)}[kind]

    return lambda epoch: (share(own, epoch), share(second, epoch))


def _ranges(bins: int) -> list[Range]:
    return [((number - 1) * BIN + 1, number * BIN) for number in range(1, bins + 1)]


def _alone(
    contender: Contender, size: Size, part: Part, rows: int, bins: int, own: float = 1.0
) -> SymbolPairs:
    """One batch of all lengths up to so many bins, for a network that writes alone."""
    return SymbolPairs(
        contender.task,
        size.alphabet,
        ranges=[(1, bins * BIN)],
        batches=1,
        batch_size=rows * bins,
        seed=_SEED,
        part=part,
        shares=lambda epoch: (own, 0.0),
    )


def _judge(model: Any, contender: Contender, size: Size) -> dict[str, Any]:
    bins = size.bins + size.beyond

    def right_and_real(own: float) -> tuple[Bools, Bools]:
        return _right(model, _alone(contender, size, "test", size.test_rows, bins, own))

    right, real = right_and_real(own=1.0)
    with_true, _ = right_and_real(own=0.0)
    # as many of each bin, the shortest first
    right, real, with_true = (a.reshape(bins, size.test_rows, -1) for a in (right, real, with_true))
    sequences = (right | ~real).all(axis=2).mean(axis=1).tolist()
    symbols = (right.sum(axis=(1, 2)) / real.sum(axis=(1, 2))).tolist()
    last = size.bins - 1
    return {
        "sequences_right": sequences[last],
        "symbols_right": symbols[last],
        "by_length": {"sequences": sequences, "symbols": symbols},
        "by_place": {
            "true": _wrong_by_place(with_true[last], real[last]),
            "own": _wrong_by_place(right[last], real[last]),
        },
    }


def _look(looking: Any, contender: Contender, size: Size) -> dict[str, Any]:
    """Where a network looked while it wrote one sequence, the end of it included."""
    pairs = SymbolPairs(
        contender.task, size.alphabet, ranges=[(_LOOK, _LOOK)], batches=1, batch_size=1,
        seed=_SEED, part="test",
    )  # fmt: skip
    (source, ids, *_), _, _ = pairs[0]
    # one step more, so that the end that it writes is read
    given = [source, np.pad(ids, ((0, 0), (0, 1))), np.ones((1, 1), np.float32)]
    read, weights = (found[0] for found in looking.predict(given, verbose=0))
    written = read[1:].tolist()
    if pairs.end in written:
        written = written[: written.index(pairs.end) + 1]
    names = [*_letters(range(1, pairs.end)), "end"]
    return {
        "look": {
            "source": [names[number - 1] for number in source[0]],
            "written": [names[number - 1] for number in written],
            "weights": np.round(weights[: len(written)].astype(float), 3).tolist(),
        }
    }


def _letters(ids: Iterable[int]) -> list[str]:
    return [chr(ord("a") + number - 1) for number in ids]


def _right(model: Any, pairs: SymbolPairs) -> tuple[Bools, Bools]:
    """Which ids of a batch are right and which are real, ``bool[B, T]``, the end of each included.

    What stands behind an end that came too early would never be written, and is wrong.
    """
    x, wanted, weights = pairs[0]
    logits, _ = forward_pass(model)(*variables(model), x)
    found = np.asarray(logits).argmax(axis=-1)
    is_end = found == pairs.end
    real = weights > 0
    has_ended = np.cumsum(is_end, axis=1) - is_end > 0
    return (found == wanted) & real & ~(has_ended & (x[2] > 0)), real


def _wrong_by_place(right: Bools, real: Bools) -> list[float]:
    """Share of wrong ids at each place that sequences have."""
    count = real.sum(axis=0)
    wrong = (real & ~right).sum(axis=0)[count > 0] / count[count > 0]
    return [round(float(share), 5) for share in wrong]
