"""The part of the table of cases that asks for what Keras's own layers do not have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from case import CELLS, Case


def variants() -> Iterator[Case]:
    """Yield scales, zoneout, peepholes and resets: alone, masked, backwards and together."""
    for label, cell in CELLS.items():
        lstm = cell.kind == "lstm"
        base = Case(label, cell, B=5, T=9, D=3, H=18, initial_state=True)
        both = replace(base, input_scale=True, state_scale=True)
        yield replace(base, name=f"{label}-input_scale", input_scale=True)
        yield replace(base, name=f"{label}-state_scale", state_scale=True, use_bias=False)
        yield replace(both, name=f"{label}-scales-backwards", mask="left", go_backwards=True)
        zoneout = replace(cell, zoneout_h=0.3, zoneout_c=0.45 if lstm else 0.0)
        zoned = replace(base, cell=zoneout, noise=True)
        yield replace(zoned, name=f"{label}-zoneout")
        yield replace(zoned, name=f"{label}-zoneout-expected", noise=False, mask="holes")
        yield replace(zoned, name=f"{label}-zoneout-backwards", mask="right", go_backwards=True)
        yield replace(base, name=f"{label}-reset", reset=True)
        yield replace(base, name=f"{label}-reset-backwards", go_backwards=True, reset=True)
        yield replace(
            zoned, name=f"{label}-reset-zoneout-holes", B=4, T=37, D=6, H=11, mask="holes",
            reset=True, zero_output_for_mask=True,
        )  # fmt: skip
        everything = replace(
            both, name=f"{label}-everything", B=6, T=21, D=7, H=19, mask="holes", noise=True,
            cell=replace(zoneout, activation="relu"), peephole=lstm, reset=True,
        )  # fmt: skip
        yield everything
        yield replace(
            everything, name=f"{everything}-last-backwards", cell=zoneout, go_backwards=True,
            return_sequences=False, mask="left",
        )  # fmt: skip
    yield from _peepholes()
    yield from _normalized()
    yield from _state_sequences()
    yield from _projections()


def _peepholes() -> Iterator[Case]:
    """Yield LSTMs with peepholes, and with zoneout of one state alone."""
    base = Case("lstm", CELLS["lstm"], B=5, T=9, D=3, H=18, initial_state=True)
    peeping = replace(base, peephole=True)
    yield replace(peeping, name="lstm-peephole")
    yield replace(peeping, name="lstm-peephole-no_bias", use_bias=False, return_sequences=False)
    yield replace(peeping, name="lstm-peephole-holes-backwards", mask="holes", go_backwards=True)
    for slot in ("activation", "recurrent_activation"):
        cell = replace(CELLS["lstm"], **{slot: "hard_sigmoid"})
        yield replace(peeping, name=f"lstm-peephole-{slot}", cell=cell, reset=True)
    for slot in ("zoneout_h", "zoneout_c"):
        cell = replace(CELLS["lstm"], **{slot: 0.4})
        yield replace(peeping, name=f"lstm-peephole-{slot}", cell=cell, noise=True)
        yield replace(base, name=f"lstm-{slot}-expected", cell=cell)
    yield replace(peeping, name="lstm-peephole-H130", B=3, T=4, D=31, H=130, input_scale=True)


def _normalized() -> Iterator[Case]:
    """Yield layer normalisation: alone, masked, backwards, with all else, and in sizes."""
    for label in ("simple_rnn", "lstm", "gru"):
        lstm = label == "lstm"
        cell = replace(CELLS[label], norm_epsilon=1e-3)
        base = Case(label, cell, B=5, T=9, D=3, H=18, initial_state=True)
        yield replace(base, name=f"{label}-norm")
        yield replace(base, name=f"{label}-norm-no_bias", use_bias=False, return_sequences=False)
        yield replace(base, name=f"{label}-norm-holes", mask="holes", zero_output_for_mask=True)
        yield replace(base, name=f"{label}-norm-backwards", mask="left", go_backwards=True)
        yield replace(
            base, name=f"{label}-norm-relu", cell=replace(cell, activation="relu"), reset=True
        )
        yield replace(
            base, name=f"{label}-norm-hard_sigmoid", peephole=lstm,
            cell=replace(cell, recurrent_activation="hard_sigmoid", norm_epsilon=0.05),
        )  # fmt: skip
        zoneout = replace(cell, zoneout_h=0.3, zoneout_c=0.45 if lstm else 0.0)
        yield replace(
            base, name=f"{label}-norm-everything", B=6, T=21, D=7, H=19, cell=zoneout, mask="holes",
            noise=True, peephole=lstm, reset=True, input_scale=True, state_scale=True,
        )  # fmt: skip
        for B, T, D, H in ((3, 5, 2, 7), (19, 3, 2, 16), (2, 37, 5, 33), (1, 4, 3, 130)):
            yield Case(f"{label}-norm-B{B}-T{T}-D{D}-H{H}", cell, B, T, D, H)


def _state_sequences() -> Iterator[Case]:
    """Yield the states of every step: beside outputs, in their place, masked and with variants."""
    for label, cell in CELLS.items():
        base = Case(
            label, cell, B=5, T=19, D=3, H=18, initial_state=True, return_state_sequences=True
        )
        yield replace(base, name=f"{label}-sequences")
        yield replace(
            base, name=f"{label}-sequences-zero_output-backwards", mask="holes", go_backwards=True,
            zero_output_for_mask=True,
        )  # fmt: skip
        yield replace(
            base, name=f"{label}-sequences-last", mask="right", return_sequences=False,
            return_state=False, zero_output_for_mask=True, reset=True, use_bias=False,
        )  # fmt: skip
    lstm = replace(CELLS["lstm"], zoneout_h=0.3, zoneout_c=0.45)
    yield replace(
        base, name="lstm-sequences-everything", cell=lstm, mask="left", noise=True, peephole=True,
        reset=True, input_scale=True, state_scale=True, B=4, T=37, D=6, H=33,
    )  # fmt: skip
    yield replace(base, name="lstm-sequences-H130", cell=CELLS["lstm"], B=3, T=4, D=31, H=130)


def _projections() -> Iterator[Case]:
    """Yield LSTMs whose output is projected: sizes around vectors, masked and with all variants."""
    base = Case("lstm", CELLS["lstm"], B=5, T=9, D=3, H=18, P=7, initial_state=True)
    yield replace(base, name="lstm-projection")
    yield replace(base, name="lstm-projection-no_bias", use_bias=False, return_sequences=False)
    yield replace(base, name="lstm-projection-holes-backwards", mask="holes", go_backwards=True)
    yield replace(base, name="lstm-projection-T200", T=200, P=1, mask="right")
    yield replace(base, name="lstm-projection-H130", B=3, T=6, D=31, H=130, P=67)
    yield replace(base, name="lstm-projection-H256", B=2, T=19, D=65, H=256, P=199, peephole=True)
    yield replace(base, name="lstm-projection-P", B=2, T=5, D=4, H=33, P=33, initial_state=False)
    zoned = replace(CELLS["lstm"], zoneout_h=0.3, zoneout_c=0.45)
    yield replace(base, name="lstm-projection-zoneout", cell=zoned, noise=True, mask="left")
    everything = replace(
        base, name="lstm-projection-everything", B=6, T=37, D=7, H=35, P=17, mask="holes",
        cell=replace(zoned, activation="relu"), noise=True, reset=True, peephole=True,
        input_scale=True, state_scale=True, return_state_sequences=True, zero_output_for_mask=True,
    )  # fmt: skip
    yield everything
    yield replace(
        everything, name="lstm-projection-everything-backwards", cell=zoned, go_backwards=True,
        return_sequences=False, mask="left",
    )  # fmt: skip
