"""Scopes: which calls a user may see. Every query for calls needs a scope.

An administrator sees all calls of the domain, a user the calls in which the user took part.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, UnaryExpression, and_, select, true
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.operators import custom_op

from store.database.schema import calls, participants, segments


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """A domain, or one user of it; `login` is None for the domain.

    `since` is when the user took over the login of a removed user, whose calls stay hidden.
    """

    domain_id: int
    login: str | None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class VisibleCalls:
    """The calls in a scope: source, condition, and the columns as the scope sees them.

    `speech` has the SPEECH_COLUMNS.

    `viewed` is the condition to use with keys that are known to be in the scope. `taken_part` is
    the condition for the participants of one user's calls; None for the calls of a domain.
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
    speech: ReadOnlyColumnCollection[str, Column[Any]]
    taken_part: ColumnElement[bool] | None = None


def visible_calls(scope: Scope) -> VisibleCalls:
    """Return the calls of a scope. A user's are read in the order of an index of `participants`."""
    return _calls_in(scope, calls.c.merged_into.is_(None))


def visible_calls_by_key(scope: Scope, keys: Sequence[int]) -> VisibleCalls:
    """Return the calls of a scope that are among the keys."""
    wanted = and_(calls.c.merged_into.is_(None), calls.c.id.in_(keys))
    return _calls_in(scope, wanted, domain_of=without_index)


def visible_calls_with(scope: Scope, login: str) -> VisibleCalls:
    """Return the calls of a domain in which a user took part, with the domain's columns.

    They are read in the order of the user's index. Raises ValueError for the scope of a user.
    """
    if scope.login is not None:
        raise ValueError("a user sees their own calls only")
    taken_part = and_(participants.c.domain_id == scope.domain_id, participants.c.login == login)
    return VisibleCalls(
        source=participants.join(calls, calls.c.id == participants.c.call_id),
        condition=and_(taken_part, calls.c.merged_into.is_(None)),
        viewed=participants.c.login == login,
        domain_id=scope.domain_id,
        started_at=participants.c.started_at,
        call_id=participants.c.call_id,
        recording_state=calls.c.recording_state,
        recording_reason=calls.c.recording_reason,
        recording_ms=calls.c.recording_ms,
        speech=calls.c,
        taken_part=taken_part,
    )


def from_participants(visible: VisibleCalls) -> VisibleCalls:
    """Return the calls of one user, for conditions that ask for no column of `calls`.

    The few merged calls are looked up, instead of each call: PostgreSQL reads 75 pages for 10,000
    calls, and not 42,000.
    """
    assert visible.taken_part is not None
    merged = calls.alias("merged")
    is_merged = select(merged.c.id).where(merged.c.id == participants.c.call_id, merged.c.merged_into.is_not(None)).exists()
    return replace(visible, source=participants, condition=and_(visible.taken_part, ~is_merged))


def merged_calls(scope: Scope) -> VisibleCalls:
    """Return the calls of a scope that are merged into other calls."""
    return _calls_in(scope, calls.c.merged_into.is_not(None))


def without_index(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column with a unary plus, so that SQLite does not look for it in an index.

    Without statistics SQLite takes an index of the domain for better than a few keys, and reads all
    calls of the domain (https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms).
    """
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _calls_in(
    scope: Scope,
    condition: ColumnElement[bool],
    domain_of: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda column: column,
) -> VisibleCalls:
    if scope.login is None:
        return VisibleCalls(
            source=calls,
            condition=and_(domain_of(calls.c.domain_id) == scope.domain_id, condition),
            viewed=true(),
            domain_id=scope.domain_id,
            started_at=calls.c.started_at,
            call_id=calls.c.id,
            recording_state=calls.c.recording_state,
            recording_reason=calls.c.recording_reason,
            recording_ms=calls.c.recording_ms,
            speech=calls.c,
        )
    taken_part = and_(domain_of(participants.c.domain_id) == scope.domain_id, *_own_calls(scope))
    return VisibleCalls(
        source=participants.join(calls, calls.c.id == participants.c.call_id),
        condition=and_(taken_part, condition),
        viewed=participants.c.login == scope.login,
        domain_id=scope.domain_id,
        started_at=participants.c.started_at,
        call_id=participants.c.call_id,
        recording_state=participants.c.recording_state,
        recording_reason=participants.c.recording_reason,
        recording_ms=participants.c.recording_ms,
        speech=participants.c,
        taken_part=taken_part,
    )


def _own_calls(scope: Scope) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions for the participants that are the user of a scope."""
    yield participants.c.login == scope.login
    if scope.since is not None:  # a condition that is always true could lead SQLite astray
        yield participants.c.started_at >= scope.since


def visible_segments(scope: Scope) -> ColumnElement[bool]:
    """Return the condition for segments that the scope may hear: a user's own, or all."""
    return segments.c.id.is_not(None) if scope.login is None else segments.c.user == scope.login
