"""Batches of windows: the past of each and what is known of its future."""

from __future__ import annotations

from typing import Any

from sunhwan.data.batches import Batches
from sunhwan.tasks.forecasting_windows import Windows


class WindowBatches(Batches):
    """`Batches` whose ``x`` is the pair ``(past, future)`` of `Windows`, to learn ``target``.

    Parameters
    ----------
    part
        The windows, all as long.
    batch_size, seed
        As of `Batches`.
    """

    def __init__(self, part: Windows, *, batch_size: int, seed: int | None = None) -> None:
        super().__init__(
            list(part.past),
            part.target,
            batch_size=batch_size,
            seed=seed,
            buckets=[part.past.shape[1]],
        )
        self._future = part.future

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return ``((past, future), target, weights)`` of batch `index`.

        Returns
        -------
        tuple
            ``float32[B, T, D]`` and ``float32[B, horizon, F]``, ``float32[B, horizon]``,
            ``float32[B]``.
        """
        (past, _), *rest = super().__getitem__(index)
        return (past, self._future[self._plan[index].rows]), *rest
