"""The rule of retention, for what is deleted and for the dates that are shown.

Audio is kept for `retention_days` after the start of its call: those of the user who was recorded,
or else those of the domain. Calls are kept for the domain's `calls_retention_days`, or for ever.
A day has 24 hours. What is under legal hold is kept longer: the callers of this module see to it.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Join, cast, func, type_coerce

from store.database.schema import calls, milliseconds, segments, users
from store.selection.identity import user_at

_DAY_MS = timedelta(days=1) // timedelta(milliseconds=1)


def expires_at(started_at: datetime, days: int) -> datetime:
    """Return when a call, or its audio, expires if it is kept for `days`."""
    return started_at + timedelta(days=days)


def expired_before(now: datetime, days: int) -> datetime:
    """Return the time at or before which the expired calls began, if calls are kept for `days`."""
    return now - timedelta(days=days)


def with_recorded_users(source: FromClause) -> Join:
    """Add the row of `users` of each segment's user; the source has `segments` and `calls`."""
    return source.outerjoin(users, user_at(calls.c.domain_id, segments.c.user, calls.c.started_at))


def audio_days(domain_days: ColumnElement[Any]) -> ColumnElement[int]:
    """Return the days for which a segment's audio is kept; `domain_days` are the domain's."""
    return func.coalesce(users.c.retention_days, domain_days)


def has_expired(days: ColumnElement[int], now: datetime) -> ColumnElement[bool]:
    """Return the condition that a call, or its audio, has expired if it is kept for `days`."""
    return type_coerce(calls.c.started_at, BigInteger) + cast(days, BigInteger) * _DAY_MS <= milliseconds(now)
