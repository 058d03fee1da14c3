"""Who spoke how long, by employee: the calls whose recording tells it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, cast, func, select

from fonoteka.core.manifest import Speech
from store.database.schema import calls, users
from store.database.store import Store
from store.selection.scope import Scope, visible_calls
from store.selection.selection import Selection, conditions
from store.statistics.employee_filter import resolve_employee_filter


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechOfEmployee:
    """The sums over the calls of an employee; `longest_silence_ms` is the longest of all.

    `login` is None for calls without an employee; `name` is None for a user who was deleted.
    """

    login: str | None
    name: str | None
    calls: int
    speech: Speech


async def by_employee(store: Store, scope: Scope, selection: Selection, now: datetime) -> list[SpeechOfEmployee]:
    """Add up the speech of a selection's calls, most calls first."""
    visible = visible_calls(scope)
    c, employee = visible.speech, calls.c.employee
    sums = [
        cast(func.sum(column), BigInteger) for column in (c.spoken_outside_ms, c.spoken_employee_ms, c.spoken_both_ms, c.silence_ms)
    ]
    async with store.reading() as connection:
        wanted = conditions(await resolve_employee_filter(connection, scope, selection), visible, now)
        query = select(employee, func.count(), *sums, func.max(c.longest_silence_ms)).select_from(visible.source)
        rows = await connection.execute(query.where(wanted, c.longest_silence_ms.is_not(None)).group_by(employee))
        named = select(users.c.login, users.c.name).where(users.c.domain_id == scope.domain_id, users.c.valid_until.is_(None))
        names = {row.login: row.name for row in await connection.execute(named)}
    found = [
        SpeechOfEmployee(
            login=login,
            name=names.get(login),
            calls=count,
            speech=Speech(outside_ms=outside, employee_ms=own, overlap_ms=both, silence_ms=silence, longest_silence_ms=longest),
        )
        for login, count, outside, own, both, silence, longest in rows
    ]
    return sorted(found, key=lambda each: (-each.calls, each.login or ""))
