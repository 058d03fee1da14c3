"""Retention: what is deleted, what stays, and what is left after it."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, update

from fonoteka.core.call_report import CallReport, Reason, RecordingState
from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError
from fonoteka.core.naming import call_id, peaks_key
from store.audit.chain import broken_links
from store.audit.read import page_of_audit
from store.audit.write import OPERATOR, Actor, NewEntry
from store.database.counter_tables import group_counters, hour_counters
from store.database.schema import calls, domains, segments, users
from store.database.store import Store
from store.intake.intake import store_recording, upsert_calls
from store.objects.copies import copies_folder, copy_name
from store.people.accounts import Pbx
from store.provisioning.apply import apply
from store.provisioning.directory import bump_version
from store.provisioning.directory_file import parse_directory
from store.queries.audio import audio_of
from store.retention.due import retained_domains
from store.retention.expiry import Expired, delete_marked, mark_expired
from store.retention.legal_hold import set_legal_hold
from store.retention.removal import erase_calls
from store.retention.run import Amount, Deleted, Rule, delete_due, overdue_s, what_is_due
from store.selection.period import Period
from tests.data import seed
from tests.store.test_counters import counters
from tests.store.test_intake import AUDIO, BEGIN, NOW, chunks, rows, scope_of, seen, take
from tests.support.stored_objects import object_keys, objects_folder

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
    part = seed.but(seed.a_call(3, BEGIN), segments=(), merged_into=FIRST.linkedid)
    its_part = seed.but(seed.a_call(4, BEGIN), segments=(), merged_into=part.linkedid)
    await upsert_calls(store, pbx, [part, its_part])
    for call in (FIRST, SECOND, part, its_part):
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
    assert len(object_keys(store)) == 4, "the mark is first"
    await delete_marked(store)
    assert len(object_keys(store)) == 2 and len(list(copies.iterdir())) == 1
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
    assert (await rows(store), len(object_keys(store))) == ([1, 1, 1], 2)
    assert await counters(store) == before


@pytest.mark.parametrize("held", ["the call", "the call into which it is merged", "the call at the end of two merges"])
async def test_what_is_held_is_neither_expired_nor_erased(store: Store, pbx: Pbx, held: str) -> None:
    await take(store, pbx, FIRST)
    await take(store, pbx, SECOND)
    between = seed.but(seed.a_call(3, BEGIN), segments=())
    await upsert_calls(store, pbx, [between])
    if held == "the call":
        await hold(store, FIRST)
    else:
        await hold(store, SECOND)
        async with store.writing() as connection:
            target = SECOND.linkedid
            if held == "the call at the end of two merges":
                target = between.linkedid
                of_between = calls.update().where(calls.c.linkedid == target)
                await connection.execute(of_between.values(merged_into=SECOND.linkedid))
            of_first = calls.update().where(calls.c.linkedid == FIRST.linkedid)
            await connection.execute(of_first.values(merged_into=target))
    assert (await mark(store, FIRST)).segments == ()
    assert await erase(store, FIRST) == ()
    assert ((await rows(store))[0], len(object_keys(store))) == (3, 4)


@pytest.mark.one_machine
async def test_an_object_that_cannot_be_deleted_keeps_no_other(store: Store, pbx: Pbx) -> None:
    for call in (FIRST, SECOND):
        await take(store, pbx, call)
    async with store.reading() as connection:
        of_first = select(segments.c.object_key).where(segments.c.call_id.in_(await keys_of(store, FIRST)))
        audio = objects_folder(store).path((await connection.execute(of_first)).scalar_one())
    audio.unlink()
    audio.mkdir()
    assert await erase(store, FIRST, SECOND) == (call_id("pbx1", SECOND.linkedid),)
    assert object_keys(store) == [peaks_key(audio.relative_to(objects_folder(store).root).as_posix())]
    audio.rmdir()
    assert await erase(store, FIRST) == (call_id("pbx1", FIRST.linkedid),)
    assert (await rows(store), object_keys(store)) == ([0, 0, 0], [])


async def test_an_upload_during_the_deletion_leaves_no_object(store: Store, pbx: Pbx) -> None:
    """The upload was checked before the mark and is written between deletion and settlement."""
    await take(store, pbx, FIRST)
    await mark(store, FIRST)
    await store.objects.delete_all(object_keys(store))
    manifest, made = seed.manifest_of(FIRST, FIRST.segments[0]), seed.mixed_of(AUDIO, 5000)
    with pytest.raises(Exception, match="retention ended"):
        await store_recording(store, pbx, manifest, made, seed.peaks(5000), chunks(AUDIO), NOW)
    await delete_marked(store)
    assert object_keys(store) == []


@pytest.mark.one_machine
async def test_what_is_due_while_the_disk_is_not_mounted_is_deleted_afterwards(
    store: Store, pbx: Pbx, section: StoreSection
) -> None:
    await take(store, pbx, FIRST)
    await periods(store, days=1)
    root = objects_folder(store).root
    root.rename(disk := root.with_name("disk"))
    without_disk = await Store.open(section, sweep=True)
    await delete_due(without_disk, BEGIN + 2 * DAY, rest=no_rest)
    await without_disk.close()
    shutil.rmtree(root)
    disk.rename(root)
    assert len(object_keys(store)) == 2
    await delete_due(store, BEGIN + 2 * DAY, rest=no_rest)
    assert object_keys(store) == []
    async with store.reading() as connection:
        assert (await connection.execute(select(segments.c.object_key))).scalars().all() == [None]


async def periods(store: Store, *, days: int = 30, calls_days: int | None = None, of_152: int | None = None) -> None:
    """Set the periods of acme, and of 152."""
    domain_id = (await scope_of(store)).domain_id
    is_152 = (users.c.domain_id == domain_id) & (users.c.login == "152")
    wanted = {"retention_days": days, "calls_retention_days": calls_days}
    async with store.writing() as connection:
        await connection.execute(update(domains).where(domains.c.id == domain_id).values(wanted))
        await connection.execute(update(users).where(is_152).values(retention_days=of_152))
        await bump_version(connection)


async def no_rest(_: float) -> None:
    """Go on at once."""


async def run(store: Store, now: datetime) -> Deleted:
    """Delete what is due; check that the dry run said the same, and left all as it was."""
    before = (await rows(store), object_keys(store))
    said = await what_is_due(store, now)
    assert (await rows(store), object_keys(store)) == before
    deleted = await delete_due(store, now, rest=no_rest)
    assert deleted == said
    assert await what_is_due(store, now) == {} and await overdue_s(store, now) == 0
    return deleted


DAY = timedelta(days=1)
# Periods, the age of the call, and what is deleted: nothing, the audio, or the call.
DUE: list[tuple[str, dict[str, Any], timedelta, str]] = [
    ("a younger call", {}, 30 * DAY - timedelta(milliseconds=1), "nothing"),
    ("by the domain's period", {}, 30 * DAY, "audio"),
    ("by the user's shorter period", {"of_152": 7}, 7 * DAY, "audio"),
    ("not yet by the user's shorter period", {"of_152": 7}, 6 * DAY, "nothing"),
    ("not yet by the user's longer period", {"of_152": 60}, 59 * DAY, "nothing"),
    ("by the user's longer period", {"of_152": 60}, 60 * DAY, "audio"),
    ("not yet by the period of calls", {"calls_days": 90}, 89 * DAY, "audio"),
    ("by the period of calls", {"calls_days": 90}, 90 * DAY, "call"),
    ("calls are kept for ever", {}, 3650 * DAY, "audio"),
]


async def test_what_is_due(store: Store, pbx: Pbx) -> None:
    for number, (name, wanted, age, goes) in enumerate(DUE):
        made = seed.a_call(number, BEGIN)
        await take(store, pbx, made)
        await periods(store, **wanted)
        shown, audio_days = await seen(store, made), wanted.get("of_152", 30)
        assert shown is not None and shown.expires_at == BEGIN + audio_days * DAY, name
        rule = Rule(domain="acme", key="retention_days", value=audio_days, user="152" if "of_152" in wanted else None)
        audio = {rule: Amount(calls=1, recordings=1, size_bytes=len(AUDIO))}
        call = {Rule(domain="acme", key="calls_retention_days", value=90): Amount(calls=1)}
        assert await run(store, BEGIN + age) == {"nothing": {}, "audio": audio, "call": audio | call}[goes], name
        shown = await seen(store, made)
        assert (shown is None, len(object_keys(store))) == (goes == "call", 2 if goes == "nothing" else 0), name
        if shown is not None and goes == "audio":
            expired = (RecordingState.EXPIRED, Reason.RETENTION, None)
            assert (shown.recording.state, shown.recording.reason, shown.expires_at) == expired, name
        await periods(store)
        await erase(store, made)


async def test_what_is_held_stays_whatever_its_age(store: Store, pbx: Pbx) -> None:
    for call in (FIRST, SECOND):
        await take(store, pbx, call)
    await hold(store, FIRST)
    await periods(store, calls_days=90)
    await run(store, BEGIN + 4000 * DAY)
    shown = await seen(store, FIRST)
    assert shown is not None and (shown.recording.state, shown.expires_at) == (RecordingState.READY, None)
    assert (await seen(store, SECOND), len(object_keys(store))) == (None, 2)


async def test_a_call_in_progress_stays_unless_its_end_was_lost(store: Store, pbx: Pbx) -> None:
    await take(store, pbx, seed.but(FIRST, ended_at=None))
    await periods(store, days=1, calls_days=1)
    assert await run(store, BEGIN + 20 * DAY - timedelta(milliseconds=1)) == {}
    assert len(await run(store, BEGIN + 20 * DAY)) == 2
    assert (await rows(store), object_keys(store)) == ([0, 0, 0], [])


async def test_of_two_users_of_a_call_each_has_their_own_period(store: Store, pbx: Pbx) -> None:
    both = seed.but(
        FIRST, participants=("152", "421"), segments=(*FIRST.segments, seed.but(FIRST.segments[0], name="pbx1-1-2", user="421"))
    )
    await seed.ship(store, pbx, both, (5000, 3000))
    await periods(store, of_152=7)
    await run(store, BEGIN + 8 * DAY)
    states = []
    for login in (None, "152", "421"):
        shown = await seen(store, both, login)
        assert shown is not None
        states.append((shown.recording.state, shown.recording.reason, shown.recording.duration_ms, shown.expires_at))
    assert states == [
        (RecordingState.PARTIAL, Reason.RETENTION, 3000, BEGIN + 30 * DAY),
        (RecordingState.EXPIRED, Reason.RETENTION, None, None),
        (RecordingState.READY, None, 3000, BEGIN + 30 * DAY),
    ]
    later = seed.but(both, revision=both.revision + 1, segments=both.segments[1:])
    await upsert_calls(store, pbx, [later])
    shown = await seen(store, both, "152")
    assert shown is not None and shown.recording.state is RecordingState.EXPIRED, "no report forgets it"


async def test_after_all_calls_of_a_day_its_counters_are_gone(store: Store, pbx: Pbx) -> None:
    kept = seed.a_call(3, BEGIN + timedelta(hours=10))
    await take(store, pbx, kept)
    async with store.reading() as connection:
        tables = (hour_counters, group_counters)
        before = [sorted((await connection.execute(select(table))).all()) for table in tables]
    for call in (FIRST, SECOND):
        await take(store, pbx, call)
    await periods(store, calls_days=30)
    await run(store, BEGIN + 30 * DAY + timedelta(hours=1))
    async with store.reading() as connection:
        assert [sorted((await connection.execute(select(table))).all()) for table in tables] == before


async def test_a_merged_call_goes_with_the_call_that_absorbed_it_or_alone_by_its_age(store: Store, pbx: Pbx) -> None:
    part = seed.but(seed.a_call(3, BEGIN - 5 * DAY), merged_into=FIRST.linkedid, segments=(), reason=Reason.USER_OFF)
    orphan = seed.but(seed.a_call(4, BEGIN - 5 * DAY), merged_into="1795391099.99", segments=(), reason=Reason.USER_OFF)
    await upsert_calls(store, pbx, [FIRST, part, orphan])
    await periods(store, calls_days=30)
    await run(store, BEGIN + 26 * DAY)
    assert (await rows(store))[0] == 2, "the orphan has gone"
    await run(store, BEGIN + 30 * DAY)
    assert await rows(store) == [0, 0, 0]


async def test_the_journal_has_an_entry_for_each_rule(store: Store, pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.retention.due.SEGMENTS_AT_A_TIME", 2)
    monkeypatch.setattr("store.retention.due.CALLS_AT_A_TIME", 2)
    made = [seed.a_call(number, BEGIN + number * timedelta(minutes=1)) for number in range(5)]
    for call in made:
        await take(store, pbx, call)
    await periods(store, calls_days=60)
    now, scope = BEGIN + 70 * DAY, await scope_of(store)
    await run(store, now)
    days = Period(start=now, end=now + DAY)
    page = await page_of_audit(store, scope.domain_id, days, actions=(), login=None, after=None, limit=9)
    sums = [
        (entry.login, entry.action, {key: value for key, value in entry.detail.items() if key != "ids"}) for entry in page.items
    ]
    assert sums == [
        ("system", "calls_expired", {"calls_retention_days": 60, "calls": 5}),
        ("system", "recordings_expired", {"retention_days": 30, "calls": 5, "recordings": 5, "size_bytes": 5 * len(AUDIO)}),
    ]
    assert [link async for link in broken_links(store, scope.domain_id)] == []


async def test_two_processes_at_once_delete_each_call_once(
    store: Store, pbx: Pbx, section: StoreSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.retention.due.SEGMENTS_AT_A_TIME", 2)
    for number in range(8):
        await take(store, pbx, seed.a_call(number, BEGIN + number * timedelta(minutes=1)))
    await periods(store, calls_days=30)
    other, now = await Store.open(section), BEGIN + 40 * DAY
    try:
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(delete_due(of, now, rest=no_rest)) for of in (store, other)]
    finally:
        await other.close()
    sums = [amount for task in runs for amount in task.result().values()]
    assert sum(amount.recordings for amount in sums) == 8
    assert (await rows(store), object_keys(store)) == ([0, 0, 0], [])


async def test_a_period_that_is_made_longer_during_a_run_counts_at_once(
    store: Store, pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who sees what a wrong period does can stop it."""
    monkeypatch.setattr("store.retention.due.SEGMENTS_AT_A_TIME", 1)
    for number in range(3):
        await take(store, pbx, seed.a_call(number, BEGIN))
    await periods(store, days=1)

    async def mend(_: float) -> None:
        await periods(store, days=100)

    (amount,) = (await delete_due(store, BEGIN + 2 * DAY, rest=mend)).values()
    assert (amount.recordings, len(object_keys(store))) == (1, 4)


@pytest.mark.parametrize("section", ["sqlite"], indirect=True)
async def test_a_transaction_writes_few_rows(store: Store, pbx: Pbx) -> None:
    """So the lock is short: `bench/expiry.py` prints for how long it is held."""
    many = tuple(f"u{number}" for number in range(40))
    made = [seed.but(seed.a_call(number, BEGIN + number * timedelta(minutes=1)), participants=many) for number in range(25)]
    await upsert_calls(store, pbx, made)
    for call in made:
        await take(store, pbx, call)
    await periods(store, calls_days=30)
    with written_rows(store) as written:
        await run(store, BEGIN + 40 * DAY)
    assert sum(written) > 1000 and max(written) <= 500, written


@contextmanager
def written_rows(store: Store) -> Iterator[list[int]]:
    """Count the rows that each transaction writes, without those that go with a call."""
    written = [0]

    def count(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        if not statement.startswith(("SELECT", "WITH")):
            written[-1] += len(parameters) if many else 1

    def end(_: Any) -> None:
        written.append(0)

    event.listen(store.engine.sync_engine, "after_cursor_execute", count)
    event.listen(store.engine.sync_engine, "commit", end)
    try:
        yield written
    finally:
        event.remove(store.engine.sync_engine, "after_cursor_execute", count)
        event.remove(store.engine.sync_engine, "commit", end)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("retention_days = 180\ncalls_retention_days = 90", "calls_retention_days = 90 is shorter than a retention_days = 180"),
        ("retention_days = 180\ncalls_retention_days = 0", "calls_retention_days = 0"),
    ],
)
def test_a_file_with_wrong_periods_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parse_directory(seed.DIRECTORY.replace("retention_days = 180", text, 1), source="test")


async def test_a_removed_domain_and_a_removed_user_keep_their_periods(store: Store, pbx: Pbx) -> None:
    await take(store, pbx, FIRST)
    await periods(store, of_152=7)
    await apply(store, parse_directory("", source="test"), prune=True)
    assert [domain.shortest_days for domain in await retained_domains(store) if domain.name == "acme"] == [7]
    await delete_due(store, BEGIN + 8 * DAY, rest=no_rest)
    assert object_keys(store) == []
