"""What a model reads as numbers over time: the rows its embeddings look up, or its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import UsageError
from sunhwan.insight.parts import Called, call
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
    layer
        The embedding, or None.
    place
        The number of the input, where it is one.
    """

    name: str
    shape: tuple[int, ...]
    layer: Any = None
    place: int = -1

    @property
    def features(self) -> tuple[int, ...]:
        """The shape of what is told apart at a step: ids, of which each has a row, or numbers."""
        return self.shape[2:-1] if self.layer is not None else self.shape[2:]


def sources_of(model: Any, inputs: Any, layers: Sequence[str] | None = None) -> list[Source]:
    """The embeddings of a model and then its inputs of numbers over time, ``float[B, T, ...]``.

    Parameters
    ----------
    layers
        Names of embeddings that it is about; if it is left out, all of as many steps as the first,
        and such inputs of numbers. What has other steps, such as a known future, stays as it is.

    Raises
    ------
    UsageError
        There is none, one is not ours, is no layer's, is called twice, or has other steps.
    """
    found = _tables(model, inputs)
    if layers is None:
        leaves = enumerate(jax.tree.leaves(inputs))
        found += [
            Source(f"input {place}", tuple(leaf.shape), place=place)
            for place, leaf in leaves
            if np.issubdtype(leaf.dtype, np.floating) and leaf.ndim >= 3
        ]
        found = [source for source in found if source.shape[1:2] == found[0].shape[1:2]]
        _refuse_stock(model)
    else:
        known = {source.name: source for source in found}
        for name in layers:
            if name not in known:
                raise UsageError(f"no embedding is named {name!r}; there are {list(known)}")
        found = [known[name] for name in layers]
    if not found:
        raise UsageError(
            f"model `{model.name}` reads neither rows of an embedding nor numbers over time",
            hint="give numbers as float[B, T, D], or look ids up in a sunhwan.layers.Embedding",
        )
    _check_alike(found, len(jax.tree.leaves(inputs)[0]))
    return found


def _tables(model: Any, inputs: Any) -> list[Source]:
    found: list[Source] = []

    def seen(layer: Any, rows: Any) -> Any:
        if any(source.layer is layer for source in found):
            raise UsageError(
                f"embedding `{layer.name}` is called twice in the model, which cannot be watched",
                hint="look up both at once, or give each place an embedding of its own",
            )
        found.append(Source(layer.name, tuple(rows.shape), layer))
        return rows

    jax.eval_shape(lambda given: call(model, given, change_rows=seen).output, inputs)
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
    of_layer = {id(source.layer): change for source, change in changes.items()}
    leaves, shape = jax.tree.flatten(inputs)
    for source, change in changes.items():
        if source.layer is None:
            leaves[source.place] = change(leaves[source.place])

    def changed(layer: Any, rows: Any) -> Any:
        change = of_layer.get(id(layer))
        return rows if change is None else change(rows)

    given = jax.tree.unflatten(shape, leaves)
    return call(model, given, weights=weights, change_rows=changed, **others)


def block_size(count: int, steps: int) -> int:
    """How many of so many rows go through a watched model at once."""
    return min(count, max(1, _AT_ONCE // max(1, steps)))


def blocks(count: int, size: int) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Cut a count of rows into blocks of one size, so that one compiled function serves them all.

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
    for start in range(0, count, size):
        yield np.minimum(np.arange(start, start + size), count - 1), min(size, count - start)
