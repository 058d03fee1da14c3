"""Stored audio and calls under legal hold: who sends what afterwards, and what becomes of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from fonoteka.core.call_report import CallReport, Direction, Reason, RecordingState, Result, SegmentReport
from fonoteka.core.errors import AudioStored, CallHeld, IntakeRefused
from fonoteka.core.naming import call_id
from store.audit.write import Actor
from store.database.schema import audit, calls, milliseconds, participants, segments
from store.database.store import Store
from store.database.tables import metadata
from store.intake.intake import store_recording, upsert_calls
from store.people.accounts import Pbx
from store.retention.legal_hold import set_legal_hold
from store.retention.removal import remove_calls
from tests.api.conftest import Site, put_recording, report, ship
from tests.data import seed
from tests.store.test_intake import AUDIO, BEGIN, NOW, chunks, rows, scope_of, seen, take
from tests.support.stored_objects import object_keys, stored_bytes

CALL = seed.a_call(1, BEGIN)
SEGMENT = CALL.segments[0]
OTHER_AUDIO = seed.tone(4000)
BOSS = Actor(login="900", address="127.0.0.1")


def newer(**fields: Any) -> CallReport:
    return seed.but(CALL, **{"revision": CALL.revision + 1000} | fields)


async def hold(store: Store, call: CallReport = CALL) -> None:
    public_id = call_id(call.pbx, call.linkedid)
    assert await set_legal_hold(store, await scope_of(store), public_id, legal_hold=True, why="", by=BOSS, now=NOW)


async def content(store: Store) -> dict[str, list[Any]]:
    """All rows of all tables, but for the audit."""
    async with store.reading() as connection:
        return {
            table.name: list((await connection.execute(select(table).order_by(*table.primary_key))).all())
            for table in metadata.sorted_tables
            if table.name.startswith(("calls", "call_", "segments", "participants", "hour_", "group_"))
        }


async def refused_in_audit(store: Store) -> list[tuple[Any, ...]]:
    async with store.reading() as connection:
        entries = (await connection.execute(select(audit).where(audit.c.action == "audio_refused").order_by(audit.c.id))).all()
    return [(entry.login, entry.address, entry.subject, entry.detail["segment"], entry.detail["sha256"]) for entry in entries]


async def send(store: Store, pbx: Pbx, of: CallReport, audio: bytes, length_ms: int, **manifest: Any) -> None:
    given = seed.but(seed.manifest_of(of, of.segments[0]), **manifest)
    mixed = seed.mixed_of(audio, length_ms)
    await store_recording(store, pbx, given, mixed, seed.peaks(length_ms), chunks(audio), NOW, address="192.0.2.7")


# What is sent again for a stored segment, and whether it gets the receipt of the stored audio.
AGAIN: list[tuple[str, bytes, int, dict[str, Any], bool]] = [
    ("the same bytes", AUDIO, 5000, {}, True),
    ("the same bytes of another day", AUDIO, 5000, {"started_at": BEGIN - timedelta(days=9)}, True),
    ("the same bytes of another user", AUDIO, 5000, {"user": "421"}, True),
    ("other bytes", OTHER_AUDIO, 4000, {}, False),
    ("other bytes of another day", OTHER_AUDIO, 4000, {"started_at": BEGIN - timedelta(days=9)}, False),
    ("other bytes with a newer report", OTHER_AUDIO, 4000, {"call": newer()}, False),
]


@pytest.mark.parametrize(("audio", "length_ms", "manifest", "is_same"), [row[1:] for row in AGAIN], ids=[row[0] for row in AGAIN])
async def test_stored_audio_never_changes(
    store: Store, pbx: Pbx, audio: bytes, length_ms: int, manifest: dict[str, Any], is_same: bool
) -> None:
    await take(store, pbx, CALL)
    before, stored = await content(store), {key: await stored_bytes(store, key) for key in object_keys(store)}
    if is_same:
        await send(store, pbx, CALL, audio, length_ms, **manifest)
        assert await refused_in_audit(store) == []
    else:
        with pytest.raises(AudioStored, match="other audio already"):
            await send(store, pbx, CALL, audio, length_ms, **manifest)
        entry = ("pbx:pbx1", "192.0.2.7", call_id("pbx1", CALL.linkedid), SEGMENT.name, seed.mixed_of(audio, length_ms).sha256)
        assert await refused_in_audit(store) == [entry]
    assert await content(store) == before
    assert {key: await stored_bytes(store, key) for key in object_keys(store)} == stored


async def test_the_journal_has_one_refusal_of_a_segment_in_an_hour(store: Store, pbx: Pbx) -> None:
    """A stolen token cannot fill the journal, from which nothing is deleted."""
    for call in (CALL, seed.a_call(2, BEGIN)):
        await take(store, pbx, call)
        for number in range(3):
            with pytest.raises(AudioStored):
                await send(store, pbx, call, seed.tone(1000 + number), 1000 + number)
    tries = [send(store, pbx, CALL, OTHER_AUDIO, 4000) for _ in range(3)]
    assert [type(result) for result in await asyncio.gather(*tries, return_exceptions=True)] == [AudioStored] * 3
    assert len(await refused_in_audit(store)) == 2
    manifest, mixed = seed.manifest_of(CALL, SEGMENT), seed.mixed_of(OTHER_AUDIO, 4000)
    with pytest.raises(AudioStored):
        later = NOW + timedelta(hours=1)
        await store_recording(store, pbx, manifest, mixed, seed.peaks(4000), chunks(OTHER_AUDIO), later)
    assert len(await refused_in_audit(store)) == 3


async def test_of_two_recordings_sent_at_once_one_stays_whole(store: Store, pbx: Pbx) -> None:
    await upsert_calls(store, pbx, [CALL])
    sent = [send(store, pbx, CALL, audio, length_ms) for audio, length_ms in ((AUDIO, 5000), (OTHER_AUDIO, 4000)) * 2]
    results = await asyncio.gather(*sent, return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [AudioStored] * 2
    async with store.reading() as connection:
        row = (await connection.execute(select(segments))).one()
    audio = await store.objects.read(row.object_key)
    assert seed.mixed_of(audio, row.duration_ms).sha256 == row.sha256
    assert len(object_keys(store)) == 2, "the audio and its peaks; nothing is left of the others"


LATER_SEGMENT = SegmentReport(name="pbx1-1-2", user="152", started_at=BEGIN)
# Reports of a call under legal hold.
TO_A_HELD_CALL: list[tuple[str, CallReport]] = [
    ("another caller", newer(src="84951112233", src_name="X")),
    ("another employee", newer(employee="421", participants=("421",))),
    ("another date", newer(started_at=BEGIN - timedelta(days=9))),
    ("another result", newer(result=Result.BUSY, direction=Direction.OUT)),
    ("no segments", newer(segments=(), reason=Reason.USER_OFF)),
    ("a segment more", newer(segments=(SEGMENT, LATER_SEGMENT))),
    ("its segment is of another user", newer(segments=(seed.but(SEGMENT, user="421"),))),
    ("its segment has expired", newer(segments=(seed.but(SEGMENT, reason=Reason.RETENTION),))),
    ("it goes on", newer(ended_at=None)),
    ("it is a part of another call", newer(merged_into=seed.a_call(2, BEGIN).linkedid, segments=())),
    ("the latest revision of all", newer(revision=milliseconds(datetime.now(UTC)), src="")),
]


@pytest.mark.parametrize("changed", [row[1] for row in TO_A_HELD_CALL], ids=[row[0] for row in TO_A_HELD_CALL])
async def test_a_held_call_changes_in_nothing(store: Store, pbx: Pbx, changed: CallReport) -> None:
    await upsert_calls(store, pbx, [seed.a_call(2, BEGIN)])
    await take(store, pbx, CALL)
    await hold(store)
    before = await content(store)
    taken = await upsert_calls(store, pbx, [changed])
    assert [refusal.counted_as for refusal in taken.refusals] == ["legal_hold"]
    assert [(receipt.retry, "legal hold" in (receipt.refused or "")) for receipt in taken.receipts] == [(False, True)]
    assert await content(store) == before
    again = await upsert_calls(store, pbx, [CALL])
    assert [receipt.refused for receipt in again.receipts] == [None], "the store has this report"


async def test_no_call_takes_the_segments_of_a_held_call_or_merges_into_it(store: Store, pbx: Pbx) -> None:
    thief = seed.a_call(2, BEGIN)
    await upsert_calls(store, pbx, [thief])
    await take(store, pbx, CALL)
    await hold(store)
    before = await content(store)
    both = seed.but(thief, revision=thief.revision + 1, segments=(*thief.segments, SEGMENT))
    assert [refusal.counted_as for refusal in (await upsert_calls(store, pbx, [both])).refusals] == ["segment_of_other_call"]
    part = seed.but(thief, revision=thief.revision + 2, segments=(), merged_into=CALL.linkedid)
    await upsert_calls(store, pbx, [part])
    after = await content(store)
    held = {row.id for row in before["calls"] if row.legal_hold}
    assert [row for row in after["calls"] if row.id in held] == [row for row in before["calls"] if row.id in held]
    assert after["segments"] == before["segments"]
    assert await seen(store, thief) is not None


WITH_NEW_SEGMENT = newer(segments=(LATER_SEGMENT,))
TO_A_HELD_CALL_WITHOUT_AUDIO: list[tuple[str, CallReport, type[Exception] | None]] = [
    ("the audio that it lacks", CALL, None),
    ("the audio that it lacks, with another caller", newer(src="84951112233", ended_at=None), None),
    ("audio of a segment that it does not have", WITH_NEW_SEGMENT, CallHeld),
]


@pytest.mark.parametrize(
    ("call", "refusal"), [row[1:] for row in TO_A_HELD_CALL_WITHOUT_AUDIO], ids=[row[0] for row in TO_A_HELD_CALL_WITHOUT_AUDIO]
)
async def test_a_held_call_takes_the_audio_that_it_lacks_and_nothing_else(
    store: Store, pbx: Pbx, call: CallReport, refusal: type[Exception] | None
) -> None:
    await upsert_calls(store, pbx, [CALL])
    await hold(store)
    before = (await content(store))["calls"][0]._asdict()
    if refusal is not None:
        with pytest.raises(refusal):
            await send(store, pbx, call, AUDIO, 5000)
        assert object_keys(store) == []
    else:
        await send(store, pbx, call, AUDIO, 5000, user="421", started_at=BEGIN - timedelta(days=9))
        before |= {"recording_state": RecordingState.READY, "recording_ms": 5000}
        before |= {"spoken_outside_ms": 2000, "spoken_employee_ms": 3000, "spoken_both_ms": 0}
        before |= {"silence_ms": 0, "longest_silence_ms": 0}
    assert (await content(store))["calls"][0]._asdict() == before
    async with store.reading() as connection:
        row = (await connection.execute(select(segments.c.user, segments.c.started_at))).one()
        logins = list((await connection.execute(select(participants.c.login))).scalars())
    assert (row.user, row.started_at, logins) == (SEGMENT.user, SEGMENT.started_at, ["152"])


async def test_a_held_call_in_progress_is_completed(store: Store, pbx: Pbx) -> None:
    """Its end and its audio are what is to be kept; then nothing changes it."""
    await upsert_calls(store, pbx, [seed.but(CALL, ended_at=None, revision=CALL.revision - 5)])
    await hold(store)
    assert (await upsert_calls(store, pbx, [CALL])).refusals == ()
    await take(store, pbx, CALL)
    shown = await seen(store, CALL)
    assert shown is not None
    assert (shown.ended_at, shown.legal_hold, shown.recording.state) == (CALL.ended_at, True, RecordingState.READY)
    assert len((await upsert_calls(store, pbx, [newer(src="")])).refusals) == 1


async def test_a_call_that_is_released_changes_again(store: Store, pbx: Pbx) -> None:
    await upsert_calls(store, pbx, [CALL])
    await hold(store)
    public_id = call_id(CALL.pbx, CALL.linkedid)
    assert await set_legal_hold(store, await scope_of(store), public_id, legal_hold=False, why="", by=BOSS, now=NOW)
    assert (await upsert_calls(store, pbx, [newer(src="84951112233")])).refusals == ()
    shown = await seen(store, CALL)
    assert shown is not None and shown.src == "84951112233"


async def test_a_held_call_is_not_removed(store: Store, pbx: Pbx) -> None:
    await upsert_calls(store, pbx, [CALL, seed.a_call(2, BEGIN)])
    await hold(store)
    scope = await scope_of(store)
    async with store.writing() as connection:
        keys = list((await connection.execute(select(calls.c.id))).scalars())
        await remove_calls(connection, scope.domain_id, keys, NOW)
    assert await seen(store, CALL) is not None
    assert (await rows(store))[0] == 1


REVISIONS = {
    "zero": (0, None),
    "now": (milliseconds(datetime.now(UTC)), None),
    "within a month": (milliseconds(datetime.now(UTC)) + 30 * 86_400_000, None),
    "in 32 days": (milliseconds(datetime.now(UTC)) + 32 * 86_400_000, "clock of the PBX"),
    "the highest": (2**63 - 1, "clock of the PBX"),
    "negative": (-1, "revision"),
}


@pytest.mark.parametrize(("revision", "words"), REVISIONS.values(), ids=REVISIONS)
async def test_a_revision_is_bounded_by_the_clock(store: Store, pbx: Pbx, revision: int, words: str | None) -> None:
    """A revision that no clock makes would be the last one: no later report would count."""
    sent = seed.but(CALL, revision=revision)
    (receipt,) = (await upsert_calls(store, pbx, [sent])).receipts
    assert (receipt.refused is None, receipt.retry) == (words is None, False)
    assert (words or "") in (receipt.refused or "")
    if words is not None:
        with pytest.raises(IntakeRefused, match=words):
            await store_recording(
                store,
                pbx,
                seed.manifest_of(sent, SEGMENT),
                seed.mixed_of(AUDIO, 5000),
                seed.peaks(5000),
                chunks(AUDIO),
                datetime.now(UTC),
            )


async def test_what_the_api_answers_and_counts(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await ship(agent, CALL, 5000)
    manifest = seed.manifest_of(CALL, SEGMENT)
    other = await put_recording(agent, manifest, seed.mixed_of(OTHER_AUDIO, 4000), OTHER_AUDIO)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/audio-stored")
    await admin.put(f"/api/calls/{call_id('pbx1', CALL.linkedid)}/hold", json={"hold": True, "note": ""})
    more = seed.manifest_of(WITH_NEW_SEGMENT, LATER_SEGMENT)
    added = await put_recording(agent, more, seed.mixed_of(OTHER_AUDIO, 4000), OTHER_AUDIO)
    assert (added.status_code, added.json()["type"]) == (422, "/problems/call-held")
    (receipt,) = (await report(agent, newer(src=""))).receipts
    assert receipt.refused and not receipt.retry
    entries = (await admin.get("/api/audit", params={"from": "2020-01-01", "to": "2100-01-01", "action": "audio_refused"})).json()
    assert [(entry["login"], entry["address"]) for entry in entries["items"]] == [("pbx:pbx1", "127.0.0.1")]
    async with site.client() as anybody:
        metrics = (await anybody.get("/metrics")).text
    for reason, number in (("audio_stored", 1), ("legal_hold", 2)):
        assert f'fonoteka_agent_refused_total{{pbx="pbx1",reason="{reason}"}} {number}.0' in metrics
