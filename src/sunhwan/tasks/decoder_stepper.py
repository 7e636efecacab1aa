"""A network that writes texts of what it read, one token at a time, and what it looked at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.errors import ShapeError, UsageError
from sunhwan.tasks.decoder_network import STATES, Models
from sunhwan.tasks.stepping import check_ids, padded_length
from sunhwan.tasks.steps import variables


class DecoderStepper(ABC):
    """A decoder as a `sunhwan.tasks.stepping.Stepper`, with the weights that it had.

    The state is a list of what `Models.reading` gives. A step returns memory, keys and mask as they
    came.
    """

    def __init__(self, models: Models) -> None:
        self._network, self._decoding = models.network, models.decoding
        self._states = len(STATES[self._network.cell]) * self._network.num_layers
        self._weights = variables(self._decoding)
        self._encoder_weights = variables(models.reading)
        self._read, self._write = _compiled(models.reading), _compiled(self._decoding)

    @abstractmethod
    def nothing(self, rows: int) -> NDArray[Any]:
        """As many sources in which there is nothing."""

    @abstractmethod
    def checked(self, sources: ArrayLike) -> NDArray[Any]:
        """Sources as `Models.reading` takes them, in one of few shapes.

        Raises
        ------
        ShapeError, UsageError
            They are none.
        """

    def start(self, rows: int) -> list[Any]:
        """The states before the first token, of sources in which there is nothing."""
        return self.begin(self.nothing(rows))

    def begin(self, sources: ArrayLike) -> list[Any]:
        """The states before the first token, which is the end; sources as of `checked`."""
        # of a list of one Keras makes that one
        return jax.tree.leaves(self._read(self._encoder_weights, self.checked(sources)))

    def step(self, state: list[Any], ids: Any) -> tuple[list[Any], Any]:
        """The states after ``int32[N]`` ids, and the logits of what comes next."""
        (logits, *after), _ = self._decoding.stateless_call(
            *self._weights, [ids[:, None], *state], training=False
        )
        return [*after[: self._states], *state[self._states :]], logits[:, 0]

    def attention_of(self, source: ArrayLike, target: ArrayLike) -> NDArray[np.float32]:
        """What of a source each id of its text looked at.

        Parameters
        ----------
        source
            One row of what `begin` takes.
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
            Source or target have other shapes.
        """
        if self._network.attention == "none":
            raise UsageError(
                "the network has no attention whose weights could be shown",
                hint='train one with attention "multiplicative" or "additive"',
            )
        written = np.asarray(target, np.int32)
        if written.ndim != 1:
            raise ShapeError(f"`target` must be of shape [T], received shape {written.shape}")
        check_ids(written, self._network.target_ids, "target")
        given = padded(np.append(self._network.end, written[:-1])[None])
        *_, weights = self._write(self._weights, [given, *self.begin(np.asarray(source)[None])])
        return np.asarray(weights)[0, : len(written)]


def padded(ids: NDArray[Any]) -> NDArray[np.int32]:
    """Ids padded to one of a few lengths, so that few shapes are compiled."""
    missing = padded_length(ids.shape[1]) - ids.shape[1]
    return np.pad(ids.astype(np.int32), ((0, 0), (0, missing)))


def _compiled(model: Any) -> Callable[[Any, Any], Any]:
    """A compiled function of a model's values and inputs, that gives its outputs."""
    return jax.jit(lambda values, x: model.stateless_call(*values, x, training=False)[0])
