"""A store with half a year of calls.

Usage: `python -m tests.data.half_year DIR [CALLS [PEOPLE [NUMBERS]]]`.

`tests.data.office` is the company, `tests.data.office_calls` makes its calls.
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
from fonoteka.core.naming import call_id, peaks_key, recording_key
from store.database.schema import domains
from store.database.schema import segments as segment_table
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.intake.recording_state import Arrival, Segment
from store.intake.row_mapping import IncomingReport, speech_value
from store.intake.write_calls import write_calls
from store.people.accounts import Pbx, ensure_pbx, pbx_of
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data.office import Office, office
from tests.data.office_calls import DAYS, calls_of, lengths_ms
from tests.data.seed import PBX_TOKEN, mixed_of, peaks, say_how_to_look, section, speech_in_tone, tone
from tests.support.stored_objects import objects_folder

_AT_ONCE: Final = 200  # as an agent ships them
_STILL_TO_COME: Final = (None, Reason.STOPPED_BY_USER)


async def fill(
    store: Store, count: int, *, of: Office | None = None, until: datetime | None = None, days: int = DAYS, heard: bool = True
) -> Pbx:
    """Fill a store with the directory, a PBX and `count` calls that end before `until` (now).

    Without audio (`heard`), recordings stay in the state `processing`, and 10,000 calls take two
    seconds.
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
class _SegmentAudio:
    """The audio of a segment."""

    call: CallReport
    segment: SegmentReport
    length_ms: int


async def _hear(store: Store, pbx: Pbx, batch: Sequence[CallReport]) -> None:
    """Store the audio of calls in a few statements; segments of equal length share a file.

    `store.intake.intake.store_recording` writes and syncs a file for each, which takes minutes.
    """
    arriving = [
        _SegmentAudio(call=call, segment=segment, length_ms=length_ms)
        for call in batch
        for segment, length_ms in zip(call.segments, lengths_ms(call), strict=True)
        if segment.reason in _STILL_TO_COME
    ]
    sounds = {audio.length_ms: await _sound(store, pbx, audio.length_ms) for audio in arriving}
    async with store.writing() as connection:
        acme = (await connection.execute(select(domains.c.id).where(domains.c.name == "acme"))).scalar_one()
        for place in (0, 1):  # write_calls takes each call once
            chosen = [audio for audio in arriving if audio.call.segments.index(audio.segment) == place]
            await write_calls(connection, pbx.id, [_arrival(audio, acme) for audio in chosen])
            rows = [{"key": audio.segment.name} | _values(audio, *sounds[audio.length_ms]) for audio in chosen]
            if rows:
                values: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in rows[0] if name != "key"}
                there = (segment_table.c.pbx_id == pbx.id) & (segment_table.c.name == bindparam("key"))
                given = [{name if name == "key" else f"new_{name}": value for name, value in row.items()} for row in rows]
                await connection.execute(update(segment_table).where(there).values(values), given)


def _arrival(audio: _SegmentAudio, domain_id: int) -> IncomingReport:
    speech = speech_in_tone(audio.length_ms)
    arrival = Arrival(duration_ms=audio.length_ms, talk_ms=audio.length_ms, muted=(), salvaged=False, speech=speech)
    report = audio.segment
    segment = Segment(name=report.name, user=report.user, started_at=report.started_at, reason=report.reason, arrival=arrival)
    public_id = call_id(audio.call.pbx, audio.call.linkedid)
    return IncomingReport(domain_id=domain_id, public_id=public_id, report=audio.call, arrived=segment)


def _values(audio: _SegmentAudio, object_key: str, mixed: Mixed) -> dict[str, object]:
    return {
        "object_key": object_key,
        "sha256": mixed.sha256,
        "size_bytes": mixed.size_bytes,
        "format": mixed.format,
        "layout": mixed.layout,
        "rate_hz": mixed.rate_hz,
        "duration_ms": mixed.duration_ms,
        "talk_ms": audio.length_ms,
        "muted": [],
        "salvaged": False,
        "speech": speech_value(mixed.speech),
        "arrived_at": audio.call.ended_at,
    }


async def _sound(store: Store, pbx: Pbx, length_ms: int) -> tuple[str, Mixed]:
    """Return the object of a length, made if it does not exist."""
    content = tone(length_ms)
    mixed = mixed_of(content, length_ms)
    key = recording_key(pbx.name, f"of-{length_ms}-ms", datetime(2026, 1, 1, tzinfo=UTC), mixed.format)
    if not objects_folder(store).path(key).exists():

        async def once() -> AsyncIterator[bytes]:
            yield content

        await store.objects.put(key, once(), sha256=mixed.sha256, size_bytes=mixed.size_bytes, data_key=None)
        await store.objects.put_bytes(peaks_key(key), peaks(length_ms), data_key=None)
    return key, mixed


async def _fill(folder: Path, count: int, of: Office) -> None:
    store = await Store.open(section(folder), sweep=True)
    try:
        await fill(store, count, of=of)
    finally:
        await store.close()


def main(folder: Path, count: int = 10_000, people: int = 48, numbers: int = 24) -> None:
    """Fill the folder and print how to serve it."""
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_fill(folder, count, office(people=people, numbers=numbers)))
    say_how_to_look(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *map(int, sys.argv[2:]))
