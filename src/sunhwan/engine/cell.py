"""What a recurrence is, in one small value: its kind and its gate functions."""

from __future__ import annotations

from dataclasses import dataclass

from sunhwan.errors import ShapeError, UsageError

#: gates of each kind, in the order in which Keras lays out the columns of its weights
GATES: dict[str, tuple[str, ...]] = {
    "simple_rnn": ("h",),
    "lstm": ("i", "f", "c", "o"),
    "gru": ("z", "r", "h"),
}
#: gate functions that have a kernel; the position is the number that the kernels know them by
ACTIVATIONS: tuple[str, ...] = ("linear", "tanh", "sigmoid", "relu", "hard_sigmoid")
#: what the operands of matrix products may be rounded to; sums and states stay what they are
PRODUCTS: tuple[str, ...] = ("float32", "bfloat16")


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
    norm_epsilon
        Above 0: sums are normalised (`sunhwan.engine.recurrences_normalized`), and this is added
        to their variance. 0: there is no normalisation. A GRU then has to reset after.
    products
        ``"bfloat16"``: what goes into a matrix product is rounded to bfloat16 there, inputs,
        weights and states forward and the gradients of gate sums back; sums, states and all else
        stay as they are. ``"float32"``: nothing is rounded.

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
    norm_epsilon: float = 0.0
    products: str = "float32"

    def __post_init__(self) -> None:
        if self.kind not in GATES:
            raise UsageError(f"`kind` must be one of {sorted(GATES)}, received {self.kind!r}")
        for slot in ("activation", "recurrent_activation"):
            name = getattr(self, slot)
            if name not in ACTIVATIONS:
                raise UsageError(
                    f"`{slot}` must be one of {sorted(ACTIVATIONS)}, received {name!r}"
                )
        if self.products not in PRODUCTS:
            raise UsageError(
                f"`products` must be one of {list(PRODUCTS)}, received {self.products!r}"
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
        if not 0 <= self.norm_epsilon < 1e30:
            raise UsageError(
                f"`norm_epsilon` must be a number of at least 0, received {self.norm_epsilon!r}"
            )
        if self.norm_epsilon and self.kind == "gru" and not self.reset_after:
            raise UsageError(
                "`norm_epsilon` must be 0 for a gru with reset_after=False: layer normalisation "
                f"needs the reset after the product, received {self.norm_epsilon!r}",
                hint="use reset_after=True",
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

    def norm_shapes(self, units: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights of normalisation by name; none where `norm_epsilon` is 0.

        ``norm`` holds the gains of the input's and of the recurrent sums, of a SimpleRNN of their
        sum; ``norm_cell`` gain and offset of an LSTM's cell.

        Examples
        --------
        >>> Cell("lstm", norm_epsilon=1e-3).norm_shapes(5)
        {'norm': (2, 20), 'norm_cell': (2, 5)}
        """
        if not self.norm_epsilon:
            return {}
        rows = 1 if self.kind == "simple_rnn" else 2
        shapes: dict[str, tuple[int, ...]] = {"norm": (rows, len(self.gates) * units)}
        return shapes | ({"norm_cell": (2, units)} if self.kind == "lstm" else {})

    def check_norm(self, name: str, is_given: bool) -> None:
        """Raise `ShapeError` if a weight of `norm_shapes` is missing, or given without meaning."""
        if is_given == (name in self.norm_shapes(1)):
            return
        about = f"a {self.kind} with norm_epsilon={self.norm_epsilon}"
        if is_given:
            raise ShapeError(f"`{name}` must be None for {about}, which has no such weight")
        raise ShapeError(f"`{name}` is missing, which {about} needs")

    def check_projection(self) -> None:
        """Raise `ShapeError` if this is no cell whose output can be projected."""
        if self.kind != "lstm":
            raise ShapeError(f"`projection` must be None for a {self.kind}, which has no cell c")
        if self.norm_epsilon:
            raise ShapeError("`projection` must be None for an lstm whose sums are normalised")

    def bias_shape(self, units: int) -> tuple[int, ...]:
        """Shape of Keras's bias for ``units`` units: two rows for a GRU that resets after."""
        columns = len(self.gates) * units
        return (2, columns) if self.kind == "gru" and self.reset_after else (columns,)
