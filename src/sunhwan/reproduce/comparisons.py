"""What a study of any kind offers to those that list, run and report it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sunhwan.runs.progress import Progress

#: the records of one training, one for each seed
Records = Sequence[Mapping[str, Any]]


class Record(Protocol):
    """Trains with one seed and judges; gives the record of it."""

    def __call__(
        self, *, seed: int, epochs: int, progress: Progress, label: str
    ) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Training:
    """What is trained once a seed.

    Parameters
    ----------
    name, title
        Short name for files, and what it is called while it runs.
    record
        Does it.
    """

    name: str
    title: str
    record: Record


class Comparison(Protocol):
    """A study of any kind: a frozen dataclass, whose ``repr`` tells all that decides its records.

    Attributes
    ----------
    name, title
        Name on the command line; heading of the report.
    headline
        The figure that the report opens with.
    epochs
        How long each network learns.
    models, limit
        What a list says of its networks and of its epochs.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def headline(self) -> str: ...
    @property
    def epochs(self) -> int: ...
    @property
    def models(self) -> str: ...
    @property
    def limit(self) -> str: ...

    def small(self) -> Comparison:
        """The same with small networks and little data, to see that all runs."""

    def facts(self) -> dict[str, Any]:
        """What stands in the results beside the networks."""

    def trainings(self) -> Sequence[Training]:
        """All there is to train, in the order in which it is done."""

    def variants(self, records: Mapping[str, Records]) -> list[dict[str, Any]]:
        """Each network with its ``seeds``, from the records under the names of the trainings."""

    def render(self, results: Mapping[str, Any]) -> str:
        """The report as HTML text."""
