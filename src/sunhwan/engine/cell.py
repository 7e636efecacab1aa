"""What a recurrence is, in one small value: its kind and its gate functions."""

from __future__ import annotations

from dataclasses import dataclass

from sunhwan.errors import UsageError

#: gates of each kind, in the order in which Keras lays out the columns of its weights
GATES: dict[str, tuple[str, ...]] = {
    "simple_rnn": ("h",),
    "lstm": ("i", "f", "c", "o"),
    "gru": ("z", "r", "h"),
}
#: gate functions that have a kernel; the position is the number that the kernels know them by
ACTIVATIONS: tuple[str, ...] = ("linear", "tanh", "sigmoid", "relu", "hard_sigmoid")


@dataclass(frozen=True)
class Cell:
    """One recurrence: ``kind``, its gate functions and, for GRU, where the reset gate acts.

    Parameters
    ----------
    kind
        ``"simple_rnn"``, ``"lstm"`` or ``"gru"``.
    activation
        Function of the candidate (and of the cell on its way out in an LSTM), one of
        `ACTIVATIONS`.
    recurrent_activation
        Function of the gates ``i f o`` or ``z r``; without meaning for ``simple_rnn``.
    reset_after
        GRU only: the reset gate multiplies after (True) or before (False) the recurrent product.
    zoneout_h, zoneout_c
        Probability that an element of the output h, of an LSTM's cell c, is not renewed in a step
        (`sunhwan.engine.zoneout`), from 0 up to, not including, 1.

    Raises
    ------
    UsageError
        If a name is not one of those above, or a probability does not fit.

    Examples
    --------
    >>> Cell("gru", reset_after=False).gates
    ('z', 'r', 'h')
    """

    kind: str
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    reset_after: bool = True
    zoneout_h: float = 0.0
    zoneout_c: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in GATES:
            raise UsageError(f"`kind` must be one of {sorted(GATES)}, received {self.kind!r}")
        for slot in ("activation", "recurrent_activation"):
            name = getattr(self, slot)
            if name not in ACTIVATIONS:
                raise UsageError(
                    f"`{slot}` must be one of {sorted(ACTIVATIONS)}, received {name!r}"
                )
        for slot in ("zoneout_h", "zoneout_c"):
            rate = getattr(self, slot)
            if not 0 <= rate < 1:
                raise UsageError(f"`{slot}` must be at least 0 and below 1, received {rate!r}")
        if self.zoneout_c and self.kind != "lstm":
            raise UsageError(
                f"`zoneout_c` must be 0 for a {self.kind}, which has no cell c, "
                f"received {self.zoneout_c!r}",
                hint="`zoneout_h` is the one for its output h",
            )

    @property
    def gates(self) -> tuple[str, ...]:
        """Gate names in column order."""
        return GATES[self.kind]

    @property
    def states(self) -> int:
        """Number of state arrays: 2 (h, c) for an LSTM, else 1 (h)."""
        return 2 if self.kind == "lstm" else 1

    @property
    def zoneout(self) -> tuple[float, ...]:
        """Probability of zoneout for each state."""
        return (self.zoneout_h, self.zoneout_c)[: self.states]

    def bias_shape(self, units: int) -> tuple[int, ...]:
        """Shape of Keras's bias for ``units`` units: two rows for a GRU that resets after."""
        columns = len(self.gates) * units
        return (2, columns) if self.kind == "gru" and self.reset_after else (columns,)
