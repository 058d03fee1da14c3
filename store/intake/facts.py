"""The facts of a call that counters and call backs depend on. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fonoteka.core.call_report import CallReport, Direction, RecordingState, Result
from fonoteka.core.phone_numbers import outside_party
from store.database.schema import calls, milliseconds

AUDIBLE: Final = frozenset({RecordingState.READY, RecordingState.PARTIAL})


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFacts:
    """The facts of a call that is not merged into another.

    `outside_number` is in E.164 where possible; None if it is withheld or the call is internal.
    """

    domain_id: int
    started_at: datetime
    answered_at: datetime | None
    direction: Direction
    result: Result
    employee: str | None
    number: str | None
    talk_ms: int
    audible: bool
    outside_number: str | None
    called_back_at: datetime | None

    @property
    def missed(self) -> bool:
        """Whether this is an incoming call without an answer, ringing calls included."""
        return self.direction is Direction.IN and self.result is not Result.ANSWERED

    @property
    def awaited_call_back(self) -> tuple[int, str, datetime] | None:
        """The domain, outside number and start of a missed call; a later call back counts."""
        return (self.domain_id, self.outside_number, self.started_at) if self.missed and self.outside_number is not None else None

    @property
    def made_call_back(self) -> tuple[int, str, datetime] | None:
        """The domain, outside number and answer of an answered outgoing call."""
        reached = self.direction is Direction.OUT and self.result is Result.ANSWERED
        if not reached or self.outside_number is None or self.answered_at is None:
            return None
        return self.domain_id, self.outside_number, self.answered_at


FACTS: Final = (
    calls.c.domain_id,
    calls.c.started_at,
    calls.c.answered_at,
    calls.c.direction,
    calls.c.result,
    calls.c.employee,
    calls.c.number,
    calls.c.talk_ms,
    calls.c.recording_state,
    calls.c.outside_number,
    calls.c.called_back_at,
    calls.c.merged_into,
)
"""The columns that `facts_of_row` reads."""


def facts_of_row(row: Mapping[Any, Any]) -> CallFacts | None:
    """Read the facts from a row with the columns FACTS; None for a merged call."""
    if row["merged_into"] is not None:
        return None
    return CallFacts(
        domain_id=row["domain_id"],
        started_at=row["started_at"],
        answered_at=row["answered_at"],
        direction=Direction(row["direction"]),
        result=Result(row["result"]),
        employee=row["employee"],
        number=row["number"],
        talk_ms=row["talk_ms"],
        audible=row["recording_state"] in AUDIBLE,
        outside_number=row["outside_number"],
        called_back_at=row["called_back_at"],
    )


def facts_of_report(report: CallReport, domain_id: int, *, outside_number: str | None, audible: bool) -> CallFacts | None:
    """Read the facts from a report, with `called_back_at` None; None for a merged call."""
    if report.merged_into is not None:
        return None
    return CallFacts(
        domain_id=domain_id,
        started_at=report.started_at,
        answered_at=report.answered_at,
        direction=report.direction,
        result=report.result,
        employee=report.employee,
        number=report.number,
        talk_ms=report.talk_ms,
        audible=audible,
        outside_number=outside_number,
        called_back_at=None,
    )


def duration_s(report: CallReport) -> int | None:
    """Return the whole seconds from start to end; None while the call is in progress."""
    if report.ended_at is None:
        return None
    return max(0, whole_seconds(milliseconds(report.ended_at) - milliseconds(report.started_at)))


def whole_seconds(length_ms: int) -> int:
    """Round milliseconds to whole seconds, half up."""
    return (length_ms + 500) // 1000


def outside_number_of(direction: str, src: str, dst: str, country: str, area_codes: tuple[str, ...]) -> str | None:
    """Return the outside number of a call; None for an internal call, and if it is withheld.

    The country and the area codes are the domain's.
    """
    if direction == Direction.INTERNAL:
        return None
    return outside_party(src if direction == Direction.IN else dst, country, area_codes)
