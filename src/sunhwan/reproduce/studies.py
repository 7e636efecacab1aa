"""The studies as data: networks that differ in one thing, trained alike and held side by side.

What the tutorials say in words - that one vector is too little for long sources, that a network
is fed the true words while it learns - without a published figure. Nothing here imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

from sunhwan.reproduce.comparisons import Comparison, Records, Training
from sunhwan.reproduce.memory import MEMORY_LENGTHS

#: what becomes of a sequence
Task = Literal["copy", "reverse"]
#: as of `sunhwan.layers.attention.StepAttention`, or none
Attention = Literal["none", "multiplicative", "additive"]
#: how large the share of a network's own words is: from epoch to epoch more of them is ``growing``
Share = Literal["none", "all", "growing"]


#: what `small` makes of a study
_SMALL: dict[str, Any] = {"bins": 1, "units": 16, "batches": 4, "test_rows": 32}

#: lengths are told apart, and batches padded, in steps of so many symbols
BIN = 10


@dataclass(frozen=True)
class Contender:
    """One network of a study.

    Parameters
    ----------
    name, title
        Short name for files, and what it is called in a report.
    task
        What it does with a sequence.
    attention
        What its decoder looks at the source with.
    own, second
        The share of its own words among what it reads while it learns: written word by word, or
        guessed in a first pass over the true ones.
    """

    name: str
    title: str
    task: Task = "copy"
    attention: Attention = "none"
    own: Share = "none"
    second: Share = "none"


@dataclass(frozen=True)
class Size:
    """How large networks and data of a study are.

    Parameters
    ----------
    alphabet, bins
        Symbols, and the longest sequences that are learnt from, in steps of ten symbols.
    beyond
        Bins of longer ones that are judged too.
    units, embedding, batch_size, learning_rate
        Of each network.
    batches
        Of each bin in an epoch.
    test_rows
        Sequences of each bin to judge by.
    """

    alphabet: int
    bins: int
    beyond: int
    units: int
    embedding: int
    batches: int
    batch_size: int
    test_rows: int
    learning_rate: float


@dataclass(frozen=True)
class Group:
    """Contenders that stand in one figure.

    Parameters
    ----------
    title, text
        Heading, and what is compared here.
    contenders
        The networks.
    size
        How large they and their data are.
    """

    title: str
    text: str
    contenders: tuple[Contender, ...]
    size: Size


@dataclass(frozen=True)
class Study:
    """Networks that differ in one thing.

    Parameters
    ----------
    name, title
        Name on the command line; heading of the report.
    question
        What is asked, for the report.
    groups
        The networks, as the report shows them.
    figures
        What is drawn of each group: ``sequences`` and ``symbols`` right by length, ``epochs``
        (symbols right while they learn), ``places`` (errors along a sequence), ``looks`` (where
        attention was).
    epochs
        How long each learns.
    headline
        The figure that the report opens with.
    """

    name: str
    title: str
    question: str
    groups: tuple[Group, ...]
    figures: tuple[Literal["sequences", "symbols", "epochs", "places", "looks"], ...]
    epochs: int
    headline: Literal["sequences_right", "symbols_right"] = "sequences_right"

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """The networks of all groups."""
        return tuple(contender for group in self.groups for contender in group.contenders)

    @property
    def models(self) -> str:
        """What a list says of the networks."""
        return f"{len(self.contenders)} networks"

    @property
    def limit(self) -> str:
        """What a list says of the epochs."""
        return str(self.epochs)

    def small(self) -> Study:
        """The same with small networks on short sequences."""
        groups = [replace(one, size=replace(one.size, **_SMALL)) for one in self.groups]
        return replace(self, groups=tuple(groups))

    def facts(self) -> dict[str, Any]:
        """The question, what is drawn, and the groups with the names of their networks."""
        return {
            "question": self.question,
            "figures": list(self.figures),
            "groups": [
                {**asdict(group), "contenders": [one.name for one in group.contenders]}
                for group in self.groups
            ],
        }

    def trainings(self) -> list[Training]:
        """Networks of one shape one after the other, since they share what is compiled."""

        def record(contender: Contender, size: Size, **options: Any) -> dict[str, Any]:
            from sunhwan.reproduce import contenders

            return contenders.record(contender, size, **options)

        in_turn = sorted(
            ((one, group.size) for group in self.groups for one in group.contenders),
            key=lambda pair: (pair[1].units, pair[0].attention),
        )
        return [Training(one.name, one.title, partial(record, one, size)) for one, size in in_turn]

    def variants(self, records: Mapping[str, Records]) -> list[dict[str, Any]]:
        """Each network with its records."""
        return [{**asdict(one), "seeds": list(records[one.name])} for one in self.contenders]

    def render(self, results: Mapping[str, Any]) -> str:
        """The report as HTML text."""
        from sunhwan.reproduce.study_report import render

        return render(results)


_LONG = Size(
    alphabet=26,
    bins=5,
    beyond=1,
    units=128,
    embedding=32,
    batches=40,
    batch_size=32,
    test_rows=500,
    learning_rate=4e-3,
)
_SHORT = replace(_LONG, bins=1, beyond=0, batches=100, learning_rate=3e-3)
_MIDDLING = replace(_LONG, bins=2, beyond=0, units=64, batches=30)


def _with_and_without(task: Task, verb: str) -> tuple[Contender, ...]:
    return (
        Contender(f"{task}-none", f"{verb}, one vector", task),
        Contender(f"{task}-multiplicative", f"{verb}, multiplicative", task, "multiplicative"),
        Contender(f"{task}-additive", f"{verb}, additive", task, "additive"),
    )


def _fed(prefix: str, where: str, attention: Attention) -> tuple[Contender, ...]:
    return (
        Contender(f"{prefix}-true", f"{where}, true symbols", attention=attention),
        Contender(f"{prefix}-own", f"{where}, own symbols", attention=attention, own="all"),
        Contender(
            f"{prefix}-schedule", f"{where}, from true to own", attention=attention, own="growing"
        ),
        Contender(
            f"{prefix}-passes", f"{where}, the same in two passes", attention=attention,
            second="growing",
        ),
    )  # fmt: skip


STUDIES: tuple[Comparison, ...] = (
    Study(
        name="seq2seq-attention",
        title="Why attention: long sequences through one vector",
        question="A network reads a sequence of random symbols and writes it down again, from the "
        "front or from the end. Without attention all that it knows goes through the encoder's "
        "last states; with attention each step of the decoder looks at all steps of the encoder.",
        groups=(
            Group(
                "Copying", "Written down as it was read.",
                _with_and_without("copy", "copying"), _LONG,
            ),
            Group(
                "Reversing", "Written down from its end.",
                _with_and_without("reverse", "reversing"), _LONG,
            ),
        ),
        figures=("sequences", "symbols", "epochs", "places", "looks"),
        epochs=15,
    ),
    Study(
        name="teacher-forcing",
        title="Why teacher forcing: what a decoder reads while it learns",
        question="A decoder writes a symbol and reads it in the next step. While it learns it may "
        "read the true symbol in its place (teacher forcing), its own, or first true ones and from "
        "epoch to epoch more of its own (scheduled sampling): written one after the other, or all "
        "at once in a first pass over the true ones, as the option --own-words does. In use it "
        "has only its own. The task is to write a sequence of random symbols down again.",
        groups=(
            Group(
                "Through one vector",
                "Without attention a step has only the state to go by, and what it has just read.",
                _fed("vector", "one vector", "none"), _SHORT,
            ),
            Group(
                "With attention",
                "With attention a step finds its place in the source by what was written last.",
                _fed("attention", "attention", "multiplicative"), _MIDDLING,
            ),
        ),
        figures=("epochs", "places"),
        epochs=12,
    ),
    MEMORY_LENGTHS,
)  # fmt: skip
