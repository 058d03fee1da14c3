"""What somebody may see. No query for calls can be made without a Scope, and this file alone turns it into SQL.

An administrator sees the domain's calls, a user those they took part in (CONTRACT.md); what is outside is not there.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, true

from store.database.schema import calls, participants, segments


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """`login` None: the whole domain."""

    domain_id: int
    login: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class VisibleCalls:
    """The calls inside a scope: where to select from, and which columns tell start, key and recording as this scope sees them.

    `viewed` is what is left of the condition where only calls are asked for by key that are known to be inside.
    """

    source: FromClause
    condition: ColumnElement[bool]
    viewed: ColumnElement[bool]
    domain_id: int
    started_at: ColumnElement[Any]
    call_id: ColumnElement[Any]
    recording_state: ColumnElement[Any]
    recording_reason: ColumnElement[Any]
    recording_ms: ColumnElement[Any]


def visible_calls(scope: Scope) -> VisibleCalls:
    """The calls of a scope. For a user everything is read in the order of the index of `participants`."""
    return _inside(scope, calls.c.merged_into.is_(None))


def visible_calls_with(scope: Scope, login: str) -> VisibleCalls:
    """The calls of a company in which one user took part: read in that user's order, seen as the company sees them."""
    if scope.login is not None:
        raise ValueError("a user sees their own calls only")
    return VisibleCalls(
        source=participants.join(calls, calls.c.id == participants.c.call_id),
        condition=and_(participants.c.domain_id == scope.domain_id, participants.c.login == login, calls.c.merged_into.is_(None)),
        viewed=participants.c.login == login,
        domain_id=scope.domain_id,
        started_at=participants.c.started_at,
        call_id=participants.c.call_id,
        recording_state=calls.c.recording_state,
        recording_reason=calls.c.recording_reason,
        recording_ms=calls.c.recording_ms,
    )


def merged_calls(scope: Scope) -> VisibleCalls:
    """What was a call of the scope, and is a part of another one now: it has no row any more."""
    return _inside(scope, calls.c.merged_into.is_not(None))


def _inside(scope: Scope, which: ColumnElement[bool]) -> VisibleCalls:
    if scope.login is None:
        return VisibleCalls(
            source=calls,
            condition=and_(calls.c.domain_id == scope.domain_id, which),
            viewed=true(),
            domain_id=scope.domain_id,
            started_at=calls.c.started_at,
            call_id=calls.c.id,
            recording_state=calls.c.recording_state,
            recording_reason=calls.c.recording_reason,
            recording_ms=calls.c.recording_ms,
        )
    return VisibleCalls(
        source=participants.join(calls, calls.c.id == participants.c.call_id),
        condition=and_(participants.c.domain_id == scope.domain_id, participants.c.login == scope.login, which),
        viewed=participants.c.login == scope.login,
        domain_id=scope.domain_id,
        started_at=participants.c.started_at,
        call_id=participants.c.call_id,
        recording_state=participants.c.recording_state,
        recording_reason=participants.c.recording_reason,
        recording_ms=participants.c.recording_ms,
    )


def visible_segments(scope: Scope) -> ColumnElement[bool]:
    """Which segments of a visible call may be heard: one's own, or as an administrator all."""
    return segments.c.id.is_not(None) if scope.login is None else segments.c.user == scope.login
