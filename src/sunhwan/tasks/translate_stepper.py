"""A translator one token at a time, and what its attention looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.errors import ShapeError, UsageError
from sunhwan.tasks.stepping import check_ids, padded_length
from sunhwan.tasks.steps import variables
from sunhwan.tasks.translate_network import STATES, Translator


class TranslationStepper:
    """A translator as a `sunhwan.tasks.stepping.Stepper`, with the weights that it had.

    The state is a list of what `Translator.reading` gives. A step returns memory, keys and mask as
    they came.
    """

    def __init__(self, translator: Translator) -> None:
        self._network, self._decoding = translator.network, translator.decoding
        self._states = len(STATES[self._network.cell]) * self._network.num_layers
        self._weights = variables(self._decoding)
        self._encoder_weights = variables(translator.reading)
        self._read, self._write = _compiled(translator.reading), _compiled(self._decoding)

    def start(self, rows: int) -> list[Any]:
        """The states before the first token, of sources in which there is nothing."""
        return self.begin(np.zeros((rows, 1), np.int32))

    def begin(self, sources: ArrayLike) -> list[Any]:
        """The states before the first token, which is the end.

        Parameters
        ----------
        sources
            ``int32[N, S]``, padded with 0 behind the end of each.

        Raises
        ------
        ShapeError
            They have another shape.
        UsageError
            An id is not one of the source's encoder.
        """
        ids = np.asarray(sources)
        if ids.ndim != 2 or ids.dtype.kind not in "iu" or not ids.size:
            raise ShapeError(
                f"`sources` must be integers of shape [N, S] with a row and a step, received "
                f"{ids.dtype} of shape {ids.shape}"
            )
        check_ids(ids, self._network.source_ids, "sources")
        # of a list of one Keras makes that one
        return jax.tree.leaves(self._read(self._encoder_weights, _padded(ids)))

    def step(self, state: list[Any], ids: Any) -> tuple[list[Any], Any]:
        """The states after ``int32[N]`` ids, and the logits of what comes next."""
        (logits, *after), _ = self._decoding.stateless_call(
            *self._weights, [ids[:, None], *state], training=False
        )
        return [*after[: self._states], *state[self._states :]], logits[:, 0]

    def attention_of(self, source: ArrayLike, target: ArrayLike) -> NDArray[np.float32]:
        """What of a source each id of its translation looked at.

        Parameters
        ----------
        source
            ``int32[S]``, without padding.
        target
            ``int32[T]``: what was written, with its end or without.

        Returns
        -------
        float32[T, S]
            The weights with which each id was chosen; rows that sum to 1.

        Raises
        ------
        UsageError
            The network has no attention, or an id is not one of its encoder.
        ShapeError
            Source or target are no rows of ids.
        """
        if self._network.attention == "none":
            raise UsageError(
                "the network has no attention whose weights could be shown",
                hint='train one with attention "multiplicative" or "additive"',
            )
        read, written = np.asarray(source), np.asarray(target, np.int32)
        if read.ndim != 1 or written.ndim != 1:
            raise ShapeError(
                f"`source` and `target` must be of shape [S] and [T], received shapes "
                f"{read.shape} and {written.shape}"
            )
        check_ids(written, self._network.target_ids, "target")
        given = _padded(np.append(self._network.end, written[:-1])[None])
        *_, weights = self._write(self._weights, [given, *self.begin(read[None])])
        return np.asarray(weights)[0, : len(written), : len(read)]


def _padded(ids: NDArray[Any]) -> NDArray[np.int32]:
    """Ids padded to one of a few lengths, so that few shapes are compiled."""
    missing = padded_length(ids.shape[1]) - ids.shape[1]
    return np.pad(ids.astype(np.int32), ((0, 0), (0, missing)))


def _compiled(model: Any) -> Callable[[Any, Any], Any]:
    """A compiled function of a model's values and inputs, that gives its outputs."""
    return jax.jit(lambda values, x: model.stateless_call(*values, x, training=False)[0])
