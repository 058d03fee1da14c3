"""What is told of the calls of a selection.

Every figure is the number of calls of a narrower selection, which `GET /api/calls` lists (manual, VII: a click opens them).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """Calls with the outside, answered and not. `busy` are those among the incoming ones that were not answered."""

    out: int = 0
    out_failed: int = 0
    incoming: int = 0
    in_missed: int = 0
    in_busy: int = 0

    def __add__(self, other: "Counted") -> "Counted":
        return Counted(
            out=self.out + other.out,
            out_failed=self.out_failed + other.out_failed,
            incoming=self.incoming + other.incoming,
            in_missed=self.in_missed + other.in_missed,
            in_busy=self.in_busy + other.in_busy,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Hour:
    """The calls that began in one hour of the domain's clock; `weekday` 1 is Monday (ISO 8601)."""

    weekday: int
    hour: int
    counted: Counted


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The calls of one number or employee. `name` is the number's label or the employee's name; `talk_s` of answered ones."""

    key: str
    name: str
    counted: Counted
    talk_s: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Parties:
    """The calls of one direction: all of them, those of each of the company's numbers, of each employee (`Call.employee`)."""

    total: Counted
    by_number: tuple[Group, ...]
    by_employee: tuple[Group, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """Outgoing calls whose talk lasted from `from_s` up to, not including, `to_s` whole seconds (None: however long)."""

    from_s: int
    to_s: int | None
    calls: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CallBacks:
    """Missed calls, those of them that were called back, and how long that took in the middle (None: none was)."""

    missed: int
    called_back: int
    median_wait_s: int | None


def total(groups: Iterable[Counted]) -> Counted:
    """All of them together."""
    return sum(groups, Counted())


def counts_of(row: Any) -> Counted:
    return Counted(out=row.out, out_failed=row.out_failed, incoming=row.incoming, in_missed=row.in_missed, in_busy=row.in_busy)


def groups_of(found: dict[str, tuple[Counted, int]], names: dict[str, str]) -> tuple[Group, ...]:
    return tuple(
        Group(key=key, name=names.get(key, ""), counted=counted, talk_s=talk_ms // 1000)
        for key, (counted, talk_ms) in sorted(found.items())
    )
