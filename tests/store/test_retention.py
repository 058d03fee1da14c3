"""Retention: what is deleted, what stays, and what is left after it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from fonoteka.core.call_report import CallReport, Reason, RecordingState
from fonoteka.core.naming import call_id
from store.audit.write import OPERATOR, Actor, NewEntry
from store.database.schema import calls, segments
from store.database.store import Store
from store.intake.intake import store_recording, upsert_calls
from store.objects.copies import copies_folder, copy_name
from store.people.accounts import Pbx
from store.queries.audio import audio_of
from store.retention.expiry import Expired, delete_marked, mark_expired
from store.retention.legal_hold import set_legal_hold
from store.retention.removal import erase_calls
from tests.data import seed
from tests.store.test_counters import counters
from tests.store.test_intake import AUDIO, BEGIN, NOW, chunks, files, rows, scope_of, seen, take

FIRST = seed.a_call(1, BEGIN)
SECOND = seed.a_call(2, BEGIN + timedelta(minutes=1))
BOSS = Actor(login="900", address="127.0.0.1")


async def hold(store: Store, call: CallReport) -> None:
    public_id = call_id(call.pbx, call.linkedid)
    assert await set_legal_hold(store, await scope_of(store), public_id, legal_hold=True, why="", by=BOSS, now=NOW)


async def keys_of(store: Store, *reports: CallReport) -> list[int]:
    wanted = [call_id(call.pbx, call.linkedid) for call in reports]
    async with store.reading() as connection:
        return list((await connection.execute(select(calls.c.id).where(calls.c.public_id.in_(wanted)))).scalars())


async def mark(store: Store, *reports: CallReport) -> Expired:
    """Mark all segments of calls as expired."""
    domain_id = (await scope_of(store)).domain_id
    query = select(segments.c.id).where(segments.c.call_id.in_(await keys_of(store, *reports)))
    async with store.writing() as connection:
        return await mark_expired(connection, domain_id, list((await connection.execute(query)).scalars()), NOW)


async def erase(store: Store, *reports: CallReport) -> tuple[str, ...]:
    """Erase calls; the entry of the audit names them."""
    domain_id = (await scope_of(store)).domain_id

    def entry(ids: object) -> NewEntry:
        return NewEntry(domain_id=domain_id, at=NOW, by=OPERATOR, action="calls_erased", subject="", detail={"calls": ids})

    return await erase_calls(store, domain_id, await keys_of(store, *reports), now=NOW, entry=entry)


async def test_marked_audio_is_not_seen_and_then_deleted_with_its_copies(store: Store, pbx: Pbx) -> None:
    for call in (FIRST, SECOND):
        await take(store, pbx, call)
    copies = copies_folder(store.objects)
    copies.mkdir()
    for call in (FIRST, SECOND):
        (copies / copy_name(call_id(call.pbx, call.linkedid), "0" * 64, "mp3")).write_bytes(b"")
    expired = await mark(store, FIRST)
    assert (expired.calls, expired.recordings, expired.size_bytes) == ((call_id("pbx1", FIRST.linkedid),), 1, len(AUDIO))
    for login in (None, "152"):
        shown = await seen(store, FIRST, login)
        assert shown is not None
        assert (shown.recording.state, shown.recording.reason, shown.recording.parts) == (
            RecordingState.EXPIRED,
            Reason.RETENTION,
            (),
        )
    assert await audio_of(store, await scope_of(store), expired.calls[0]) == ()
    assert len(files(store)) == 4, "the mark is first"
    await delete_marked(store)
    assert len(files(store)) == 2 and len(list(copies.iterdir())) == 1
    async with store.reading() as connection:
        kept = (await connection.execute(select(segments.c.object_key).order_by(segments.c.name))).scalars().all()
    assert [key is None for key in kept] == [True, False]
    assert (await mark(store, FIRST)).segments == ()


async def test_an_erased_call_leaves_nothing_and_counters_as_without_it(store: Store, pbx: Pbx) -> None:
    await take(store, pbx, SECOND)
    before = await counters(store)
    part = seed.but(seed.a_call(3, BEGIN), merged_into=FIRST.linkedid, segments=(), reason=Reason.USER_OFF)
    await take(store, pbx, FIRST)
    await upsert_calls(store, pbx, [part])
    assert await rows(store) == [3, 2, 3]
    assert len(await erase(store, FIRST)) == 2, "the call and the call that was merged into it"
    assert (await rows(store), len(files(store))) == ([1, 1, 1], 2)
    assert await counters(store) == before


@pytest.mark.parametrize("held", ["the call", "the call into which it is merged"])
async def test_what_is_held_is_neither_expired_nor_erased(store: Store, pbx: Pbx, held: str) -> None:
    await take(store, pbx, FIRST)
    await take(store, pbx, SECOND)
    if held == "the call":
        await hold(store, FIRST)
    else:
        await hold(store, SECOND)
        async with store.writing() as connection:
            of_first = calls.c.linkedid == FIRST.linkedid
            await connection.execute(calls.update().where(of_first).values(merged_into=SECOND.linkedid))
    assert (await mark(store, FIRST)).segments == ()
    assert await erase(store, FIRST) == ()
    assert (await rows(store), len(files(store))) == ([2, 2, 2], 4)


async def test_an_upload_during_the_deletion_leaves_no_object(store: Store, pbx: Pbx) -> None:
    """The upload was checked before the mark and is written between deletion and settlement."""
    await take(store, pbx, FIRST)
    await mark(store, FIRST)
    await store.objects.delete_all([f"{path.relative_to(store.objects.root)}" for path in files(store)])
    manifest, made = seed.manifest_of(FIRST, FIRST.segments[0]), seed.mixed_of(AUDIO, 5000)
    with pytest.raises(Exception, match="retention ended"):
        await store_recording(store, pbx, manifest, made, seed.peaks(5000), chunks(AUDIO), NOW)
    await delete_marked(store)
    assert files(store) == []
