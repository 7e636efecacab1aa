"""One call of one layer, the cells it may have, and the masks."""

from __future__ import annotations

from dataclasses import dataclass

from sunhwan.engine.cell import Cell

CELLS: dict[str, Cell] = {
    "simple_rnn": Cell("simple_rnn"),
    "lstm": Cell("lstm"),
    "gru": Cell("gru"),
    "gru_before": Cell("gru", reset_after=False),
}
#: right and left: padding there, lengths from 1 to T; one_empty: right, and one row without a step
MASKS: tuple[str, ...] = (
    "right",
    "left",
    "holes",
    "one_empty",
    "all_empty",
    "first_only",
    "all_true",
)


@dataclass(frozen=True)
class Case:
    """One call of one layer: sizes and the options of Keras; ``mask`` is one of `MASKS`."""

    name: str
    cell: Cell
    B: int
    T: int
    D: int
    H: int
    use_bias: bool = True
    mask: str | None = None
    initial_state: bool = False
    return_sequences: bool = True
    return_state: bool = True
    go_backwards: bool = False
    zero_output_for_mask: bool = False
    reset: bool = False
    peephole: bool = False
    input_scale: bool = False
    state_scale: bool = False
    noise: bool = False
    return_state_sequences: bool = False
    #: units that an LSTM's output is projected to; 0: none
    P: int = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each state."""
        return (self.P or self.H, self.H)[: self.cell.states]

    def __str__(self) -> str:
        return self.name
