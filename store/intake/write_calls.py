"""Calls in the index, read and written whole: row, path, participants and segments always together in one transaction.

Many calls are written with as many statements as one: an agent that was cut off for an hour has thousands to tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, Row, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction, Reason, RecordingState, Result
from fonoteka.core.naming import call_id
from store.database.dialect import insert
from store.database.schema import call_paths, calls, domains, participants, pbxs, segments
from store.intake.call_backs import WrittenCall, update_call_backs
from store.intake.facts import facts_of_row, outside_number_of
from store.intake.merge import StoredCall, is_newer, merge
from store.intake.recording_state import Segment
from store.intake.row_mapping import CallWrite, IncomingReport, call_values, path_step, recording_values, segment_of, stored_call
from store.intake.write_counters import update_counters


@dataclass(frozen=True, kw_only=True, slots=True)
class CallChange:
    """What a write changed in a call, for those who watch. `was_ended` and `was` tell how it stood before."""

    call_id: int
    public_id: str
    domain_id: int
    direction: Direction
    result: Result
    ended_at: datetime | None
    was_ended: bool
    is_new: bool
    was: RecordingState | None
    recording: RecordingState
    reason: Reason | None


async def write_calls(connection: AsyncConnection, pbx_id: int, incoming: Sequence[IncomingReport]) -> list[CallChange]:
    """Write calls of one PBX, each at most once; those in which nothing is new are left alone and not in the answer.

    After the changes of these calls, in the order given, come those of the missed calls that were called back by them.
    """
    # A call is of one PBX, so whoever holds the PBX's row is alone with all of them (SQLite has one writer anyway).
    await connection.execute(select(pbxs.c.id).where(pbxs.c.id == pbx_id).with_for_update())
    by_id = {call_id(one.report.pbx, one.report.linkedid): one for one in incoming}
    known = await _known(connection, list(by_id))
    if await _adopt_segments(connection, pbx_id, by_id, known):
        known = await _known(connection, list(by_id))
    new = [
        (public_id, one, known.get(public_id))
        for public_id, one in by_id.items()
        if one.arrived is not None or is_newer(known.get(public_id), one.report)
    ]
    if not new:
        return []
    domains_by_id = await _lock_domains(connection, new)
    writing = [
        CallWrite(
            public_id=public_id,
            incoming=one,
            known=there,
            merged=merge(there, one.report, one.arrived),
            outside_number=domains_by_id[one.domain_id].outside_number(one),
        )
        for public_id, one, there in new
    ]
    keys = await _write_rows(connection, pbx_id, writing)
    await _write_paths(connection, keys, writing)
    await _write_segments(connection, pbx_id, keys, writing)
    await _write_participants(connection, keys, writing)
    await _pass_on_legal_holds(connection, writing)
    others = await _follow(connection, keys, writing, {key: domain.zone for key, domain in domains_by_id.items()})
    return [*(_change(keys[one.public_id], one) for one in writing), *others]


@dataclass(frozen=True, kw_only=True, slots=True)
class _LockedDomain:
    """What of a domain's settings its calls are counted and matched by."""

    zone: ZoneInfo
    country: str
    area_codes: tuple[str, ...]

    def outside_number(self, one: IncomingReport) -> str | None:
        return outside_number_of(one.report.direction, one.report.src, one.report.dst, self.country, self.area_codes)


async def _lock_domains(
    connection: AsyncConnection, new: Sequence[tuple[str, IncomingReport, StoredCall | None]]
) -> dict[int, _LockedDomain]:
    """The domains that these calls are of or were of, held until the transaction ends.

    Two PBXs of a company may report a missed call and the call back at once, and each must see what the other wrote.
    """
    ids = {one.domain_id for _, one, _ in new} | {there.domain_id for _, _, there in new if there is not None}
    columns = (domains.c.id, domains.c.timezone, domains.c.country, domains.c.area_codes)
    query = select(*columns).where(domains.c.id.in_(ids)).order_by(domains.c.id).with_for_update(key_share=True)
    rows = await connection.execute(query)
    return {
        row.id: _LockedDomain(zone=ZoneInfo(row.timezone), country=row.country, area_codes=tuple(row.area_codes)) for row in rows
    }


async def _follow(
    connection: AsyncConnection, keys: Mapping[str, int], writing: Sequence[CallWrite], zones: Mapping[int, ZoneInfo]
) -> list[CallChange]:
    """What follows from the rows just written: call backs, and the figures. Gives the changes of other calls."""
    written = {
        keys[one.public_id]: WrittenCall(key=keys[one.public_id], before=one.known.facts if one.known else None, after=one.facts)
        for one in writing
    }
    others = []
    for row, back_at in await connection.run_sync(update_call_backs, list(written.values())):
        facts = facts_of_row(row._mapping)
        if facts is None:
            continue
        mine = written.get(row.id)
        written[row.id] = WrittenCall(
            key=row.id, before=mine.before if mine else facts, after=replace(facts, called_back_at=back_at)
        )
        if mine is None:
            others.append(_change_of_row(row))
    await connection.run_sync(update_counters, list(written.values()), zones)
    return others


def _change_of_row(row: Row[Any]) -> CallChange:
    state = RecordingState(row.recording_state)
    return CallChange(
        call_id=row.id,
        public_id=row.public_id,
        domain_id=row.domain_id,
        direction=Direction(row.direction),
        result=Result(row.result),
        ended_at=row.ended_at,
        was_ended=row.ended_at is not None,
        is_new=False,
        was=state,
        recording=state,
        reason=Reason(row.recording_reason) if row.recording_reason else None,
    )


async def merged_into(connection: AsyncConnection, public_id: str) -> str | None:
    """The linkedid of the call that this one became a part of; None if it did not."""
    return (await connection.execute(select(calls.c.merged_into).where(calls.c.public_id == public_id))).scalar()


async def _adopt_segments(
    connection: AsyncConnection, pbx_id: int, incoming: Mapping[str, IncomingReport], known: Mapping[str, StoredCall]
) -> bool:
    """Give segments to the call whose newer report names them: they came with a call that has become a part of it."""
    claims = {
        segment.name: known[public_id].key
        for public_id, one in incoming.items()
        if public_id in known and is_newer(known[public_id], one.report) and one.report.merged_into is None
        for segment in one.report.segments
    }
    theirs = select(segments.c.id, segments.c.name, segments.c.call_id)
    rows = await connection.execute(theirs.where(segments.c.pbx_id == pbx_id, segments.c.name.in_(claims)))
    moves = [{"key": row.id, "new_call_id": claims[row.name]} for row in rows if row.call_id != claims[row.name]]
    if moves:
        moved = update(segments).where(segments.c.id == bindparam("key")).values(call_id=bindparam("new_call_id"))
        await connection.execute(moved, moves)
    return bool(moves)


async def _pass_on_legal_holds(connection: AsyncConnection, writing: Sequence[CallWrite]) -> None:
    """Whoever holds a call holds the one that it becomes a part of, in the same company."""
    reports = [(one.public_id, one.incoming.report) for one in writing]
    wholes = {part: call_id(report.pbx, report.merged_into) for part, report in reports if report.merged_into is not None}
    if not wholes:
        return
    parts = select(calls.c.public_id, calls.c.domain_id).where(calls.c.public_id.in_(wholes), calls.c.legal_hold)
    for part in await connection.execute(parts):
        whole = (calls.c.public_id == wholes[part.public_id]) & (calls.c.domain_id == part.domain_id)
        await connection.execute(update(calls).where(whole).values(legal_hold=True))


async def _known(connection: AsyncConnection, public_ids: Sequence[str]) -> dict[str, StoredCall]:
    rows = (await connection.execute(select(calls).where(calls.c.public_id.in_(public_ids)))).all()
    keys = [row.id for row in rows]
    parts: dict[int, list[Segment]] = {}
    logins: dict[int, list[str]] = {}
    if keys:
        for segment in await connection.execute(select(segments).where(segments.c.call_id.in_(keys))):
            parts.setdefault(segment.call_id, []).append(segment_of(segment))
        who = select(participants.c.call_id, participants.c.login).where(participants.c.call_id.in_(keys))
        for row in await connection.execute(who):
            logins.setdefault(row.call_id, []).append(row.login)
    return {row.public_id: stored_call(row, parts.get(row.id, []), logins.get(row.id, [])) for row in rows}


async def _write_rows(connection: AsyncConnection, pbx_id: int, writing: Sequence[CallWrite]) -> dict[str, int]:
    """The rows of `calls`; returns the key of each by public id."""
    keys = {one.public_id: one.known.key for one in writing if one.known is not None}
    fresh = [
        {"public_id": one.public_id, "pbx_id": pbx_id, "linkedid": one.incoming.report.linkedid, "legal_hold": False}
        | call_values(one)
        for one in writing
        if one.known is None
    ]
    if fresh:
        added = await connection.execute(calls.insert().returning(calls.c.public_id, calls.c.id), fresh)
        keys |= {row.public_id: row.id for row in added}
    told = [one for one in writing if one.known is not None and one.is_newer]
    await _update_calls(connection, [{"key": keys[one.public_id]} | call_values(one) for one in told])
    only_heard = [one for one in writing if one.known is not None and not one.is_newer]
    await _update_calls(connection, [{"key": keys[one.public_id]} | recording_values(one.merged.recording) for one in only_heard])
    return keys


async def _update_calls(connection: AsyncConnection, values: Sequence[dict[str, Any]]) -> None:
    if values:
        columns: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in values[0] if name != "key"}
        given = [{name if name == "key" else f"new_{name}": value for name, value in row.items()} for row in values]
        await connection.execute(update(calls).where(calls.c.id == bindparam("key")).values(columns), given)


async def _write_paths(connection: AsyncConnection, keys: dict[str, int], writing: Sequence[CallWrite]) -> None:
    rows = [
        {
            "call_id": keys[one.public_id],
            "steps": [path_step(step) for step in one.incoming.report.path],
        }
        for one in writing
        if one.is_newer
    ]
    if rows:
        new = insert(connection.dialect, call_paths)
        there = new.on_conflict_do_update(index_elements=[call_paths.c.call_id], set_={"steps": new.excluded.steps})
        await connection.execute(there, rows)


async def _write_segments(connection: AsyncConnection, pbx_id: int, keys: dict[str, int], writing: Sequence[CallWrite]) -> None:
    """What was reported of segments; what arrived of one is written by whoever took it."""
    given_up = [name for one in writing for name in one.merged.given_up]
    if given_up:
        await connection.execute(delete(segments).where(segments.c.pbx_id == pbx_id, segments.c.name.in_(given_up)))
    rows = [
        {
            "pbx_id": pbx_id,
            "call_id": keys[one.public_id],
            "name": segment.name,
            "user": segment.user,
            "started_at": segment.started_at,
            "reason": segment.reason,
        }
        for one in writing
        for segment in one.merged.segments
    ]
    if rows:
        new = insert(connection.dialect, segments)
        told = {name: new.excluded[name] for name in ("user", "started_at", "reason")}
        mine = segments.c.call_id == new.excluded.call_id  # a name that another call has already is not taken from it
        there = new.on_conflict_do_update(index_elements=[segments.c.pbx_id, segments.c.name], set_=told, where=mine)
        await connection.execute(there, rows)


async def _write_participants(connection: AsyncConnection, keys: dict[str, int], writing: Sequence[CallWrite]) -> None:
    known = [one.known.key for one in writing if one.known is not None]
    if known:
        await connection.execute(delete(participants).where(participants.c.call_id.in_(known)))
    rows = [
        {
            "call_id": keys[one.public_id],
            "login": login,
            "domain_id": one.incoming.domain_id if one.is_newer or one.known is None else one.known.domain_id,
            "started_at": one.incoming.report.started_at if one.is_newer or one.known is None else one.known.started_at,
        }
        | recording_values(recording)
        for one in writing
        for login, recording in one.merged.recordings.items()
    ]
    if rows:
        await connection.execute(participants.insert(), rows)


def _change(key: int, one: CallWrite) -> CallChange:
    known, report = one.known, one.incoming.report
    newest = report if known is None or one.is_newer else known
    return CallChange(
        call_id=key,
        public_id=one.public_id,
        domain_id=one.incoming.domain_id if known is None or one.is_newer else known.domain_id,
        direction=newest.direction,
        result=newest.result,
        ended_at=newest.ended_at,
        was_ended=known is not None and known.ended_at is not None,
        is_new=known is None,
        was=known.recording if known else None,
        recording=one.merged.recording.state,
        reason=one.merged.recording.reason,
    )
