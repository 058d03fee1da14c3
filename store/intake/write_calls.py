"""Writing calls with their path, participants and segments, in one transaction.

The number of statements does not grow with the number of calls: an agent that was cut off for an
hour ships thousands.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, Row, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import Direction, Reason, RecordingState, Result
from store.database.dialect import insert
from store.database.schema import call_paths, calls, domains, participants, segments
from store.database.signals import Signal, SignalKind
from store.intake.call_backs import WrittenCall, update_call_backs
from store.intake.facts import facts_of_row, outside_number_of
from store.intake.merge import StoredCall, is_newer, merge
from store.intake.recording_state import Segment
from store.intake.row_mapping import CallWrite, IncomingReport, call_values, path_step, recording_values, segment_of, stored_call
from store.intake.write_counters import update_counters


@dataclass(frozen=True, kw_only=True, slots=True)
class CallChange:
    """The change of a call by a write. `was_ended` and `was` are its state before.

    `mos` is the score of the worst leg, None if it is not known or did not change.
    """

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
    mos: float | None = None

    def signal(self, *, recording_only: bool) -> Signal:
        """Return the signal of the change; a new call is never a change of its recording only."""
        kind = SignalKind.RECORDING if recording_only and not self.is_new else SignalKind.CALL
        return Signal(kind=kind, of=self.domain_id, what=self.public_id)


async def write_calls(connection: AsyncConnection, pbx_id: int, incoming: Sequence[IncomingReport]) -> list[CallChange]:
    """Write calls of one PBX, each at most once, and return the changes.

    The caller has locked the PBX, which protects its calls (`store.intake.bounds`). Calls without
    anything new are left out. The changes of missed calls that are called back by these calls come
    last.
    """
    by_id = {item.public_id: item for item in incoming}
    stored = await stored_calls(connection, list(by_id))
    if await _move_segments(connection, pbx_id, by_id, stored):
        stored = await stored_calls(connection, list(by_id))
    new = {
        public_id: item
        for public_id, item in by_id.items()
        if item.arrived is not None or is_newer(stored.get(public_id), item.report)
    }
    if not new:
        return []
    domain_ids = {item.domain_id for item in new.values()}
    locked = await _lock_domains(connection, domain_ids | {stored[public_id].domain_id for public_id in new if public_id in stored})
    writes = [
        CallWrite(
            public_id=public_id,
            incoming=item,
            stored=stored.get(public_id),
            merged=merge(stored.get(public_id), item.report, item.arrived),
            outside_number=locked[item.domain_id].outside_number(item),
        )
        for public_id, item in new.items()
    ]
    keys = await _write_rows(connection, pbx_id, writes)
    await _write_paths(connection, keys, writes)
    await _write_segments(connection, pbx_id, keys, writes)
    await _write_participants(connection, keys, writes)
    await _pass_on_legal_holds(connection, writes)
    others = await _write_consequences(connection, keys, writes, {key: domain.zone for key, domain in locked.items()})
    return [*(_change(keys[call.public_id], call) for call in writes), *others]


@dataclass(frozen=True, kw_only=True, slots=True)
class _LockedDomain:
    """The settings of a domain on which counters and call backs depend."""

    zone: ZoneInfo
    country: str
    area_codes: tuple[str, ...]

    def outside_number(self, incoming: IncomingReport) -> str | None:
        """Return the outside number of a call of the domain."""
        report = incoming.report
        return outside_number_of(report.direction, report.src, report.dst, self.country, self.area_codes)


async def _lock_domains(connection: AsyncConnection, domain_ids: Iterable[int]) -> dict[int, _LockedDomain]:
    """Lock domains until the transaction ends.

    Two PBXs of a company may report a missed call and its call back at the same time: each
    transaction must see the other's call.
    """
    columns = (domains.c.id, domains.c.timezone, domains.c.country, domains.c.area_codes)
    query = select(*columns).where(domains.c.id.in_(domain_ids)).order_by(domains.c.id).with_for_update(key_share=True)
    return {
        row.id: _LockedDomain(zone=ZoneInfo(row.timezone), country=row.country, area_codes=tuple(row.area_codes))
        for row in await connection.execute(query)
    }


async def _write_consequences(
    connection: AsyncConnection, keys: Mapping[str, int], writes: Sequence[CallWrite], zones: Mapping[int, ZoneInfo]
) -> list[CallChange]:
    """Update the call backs and the counters; return the changes of other calls."""
    written = {
        keys[call.public_id]: WrittenCall(
            key=keys[call.public_id], before=call.stored.facts if call.stored else None, after=call.facts
        )
        for call in writes
    }
    others = []
    for row, called_back_at in await connection.run_sync(update_call_backs, list(written.values())):
        facts = facts_of_row(row._mapping)
        if facts is None:
            continue
        call = written.get(row.id)
        after = replace(facts, called_back_at=called_back_at)
        written[row.id] = WrittenCall(key=row.id, before=call.before if call else facts, after=after)
        if call is None:
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


async def _move_segments(
    connection: AsyncConnection, pbx_id: int, incoming: Mapping[str, IncomingReport], stored: Mapping[str, StoredCall]
) -> bool:
    """Move segments of merged calls to the call whose newer report has them; whether any moved.

    The legal hold of a call goes with its segments.
    """
    owners = {
        segment.name: stored[public_id].key
        for public_id, item in incoming.items()
        if public_id in stored and is_newer(stored[public_id], item.report) and item.report.merged_into is None
        for segment in item.report.segments
    }
    query = select(segments.c.id, segments.c.name, segments.c.call_id, calls.c.legal_hold).join(
        calls, calls.c.id == segments.c.call_id
    )
    found = await connection.execute(query.where(segments.c.pbx_id == pbx_id, segments.c.name.in_(owners)))
    rows = [row for row in found if row.call_id != owners[row.name]]
    if rows:
        moved = update(segments).where(segments.c.id == bindparam("key")).values(call_id=bindparam("new_call_id"))
        await connection.execute(moved, [{"key": row.id, "new_call_id": owners[row.name]} for row in rows])
    held = {owners[row.name] for row in rows if row.legal_hold}
    if held:
        await connection.execute(update(calls).where(calls.c.id.in_(held)).values(legal_hold=True))
    return bool(rows)


async def _pass_on_legal_holds(connection: AsyncConnection, writes: Sequence[CallWrite]) -> None:
    """Put a call under legal hold if a call of the same domain that is merged into it is."""
    targets = {call.public_id: call.incoming.target_id for call in writes if call.incoming.target_id is not None}
    if not targets:
        return
    merged = select(calls.c.public_id, calls.c.domain_id).where(calls.c.public_id.in_(targets), calls.c.legal_hold)
    for row in await connection.execute(merged):
        target = (calls.c.public_id == targets[row.public_id]) & (calls.c.domain_id == row.domain_id)
        await connection.execute(update(calls).where(target).values(legal_hold=True))


async def stored_calls(connection: AsyncConnection, public_ids: Sequence[str]) -> dict[str, StoredCall]:
    """Return stored calls with their segments and participants, by public id."""
    rows = (await connection.execute(select(calls).where(calls.c.public_id.in_(public_ids)))).all()
    keys = [row.id for row in rows]
    by_call: dict[int, list[Segment]] = {}
    logins: dict[int, list[str]] = {}
    if keys:
        for segment in await connection.execute(select(segments).where(segments.c.call_id.in_(keys))):
            by_call.setdefault(segment.call_id, []).append(segment_of(segment))
        query = select(participants.c.call_id, participants.c.login).where(participants.c.call_id.in_(keys))
        for row in await connection.execute(query):
            logins.setdefault(row.call_id, []).append(row.login)
    return {row.public_id: stored_call(row, by_call.get(row.id, []), logins.get(row.id, [])) for row in rows}


async def _write_rows(connection: AsyncConnection, pbx_id: int, writes: Sequence[CallWrite]) -> dict[str, int]:
    """Write the rows of `calls`; return the keys by public id."""
    keys = {call.public_id: call.stored.key for call in writes if call.stored is not None}
    new = [
        {"public_id": call.public_id, "pbx_id": pbx_id, "linkedid": call.incoming.report.linkedid, "legal_hold": False}
        | call_values(call)
        for call in writes
        if call.stored is None
    ]
    if new:
        rows = await connection.execute(calls.insert().returning(calls.c.public_id, calls.c.id), new)
        keys |= {row.public_id: row.id for row in rows}
    reported = [call for call in writes if call.stored is not None and call.is_newer]
    await update_calls(connection, [{"key": keys[call.public_id]} | call_values(call) for call in reported])
    recorded = [call for call in writes if call.stored is not None and not call.is_newer]
    await update_calls(connection, [{"key": keys[call.public_id]} | recording_values(call.merged.recording) for call in recorded])
    return keys


async def update_calls(connection: AsyncConnection, values: Sequence[dict[str, Any]]) -> None:
    """Update rows of `calls`: each of the values has the same columns, and the key as `key`."""
    if values:
        columns: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in values[0] if name != "key"}
        parameters = [{name if name == "key" else f"new_{name}": value for name, value in row.items()} for row in values]
        await connection.execute(update(calls).where(calls.c.id == bindparam("key")).values(columns), parameters)


async def _write_paths(connection: AsyncConnection, keys: dict[str, int], writes: Sequence[CallWrite]) -> None:
    rows = [
        {"call_id": keys[call.public_id], "steps": [path_step(step) for step in call.incoming.report.path]}
        for call in writes
        if call.is_newer
    ]
    if rows:
        new = insert(connection.dialect, call_paths)
        upsert = new.on_conflict_do_update(index_elements=[call_paths.c.call_id], set_={"steps": new.excluded.steps})
        await connection.execute(upsert, rows)


async def _write_segments(connection: AsyncConnection, pbx_id: int, keys: dict[str, int], writes: Sequence[CallWrite]) -> None:
    """Write the reported columns of segments; `store.intake.intake` writes those of the audio."""
    removed = [name for call in writes for name in call.merged.removed_segments]
    if removed:
        await connection.execute(delete(segments).where(segments.c.pbx_id == pbx_id, segments.c.name.in_(removed)))
    rows = [
        {
            "pbx_id": pbx_id,
            "call_id": keys[call.public_id],
            "name": segment.name,
            "user": segment.user,
            "started_at": segment.started_at,
            "reason": segment.reason,
        }
        for call in writes
        for segment in call.merged.segments
    ]
    if rows:
        new = insert(connection.dialect, segments)
        values = {name: new.excluded[name] for name in ("user", "started_at", "reason")}
        same_call = segments.c.call_id == new.excluded.call_id  # a segment of another call is not taken from it
        names = [segments.c.pbx_id, segments.c.name]
        await connection.execute(new.on_conflict_do_update(index_elements=names, set_=values, where=same_call), rows)


async def _write_participants(connection: AsyncConnection, keys: dict[str, int], writes: Sequence[CallWrite]) -> None:
    present = [call.stored.key for call in writes if call.stored is not None]
    if present:
        await connection.execute(delete(participants).where(participants.c.call_id.in_(present)))
    rows = [
        {
            "call_id": keys[call.public_id],
            "login": login,
            "domain_id": call.incoming.domain_id if call.is_newer or call.stored is None else call.stored.domain_id,
            "started_at": call.incoming.report.started_at if call.is_newer or call.stored is None else call.stored.started_at,
        }
        | recording_values(recording)
        for call in writes
        for login, recording in call.merged.recordings.items()
    ]
    if rows:
        await connection.execute(participants.insert(), rows)


def _change(key: int, call: CallWrite) -> CallChange:
    stored, report = call.stored, call.incoming.report
    newest = report if stored is None or call.is_newer else stored
    return CallChange(
        call_id=key,
        public_id=call.public_id,
        domain_id=call.incoming.domain_id if stored is None or call.is_newer else stored.domain_id,
        direction=newest.direction,
        result=newest.result,
        ended_at=newest.ended_at,
        was_ended=stored is not None and stored.ended_at is not None,
        is_new=stored is None,
        was=stored.recording if stored else None,
        recording=call.merged.recording.state,
        reason=call.merged.recording.reason,
        mos=report.quality.mos if newest is report and report.quality is not None else None,
    )
