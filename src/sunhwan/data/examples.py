"""Examples: sequences with their answers as people wrote them, before anything is a number."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from sunhwan.data.spool import Spool, take

#: what a sequence is made of: a text, a list of tokens, numbers ``float32[T, D]``, a sound, the
#: frames of a clip ``uint8[T, H, W, C]``
Kind = Literal["text", "tokens", "numbers", "sound", "clip"]


@dataclass(frozen=True)
class Rejected:
    """A row that could not be used: where it stands, and why."""

    place: str
    reason: str


@dataclass
class Examples:
    """Sequences with their answers; each is a list, or lies on disk (`sunhwan.data.spool`).

    Parameters
    ----------
    kind
        What `inputs` holds: ``text`` str, ``tokens`` list[str], ``numbers`` float32[T, D] each,
        ``sound`` `sunhwan.data.sounds.Sound`, ``clip`` uint8[T, H, W, C].
    inputs
        One sequence each.
    targets
        One answer each, or None where there are none: a label (str), a number (float), or for
        tagging a list of labels or float32[T].
    places
        Where each came from, such as ``reviews.csv, line 12``.
    groups
        What must not be split between training and test, such as the speaker; or None.
    rejected
        Rows that were dropped.
    """

    kind: Kind
    inputs: Sequence[Any]
    targets: Sequence[Any] | None
    places: Sequence[str]
    groups: list[str] | None = None
    rejected: list[Rejected] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Sequence[int] | NDArray[Any]) -> Examples:
        """Some of the examples, in the order of ``rows``.

        Examples
        --------
        >>> Examples("text", ["a", "b"], ["x", "y"], ["l1", "l2"]).take([1]).inputs
        ['b']
        """
        return Examples(
            self.kind,
            take(self.inputs, rows),
            None if self.targets is None else take(self.targets, rows),
            take(self.places, rows),
            None if self.groups is None else [self.groups[row] for row in rows],
            self.rejected,
        )


class Collector:
    """Takes examples one at a time, and keeps what is large on disk.

    Parameters
    ----------
    kind
        Of the inputs; recordings are read when they are needed, and so are kept as they are.
    answers, groups
        Whether there are any.
    per_step
        Whether an answer is a list of labels or float32[T].

    Examples
    --------
    >>> collector = Collector("text", answers=True)
    >>> collector.add("so so", "bad", "a.csv, line 2")
    >>> collector.examples([]).targets
    ['bad']
    """

    def __init__(
        self, kind: Kind, *, answers: bool, groups: bool = False, per_step: bool = False
    ) -> None:
        self._kind = kind
        self._sounds: list[Any] = []
        self._inputs: Spool[Any] = Spool()
        self._places: Spool[str] = Spool()
        self._targets: list[Any] | None = [] if answers and not per_step else None
        self._answers: Spool[Any] | None = Spool() if answers and per_step else None
        self._groups: list[str] | None = [] if groups else None

    def add(self, value: Any, target: Any, place: str, group: str | None = None) -> None:
        """Put an example behind the others; what is not wanted is left out."""
        if self._kind == "sound":
            self._sounds.append(value)
        else:
            self._inputs.add(value)
        self._places.add(place)
        if self._targets is not None:
            self._targets.append(target)
        if self._answers is not None:
            self._answers.add(target)
        if self._groups is not None:
            # one string for all of a group
            self._groups.append(sys.intern(str(group)))

    def examples(self, rejected: list[Rejected]) -> Examples:
        """All that were added."""
        inputs = self._sounds if self._kind == "sound" else self._inputs.items()
        targets = self._targets if self._answers is None else self._answers.items()
        places = self._places.items()
        return Examples(self._kind, inputs, targets, places, self._groups, rejected)


class Encoder(Protocol):
    """Turns an input into the numbers that a network reads; learnt from training inputs alone.

    An encoder is rebuilt from its configuration, which is plain JSON.

    Attributes
    ----------
    name
        Under which `config` is told apart from others, such as ``words``.
    vocabulary
        How many ids `encode` can give, 0 (padding) and 1 (unknown) included; 0 if it gives numbers.
    features
        D of ``float32[T, D]``; 0 if it gives ids.
    """

    name: str
    vocabulary: int
    features: int

    def fit(self, inputs: Sequence[Any]) -> Encoder:
        """Learn from training inputs; returns itself."""
        ...

    def encode(self, value: Any) -> NDArray[Any]:
        """``int32[T]`` with ids from 1 up, or ``float32[T, D]``; T is at least 1."""
        ...

    def config(self) -> dict[str, Any]:
        """All that `from_config` needs, as plain JSON; holds ``name``."""
        ...

    def describe(self, inputs: Sequence[Any]) -> list[str]:
        """Lines about itself and how it fits ``inputs``, such as the share of unknown words."""
        ...
