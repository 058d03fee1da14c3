"""When a missed call was called back (CONTRACT.md, `called_back_at`): the first answered call of the company to the same party.

It counts if it was answered after the missed call began. Of all moments at which a party was reached, each missed call has
the first after its own beginning; so a call back that comes, goes or moves concerns only those missed calls which began
between the call back before it and itself, however often this party has called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    String,
    and_,
    bindparam,
    func,
    literal_column,
    select,
    true,
    type_coerce,
    update,
)

from store.database.dialect import parameter_rows
from store.database.schema import calls, domains, milliseconds
from store.intake.batches import calls_in_batches
from store.intake.facts import FACTS, CallFacts, outside_number_of

_AGAIN: Final = calls.alias("again")

# As literals: SQLite takes a partial index only where its condition stands in the statement.
MISSED: Final = and_(
    calls.c.direction == literal_column("'in'"), calls.c.result != literal_column("'answered'"), calls.c.merged_into.is_(None)
)
_REACHED: Final = and_(
    _AGAIN.c.direction == literal_column("'out'"), _AGAIN.c.result == literal_column("'answered'"), _AGAIN.c.merged_into.is_(None)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenCall:
    """A call just written: its key, and its facts before and after (None: it was not there, or has no row of its own)."""

    key: int
    before: CallFacts | None
    after: CallFacts | None


def update_call_backs(connection: Connection, written: Sequence[WrittenCall]) -> list[tuple[Row[Any], datetime | None]]:
    """Bring `called_back_at` up to date after calls were written. Gives the rows that changed (as before), and the new time.

    A row has the columns FACTS, `id`, `public_id`, `ended_at` and `recording_reason`.
    """
    own = [one.key for one in written if one.after and one.after.awaited_call_back and not _same_wait(one.before, one.after)]
    moved = {back for one in written for back in _moved(one)}
    rows: list[Row[Any]] = []
    if own:
        rows += connection.execute(_missed_calls().where(calls.c.id.in_(own))).all()
    if moved:
        told = [[domain_id, outside_number, milliseconds(at)] for domain_id, outside_number, at in sorted(moved)]
        rows += connection.execute(*_waiting_between(connection, told)).all()
    changed = {row.id: (row, row.back_at) for row in rows if row.back_at != row.called_back_at}
    if changed:
        new = update(calls).where(calls.c.id == bindparam("key")).values(called_back_at=bindparam("back_at"))
        connection.execute(new, [{"key": key, "back_at": back_at} for key, (_, back_at) in changed.items()])
    return list(changed.values())


def rebuild_call_backs(connection: Connection, domain_id: int) -> None:
    """Work out `outside_number` and `called_back_at` of all calls of a domain anew, as its country and cities are now."""
    domain = connection.execute(select(domains.c.country, domains.c.area_codes).where(domains.c.id == domain_id)).one()
    area_codes = tuple(domain.area_codes)
    _update_outside_numbers(connection, domain_id, domain.country, area_codes)
    mine = calls.c.domain_id == domain_id
    connection.execute(update(calls).where(mine, calls.c.called_back_at.is_not(None)).values(called_back_at=None))
    connection.execute(update(calls).where(mine, MISSED, calls.c.outside_number.is_not(None)).values(called_back_at=_first_back()))


def _update_outside_numbers(connection: Connection, domain_id: int, country: str, area_codes: tuple[str, ...]) -> None:
    new = update(calls).where(calls.c.id == bindparam("key")).values(outside_number=bindparam("new_outside_number"))
    for rows in calls_in_batches(connection, domain_id, calls.c.direction, calls.c.src, calls.c.dst, calls.c.outside_number):
        outside_numbers = {row.id: outside_number_of(row.direction, row.src, row.dst, country, area_codes) for row in rows}
        changed = [
            {"key": row.id, "new_outside_number": outside_numbers[row.id]}
            for row in rows
            if row.outside_number != outside_numbers[row.id]
        ]
        if changed:
            connection.execute(new, changed)


def _moved(one: WrittenCall) -> set[tuple[int, str, datetime]]:
    """The calls back that came or went."""
    return {back for back in {_back(one.before)} ^ {_back(one.after)} if back is not None}


def _back(facts: CallFacts | None) -> tuple[int, str, datetime] | None:
    return None if facts is None else facts.made_call_back


def _same_wait(before: CallFacts | None, after: CallFacts) -> bool:
    return before is not None and before.awaited_call_back == after.awaited_call_back


def _first_back() -> ScalarSelect[Any]:
    """When the party of a call was first reached after the call began."""
    reached = and_(_AGAIN.c.domain_id == calls.c.domain_id, _AGAIN.c.outside_number == calls.c.outside_number, _REACHED)
    first = select(func.min(_AGAIN.c.answered_at)).where(reached, _AGAIN.c.answered_at > calls.c.started_at)
    return first.correlate(calls).scalar_subquery()


def _missed_calls() -> Select[Any]:
    more = (calls.c.id, calls.c.public_id, calls.c.ended_at, calls.c.recording_reason)
    return select(*FACTS, *more, _first_back().label("back_at")).where(MISSED)


def _waiting_between(connection: Connection, moved: list[list[Any]]) -> tuple[Select[Any], dict[str, str]]:
    """The missed calls that began between each of these calls back (domain, party, when) and the one before it."""
    source, (domain_id, outside_number, at), given = parameter_rows(connection.dialect, moved, (BigInteger, String, BigInteger))
    reached = and_(_AGAIN.c.domain_id == domain_id, _AGAIN.c.outside_number == outside_number, _REACHED)
    answered_at = type_coerce(_AGAIN.c.answered_at, BigInteger)
    one_before = (
        select(func.coalesce(func.max(answered_at), 0)).where(reached, answered_at < at).correlate(source).scalar_subquery()
    )
    started_at: ColumnElement[int] = type_coerce(calls.c.started_at, BigInteger)
    between = and_(
        calls.c.domain_id == domain_id, calls.c.outside_number == outside_number, started_at < at, started_at >= one_before
    )
    return _missed_calls().select_from(source.join(calls, true())).where(between), given
