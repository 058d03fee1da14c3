"""`called_back_at` of missed calls: the company's first answered call to the same outside number.

A call back counts if it was answered after the missed call began. A call back that is added, moved
or removed changes only the missed calls that began between the previous call back and itself,
however often the outside party has called.
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

# Literals: SQLite uses a partial index only if the statement contains its condition.
MISSED: Final = and_(
    calls.c.direction == literal_column("'in'"), calls.c.result != literal_column("'answered'"), calls.c.merged_into.is_(None)
)
_REACHED: Final = and_(
    _AGAIN.c.direction == literal_column("'out'"), _AGAIN.c.result == literal_column("'answered'"), _AGAIN.c.merged_into.is_(None)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenCall:
    """A call that was just written: its key, and its facts before and after.

    None means that there was no call, or that it is merged into another.
    """

    key: int
    before: CallFacts | None
    after: CallFacts | None


def update_call_backs(connection: Connection, written: Sequence[WrittenCall]) -> list[tuple[Row[Any], datetime | None]]:
    """Update `called_back_at` after calls were written; return changed rows and their new times.

    The rows are as before the change, with the columns FACTS, `id`, `public_id`, `ended_at` and
    `recording_reason`.
    """
    own = [call.key for call in written if call.after and call.after.awaited_call_back and not _same_wait(call.before, call.after)]
    moved = {call_back for call in written for call_back in _moved_call_backs(call)}
    rows: list[Row[Any]] = []
    if own:
        rows += connection.execute(_missed_calls().where(calls.c.id.in_(own))).all()
    if moved:
        parameters = [[domain_id, outside_number, milliseconds(at)] for domain_id, outside_number, at in sorted(moved)]
        rows += connection.execute(*_missed_before(connection, parameters)).all()
    changed = {row.id: (row, row.back_at) for row in rows if row.back_at != row.called_back_at}
    if changed:
        new = update(calls).where(calls.c.id == bindparam("key")).values(called_back_at=bindparam("back_at"))
        connection.execute(new, [{"key": key, "back_at": back_at} for key, (_, back_at) in changed.items()])
    return list(changed.values())


def rebuild_call_backs(connection: Connection, domain_id: int) -> None:
    """Recompute `outside_number` and `called_back_at` of all calls of a domain."""
    domain = connection.execute(select(domains.c.country, domains.c.area_codes).where(domains.c.id == domain_id)).one()
    area_codes = tuple(domain.area_codes)
    _update_outside_numbers(connection, domain_id, domain.country, area_codes)
    of_domain = calls.c.domain_id == domain_id
    connection.execute(update(calls).where(of_domain, calls.c.called_back_at.is_not(None)).values(called_back_at=None))
    missed = update(calls).where(of_domain, MISSED, calls.c.outside_number.is_not(None))
    connection.execute(missed.values(called_back_at=_first_call_back()))


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


def _moved_call_backs(call: WrittenCall) -> set[tuple[int, str, datetime]]:
    """Return the call backs that were added, moved or removed with a call."""
    before, after = (None if facts is None else facts.made_call_back for facts in (call.before, call.after))
    return {call_back for call_back in {before} ^ {after} if call_back is not None}


def _same_wait(before: CallFacts | None, after: CallFacts) -> bool:
    return before is not None and before.awaited_call_back == after.awaited_call_back


def _first_call_back() -> ScalarSelect[Any]:
    """Select when the outside number of a call was first reached after the call began."""
    reached = and_(_AGAIN.c.domain_id == calls.c.domain_id, _AGAIN.c.outside_number == calls.c.outside_number, _REACHED)
    first = select(func.min(_AGAIN.c.answered_at)).where(reached, _AGAIN.c.answered_at > calls.c.started_at)
    return first.correlate(calls).scalar_subquery()


def _missed_calls() -> Select[Any]:
    columns = (calls.c.id, calls.c.public_id, calls.c.ended_at, calls.c.recording_reason)
    return select(*FACTS, *columns, _first_call_back().label("back_at")).where(MISSED)


def _missed_before(connection: Connection, moved: list[list[Any]]) -> tuple[Select[Any], dict[str, str]]:
    """Select the missed calls between each given call back and the previous one.

    `moved` has rows of domain, outside number and milliseconds.
    """
    source, (domain_id, outside_number, at), given = parameter_rows(connection.dialect, moved, (BigInteger, String, BigInteger))
    reached = and_(_AGAIN.c.domain_id == domain_id, _AGAIN.c.outside_number == outside_number, _REACHED)
    answered_at = type_coerce(_AGAIN.c.answered_at, BigInteger)
    previous = select(func.coalesce(func.max(answered_at), 0)).where(reached, answered_at < at).correlate(source).scalar_subquery()
    started_at: ColumnElement[int] = type_coerce(calls.c.started_at, BigInteger)
    between = and_(
        calls.c.domain_id == domain_id, calls.c.outside_number == outside_number, started_at < at, started_at >= previous
    )
    return _missed_calls().select_from(source.join(calls, true())).where(between), given
