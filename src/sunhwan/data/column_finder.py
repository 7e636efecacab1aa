"""Gives roles to columns one after the other, and asks where more than one would do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from sunhwan.data.column_facts import TIME_PARTS, Fact, Kind, find_steps, fits
from sunhwan.errors import UsageError

ROLES = ("text", "label", "target", "id", "group", "time", "series", "features")
#: roles that several columns can have together
LISTED = ("time", "features")
_SINGLE: tuple[Kind, ...] = ("text", "number")

Named = Mapping[str, str | Sequence[str] | None]


class Finder:
    """Columns and the roles that they were given; a column with a role is no longer free.

    Attributes
    ----------
    facts
        Column name to what it holds.
    roles
        Role to its columns.
    reasons
        Role to the reason for it.
    """

    def __init__(self, facts: Mapping[str, Fact], named: Named) -> None:
        self.facts = facts
        self.roles: dict[str, tuple[str, ...]] = {}
        self.reasons: dict[str, str] = {}
        for role, given in named.items():
            if role not in ROLES:
                raise UsageError(_unknown("role", role, ROLES))
            if given:
                self.take(role, self._several(role, given), f"--{role}")

    def _several(self, role: str, given: str | Sequence[str]) -> Sequence[str]:
        if not isinstance(given, str):
            return given
        if role in LISTED and given not in self.facts:
            return [name.strip() for name in given.split(",")]
        return [given]

    def take(self, role: str, names: Sequence[str], reason: str) -> None:
        """Give `names` a role.

        Raises
        ------
        UsageError
            There is no such column, or it has a role.
        """
        for name in names:
            if name not in self.facts:
                raise UsageError(_unknown("column", name, self.facts))
            if name not in self.free():
                other = next(r for r, taken in self.roles.items() if name in taken)
                raise UsageError(f"column {name!r} cannot be both the {other} and the {role}")
        if len(set(names)) < len(names):
            raise UsageError(f"--{role} names a column twice: {', '.join(names)}")
        self.roles[role] = tuple(names)
        self.reasons[role] = reason

    def free(self) -> list[str]:
        """The columns without a role."""
        taken = {name for names in self.roles.values() for name in names}
        return [name for name in self.facts if name not in taken]

    def where(self, *kinds: Kind) -> list[str]:
        """The free columns that hold such values."""
        return [name for name in self.free() if self.facts[name].kind in kinds]

    def choose(self, role: str, names: Sequence[str], reason: str) -> bool:
        """Give `role` to the only one of `names`, unless it is given; whether it is given now.

        Raises
        ------
        UsageError
            There is more than one; says which option to give.
        """
        if role in self.roles or not names:
            return role in self.roles
        if len(names) > 1:
            raise UsageError(
                f"the {role} could be any of {', '.join(names)}", hint=f"give --{role} NAME"
            )
        self.take(role, names, reason)
        return True

    def by_name(self, role: str, kinds: Sequence[Kind] = _SINGLE) -> bool:
        """`choose` among the columns whose names say so; the plainest name wins."""
        return self.choose(role, self._called(role, kinds), "its name says so")

    def by_name_if_clear(self, role: str, *, repeats: bool = False) -> bool:
        """The same, but nothing is taken where several names say so: for what is not needed.

        With `repeats`, only a column whose values come again: a sequence has more than one row.
        """
        found = [
            name for name in self._called(role, _SINGLE) if self.facts[name].repeats or not repeats
        ]
        return self.choose(role, found if len(found) == 1 else [], "its name says so")

    def _called(self, role: str, kinds: Sequence[Kind]) -> list[str]:
        found = [name for name in self.where(*kinds) if fits(name, role)]
        plain = [name for name in found if name.strip().lower() == role]
        return plain or found

    def time(self) -> None:
        """Columns of year, month, ...; else dates; else a number whose name says so."""
        if "time" in self.roles:
            return
        numbers = {name.lower(): name for name in self.where("number")}
        parts = [numbers[part] for part in TIME_PARTS if part in numbers]
        if len(parts) > 1 and TIME_PARTS[0] in numbers:
            self.take("time", parts, "parts of a date")
            return
        dates = [name for name in self.free() if self.facts[name].dates]
        named = [name for name in dates if fits(name, "time")]
        if not self.choose("time", named or dates, "holds dates"):
            self.by_name("time", ("number",))

    def steps_are_rows(self) -> bool:
        """Whether a row is one step: its id comes again and again; a series is an id too."""
        if "id" not in self.roles and "series" in self.roles:
            self.roles["id"] = self.roles.pop("series")
            self.reasons["id"] = self.reasons.pop("series")
        return any(self.facts[name].repeats for name in self.roles.get("id", ()))

    def clips(self) -> list[str]:
        """Columns that name clips: the features, where these are given, else free ones."""
        names = self.roles.get("features") or self.free()
        return [name for name in names if self.facts[name].clips]

    def long_texts(self) -> list[str]:
        """Columns of texts at least half as long as the longest, and no dates."""
        lengths = {n: self.facts[n].length for n in self.where("text") if not self.facts[n].dates}
        longest = max(lengths.values(), default=0)
        return [n for n, length in lengths.items() if length >= 8 and 2 * length >= longest]

    def numbers(self) -> list[str]:
        """Free columns of numbers that do not just count the rows."""
        return [name for name in self.where("number") if not self.facts[name].counts_rows]

    def take_numbers(self) -> None:
        """Make features of the columns of numbers that are left, unless they are given.

        Raises
        ------
        UsageError
            There are none.
        """
        if "features" in self.roles:
            return
        if not (numbers := self.numbers()):
            raise UsageError(
                f"no column of numbers is left for the features among {', '.join(self.facts)}",
                hint="give --features NAME,NAME,...",
            )
        self.take("features", numbers, "the columns of numbers that are left")

    def numbered(self) -> None:
        """Put named features in the order of their numbers, where all of them are numbered."""
        names = self.roles["features"]
        steps = find_steps(names)
        if steps and len(steps.names) == len(names):
            self.roles["features"] = tuple(steps.names)

    def answers(self, role: str) -> list[str]:
        """Free columns that could be a label or a target: no names, ids or dates of rows.

        Of labels, those whose values come again, if there are any.
        """
        kinds: tuple[Kind, ...] = _SINGLE if role == "label" else ("number",)
        found = [
            name
            for name in self.where(*kinds)
            if not (self.facts[name].dates or self.facts[name].counts_rows or fits(name, "id"))
        ]
        repeating = [name for name in found if self.facts[name].repeats]
        return (repeating or found) if role == "label" else found

    def need(self, role: str, names: Sequence[str], reason: str) -> None:
        """`choose`, and where there is none to choose, say so.

        Raises
        ------
        UsageError
            There is none, or more than one.
        """
        if not self.choose(role, names, reason):
            raise UsageError(
                f"no column is left for the {role} among {', '.join(self.facts)}",
                hint=f"give --{role} NAME",
            )


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    meant = f", did you mean {close[0]!r}?" if close else ";"
    return f"there is no {kind} {name!r}{meant} the {kind}s are {', '.join(known)}"
