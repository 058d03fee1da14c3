"""Half a year of an office's calls: `python -m tests.data.half_year DIR [CALLS [PEOPLE [NUMBERS]]]` fills DIR with them.

`tests.data.office` is the company, `tests.data.office_calls` are its calls; here they get into a store.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, select, update

from fonoteka.core.call_report import CallReport, Reason, SegmentReport
from fonoteka.core.manifest import Mixed
from fonoteka.core.naming import peaks_key, recording_key
from store.database.schema import domains
from store.database.schema import segments as segment_table
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.intake.recording_state import Arrival, Segment
from store.intake.row_mapping import IncomingReport
from store.intake.write_calls import write_calls
from store.people.accounts import Pbx, ensure_pbx, pbx_of
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data.office import Office, office
from tests.data.office_calls import DAYS, calls_of, lengths_ms
from tests.data.seed import PBX_TOKEN, mixed_of, peaks, say_how_to_look, section, tone

_AT_ONCE: Final = 200  # as many as an agent ships together
_STILL_TO_COME: Final = (None, Reason.STOPPED_BY_USER)


async def fill(
    store: Store, count: int, *, of: Office | None = None, until: datetime | None = None, days: int = DAYS, heard: bool = True
) -> Pbx:
    """The directory, one PBX, and so many calls that end before `until` (now).

    `heard`: with their audio; without it what is recorded stays in the state `processing`, and 10 000 calls take two seconds.
    """
    of, until = of or office(), until or datetime.now(UTC)
    await apply(store, parse_directory(of.directory(), source="tests.data.half_year"))
    await ensure_pbx(store, "pbx1", PBX_TOKEN)
    pbx = await pbx_of(store, PBX_TOKEN)
    assert pbx is not None
    calls = calls_of(of, count, until=until, days=days)
    for first in range(0, len(calls), _AT_ONCE):
        batch = calls[first : first + _AT_ONCE]
        taken = await upsert_calls(store, pbx, batch)
        assert all(receipt.refused is None for receipt in taken.receipts), taken.receipts
        if heard:
            await _hear(store, pbx, batch)
    return pbx


@dataclass(frozen=True, kw_only=True, slots=True)
class _Coming:
    """The audio of a segment, on its way."""

    call: CallReport
    segment: SegmentReport
    length_ms: int


async def _hear(store: Store, pbx: Pbx, batch: Sequence[CallReport]) -> None:
    """Let the audio of these calls arrive, all of it in a few statements; what is equally long shares a file.

    `store.intake.intake.store_recording` does the same one by one: a file and its flushes to the disk for each take minutes.
    """
    coming = [
        _Coming(call=call, segment=segment, length_ms=length_ms)
        for call in batch
        for segment, length_ms in zip(call.segments, lengths_ms(call), strict=True)
        if segment.reason in _STILL_TO_COME
    ]
    sounds = {one.length_ms: await _sound(store, pbx, one.length_ms) for one in coming}
    async with store.writing() as connection:
        acme = (await connection.execute(select(domains.c.id).where(domains.c.name == "acme"))).scalar_one()
        for place in (0, 1):  # a call is written once at a time
            arriving = [one for one in coming if one.call.segments.index(one.segment) == place]
            await write_calls(connection, pbx.id, [_arrival(one, acme) for one in arriving])
            rows = [{"key": one.segment.name} | _values(one, *sounds[one.length_ms]) for one in arriving]
            if rows:
                values: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in rows[0] if name != "key"}
                there = (segment_table.c.pbx_id == pbx.id) & (segment_table.c.name == bindparam("key"))
                given = [{name if name == "key" else f"new_{name}": value for name, value in row.items()} for row in rows]
                await connection.execute(update(segment_table).where(there).values(values), given)


def _arrival(one: _Coming, domain_id: int) -> IncomingReport:
    arrival = Arrival(duration_ms=one.length_ms, talk_ms=one.length_ms, muted=(), salvaged=False)
    told = one.segment
    segment = Segment(name=told.name, user=told.user, started_at=told.started_at, reason=told.reason, arrival=arrival)
    return IncomingReport(domain_id=domain_id, report=one.call, arrived=segment)


def _values(one: _Coming, object_key: str, mixed: Mixed) -> dict[str, object]:
    return {
        "object_key": object_key,
        "sha256": mixed.sha256,
        "size_bytes": mixed.size_bytes,
        "format": mixed.format,
        "layout": mixed.layout,
        "rate_hz": mixed.rate_hz,
        "duration_ms": mixed.duration_ms,
        "talk_ms": one.length_ms,
        "muted": [],
        "salvaged": False,
        "arrived_at": one.call.ended_at,
    }


async def _sound(store: Store, pbx: Pbx, length_ms: int) -> tuple[str, Mixed]:
    """The object that all audio of this length shares, made where it is not there yet."""
    audio = tone(length_ms)
    mixed = mixed_of(audio, length_ms)
    key = recording_key(pbx.name, f"of-{length_ms}-ms", datetime(2026, 1, 1, tzinfo=UTC), mixed.format)
    if not store.objects.path(key).exists():

        async def once() -> AsyncIterator[bytes]:
            yield audio

        await store.objects.put(key, once(), sha256=mixed.sha256, size_bytes=mixed.size_bytes)
        await store.objects.put_bytes(peaks_key(key), peaks(length_ms))
    return key, mixed


async def _fill(folder: Path, count: int, of: Office) -> None:
    store = await Store.open(section(folder), sweep=True)
    try:
        await fill(store, count, of=of)
    finally:
        await store.close()


def main(folder: Path, count: int = 10_000, people: int = 48, numbers: int = 24) -> None:
    """Fill the folder and say how to look at it."""
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_fill(folder, count, office(people=people, numbers=numbers)))
    say_how_to_look(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *map(int, sys.argv[2:]))
