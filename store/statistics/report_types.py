"""The values of reports.

Each number counts the calls of a narrower selection, which `GET /api/calls` lists (manual, VII: a
click on a number opens the calls).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class CallCounts:
    """Numbers of outside calls, answered and not. `in_busy` is a part of `in_missed`."""

    out: int = 0
    out_failed: int = 0
    incoming: int = 0
    in_missed: int = 0
    in_busy: int = 0

    def __add__(self, other: "CallCounts") -> "CallCounts":
        return CallCounts(
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
    counts: CallCounts


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The calls of one number or user.

    `name` is the label of the number or the name of the user, `talk_s` the talk of answered calls.
    """

    key: str
    name: str
    counts: CallCounts
    talk_s: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Parties:
    """The calls of one direction: all, by number of the company, and by user (`Call.employee`)."""

    total: CallCounts
    by_number: tuple[Group, ...]
    by_user: tuple[Group, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """Outgoing calls with `from_s` to below `to_s` whole seconds of talk (None: no limit)."""

    from_s: int
    to_s: int | None
    calls: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CallBacks:
    """Missed calls, those called back, and the median wait until then (None: no call back)."""

    missed: int
    called_back: int
    median_wait_s: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitCounts:
    """Incoming calls whose wait is known: `calls` in all, those answered, and soon answered."""

    calls: int = 0
    answered: int = 0
    answered_within: int = 0
    wait_ms: int = 0
    longest_ms: int = 0

    def __add__(self, other: "WaitCounts") -> "WaitCounts":
        return WaitCounts(
            calls=self.calls + other.calls,
            answered=self.answered + other.answered,
            answered_within=self.answered_within + other.answered_within,
            wait_ms=self.wait_ms + other.wait_ms,
            longest_ms=max(self.longest_ms, other.longest_ms),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Waits:
    """How long callers waited: all, by queue, by number with its label, and by hour of the day."""

    total: WaitCounts
    by_queue: dict[str, WaitCounts]
    by_number: dict[str, WaitCounts]
    by_hour: dict[int, WaitCounts]
    labels: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityCounts:
    """Calls whose quality is known: `calls` in all, and the bad ones; sums of scores and losses."""

    calls: int = 0
    bad: int = 0
    mos_sum: float = 0.0
    loss_pct_sum: float = 0.0
    worst_mos: float = 5.0

    def __add__(self, other: "QualityCounts") -> "QualityCounts":
        return QualityCounts(
            calls=self.calls + other.calls,
            bad=self.bad + other.bad,
            mos_sum=self.mos_sum + other.mos_sum,
            loss_pct_sum=self.loss_pct_sum + other.loss_pct_sum,
            worst_mos=min(self.worst_mos, other.worst_mos),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Qualities:
    """How well calls went: all, by trunk, by user with its name, and by hour of the day."""

    total: QualityCounts
    by_trunk: dict[str, QualityCounts]
    by_user: dict[str, QualityCounts]
    by_hour: dict[int, QualityCounts]
    names: dict[str, str]


def total(counts: Iterable[CallCounts]) -> CallCounts:
    """Add up counts."""
    return sum(counts, CallCounts())


def read_counts(row: Any) -> CallCounts:
    """Read the columns named as the fields of `CallCounts`."""
    return CallCounts(out=row.out, out_failed=row.out_failed, incoming=row.incoming, in_missed=row.in_missed, in_busy=row.in_busy)


def sorted_groups(counts: dict[str, tuple[CallCounts, int]], names: dict[str, str]) -> tuple[Group, ...]:
    """Make groups of counts and milliseconds of talk by key, in the order of the keys."""
    return tuple(
        Group(key=key, name=names.get(key, ""), counts=of_key, talk_s=talk_ms // 1000)
        for key, (of_key, talk_ms) in sorted(counts.items())
    )
