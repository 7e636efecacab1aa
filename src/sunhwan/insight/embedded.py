"""What a model reads as numbers over time: the rows its embeddings look up, or its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import jax
import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import UsageError
from sunhwan.insight.parts import Called, call
from sunhwan.insight.timeline import timeline_of
from sunhwan.layers.embedding import Embedding

#: of the numbers of a source: those that take their place
Change = Callable[[Any], Any]
#: rows times steps that go through a model in one call while it is watched, to bound its memory
_AT_ONCE = 1 << 15


@dataclass(frozen=True)
class Source:
    """Numbers that a model reads over time.

    Attributes
    ----------
    name
        Of the embedding, or ``input 0`` of the first input.
    shape
        Of the numbers: ``(B, T, ...)``.
    place
        The number of the input; of an embedding that of the call among those of all embeddings.
    layer
        The embedding, or None.
    """

    name: str
    shape: tuple[int, ...]
    place: int
    layer: Any = None

    @property
    def features(self) -> tuple[int, ...]:
        """The shape of what is told apart at a step: ids, of which each has a row, or numbers."""
        return self.shape[2:-1] if self.layer is not None else self.shape[2:]


def sources_of(model: Any, inputs: Any, layers: Sequence[str] | None = None) -> list[Source]:
    """The embeddings of a model and then its inputs of numbers over time, ``float[B, T, ...]``.

    An embedding that is called twice is two of them.

    Parameters
    ----------
    layers
        Names of embeddings that it is about. Without it all, and the inputs of numbers, that are
        read along the time axis of the first recurrent part: of an encoder and a decoder, the
        encoder's.

    Raises
    ------
    UsageError
        There is none, one is not ours, or has other steps.
    """
    timeline = timeline_of(model, inputs)
    tables = [
        Source(layer.name, tuple(rows.shape), place, layer)
        for place, (layer, rows) in enumerate(timeline.lookups)
    ]
    if layers is None:
        _refuse_stock(model)
        along = timeline.tables_along(timeline.first), timeline.inputs_along(timeline.first)
        found = [source for source in tables if source.place in along[0]]
        found += [
            Source(f"input {place}", tuple(leaf.shape), place)
            for place, leaf in enumerate(jax.tree.leaves(inputs))
            if place in along[1] and np.issubdtype(leaf.dtype, np.floating) and leaf.ndim >= 3
        ]
    else:
        known = {source.name for source in tables}
        for name in layers:
            if name not in known:
                names = list(dict.fromkeys(source.name for source in tables))
                raise UsageError(f"no embedding is named {name!r}; there are {names}")
        found = [source for name in layers for source in tables if source.name == name]
    if not found:
        raise UsageError(
            f"model `{model.name}` reads neither rows of an embedding nor numbers over time",
            hint="give numbers as float[B, T, D], or look ids up in a sunhwan.layers.Embedding",
        )
    _check_alike(found, len(jax.tree.leaves(inputs)[0]))
    return found


def _refuse_stock(model: Any) -> None:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Embedding) and not isinstance(layer, Embedding):
            raise UsageError(
                f"layer `{layer.name}` is keras.layers.Embedding, which cannot be watched",
                hint="build the model with sunhwan.layers.Embedding, and `set_weights` what was "
                "learnt",
            )


def _check_alike(sources: Sequence[Source], rows: int) -> None:
    first = sources[0]
    for source in sources:
        if source.shape[:2] != (rows, *first.shape[1:2]) or len(source.shape) < 3:
            raise UsageError(
                f"`{source.name}` gives {list(source.shape)} for {rows} rows, and `{first.name}` "
                f"{list(first.shape)}: expected [B, T, ...] with the same steps",
                hint="name embeddings that belong together in `layers`",
            )


def call_changed(
    model: Any, inputs: Any, weights: Any, changes: Mapping[Source, Change], **others: Any
) -> Called:
    """What a model gives when what it reads is changed; a function that JAX can differentiate.

    Parameters
    ----------
    others
        As of `sunhwan.layers.watching.watching`.
    """
    of_call = {source.place: change for source, change in changes.items() if source.layer}
    leaves, shape = jax.tree.flatten(inputs)
    for source, change in changes.items():
        if source.layer is None:
            leaves[source.place] = change(leaves[source.place])
    calls = count()

    def changed(_: Any, rows: Any) -> Any:
        change = of_call.get(next(calls))
        return rows if change is None else change(rows)

    given = jax.tree.unflatten(shape, leaves)
    return call(model, given, weights=weights, change_rows=changed, **others)


def block_size(rows: int, steps: int) -> int:
    """How many of so many rows go through a watched model at once."""
    return min(rows, max(1, _AT_ONCE // max(1, steps)))


def blocks(rows: int, size: int) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Cut so many rows into blocks of one size, so that one compiled function serves them all.

    Returns
    -------
    of each: numbers, kept
        ``int[size]``, in which the last number fills up the last block; and how many are not
        filling.

    Examples
    --------
    >>> [(numbers.tolist(), kept) for numbers, kept in blocks(5, 3)]
    [([0, 1, 2], 3), ([3, 4, 4], 2)]
    """
    for start in range(0, rows, size):
        yield np.minimum(np.arange(start, start + size), rows - 1), min(size, rows - start)
