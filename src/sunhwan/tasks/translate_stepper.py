"""A translator one token at a time, and what its attention looked at."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.errors import ShapeError
from sunhwan.tasks.decoder_stepper import DecoderStepper, padded
from sunhwan.tasks.stepping import check_ids
from sunhwan.tasks.translate_network import TranslateNetwork


class TranslationStepper(DecoderStepper):
    """A translator as a `sunhwan.tasks.stepping.Stepper`, with the weights that it had."""

    def nothing(self, rows: int) -> NDArray[Any]:
        """Sources of one step of padding."""
        return np.zeros((rows, 1), np.int32)

    def checked(self, sources: ArrayLike) -> NDArray[Any]:
        """Sources padded to one of few lengths.

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
        check_ids(ids, cast(TranslateNetwork, self._network).source_ids, "sources")
        return padded(ids)

    def attention_of(self, source: ArrayLike, target: ArrayLike) -> NDArray[np.float32]:
        """What of a source ``int32[S]`` each id of its translation looked at: ``float32[T, S]``."""
        read, written = np.asarray(source), np.asarray(target)
        if read.ndim != 1 or written.ndim != 1:
            raise ShapeError(
                f"`source` and `target` must be of shape [S] and [T], received shapes "
                f"{read.shape} and {written.shape}"
            )
        return super().attention_of(read, written)[:, : len(read)]
