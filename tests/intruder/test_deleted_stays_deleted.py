"""What was deleted, by age or by an erasure: what a PBX sends afterwards, and the outcome."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from fonoteka.core.call_report import CallReport, Reason, RecordingState
from fonoteka.core.errors import RetentionEnded
from fonoteka.core.naming import call_id
from store.audit.write import Actor
from store.database.schema import calls, domains
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx
from store.queries.audio import audio_of
from store.retention.run import delete_due
from store.subjects.calls import find_calls
from store.subjects.erasure import erase_subject
from tests.api.conftest import Site, put_recording, report, ship
from tests.data import seed
from tests.store.test_intake import AUDIO, BEGIN, NOW, rows, scope_of, seen, take
from tests.support.stored_objects import object_keys

CALL = seed.a_call(1, BEGIN)
NUMBER = "89131234567"
ERASED = seed.but(CALL, src=NUMBER)
CHAIN = (ERASED, *(seed.but(seed.a_call(number, BEGIN), src="83952201010", segments=()) for number in (2, 3)))
BOSS = Actor(login="900", address="127.0.0.1")
OTHER_AUDIO = seed.tone(4000)


def newer(**fields: Any) -> CallReport:
    return seed.but(CALL, **{"revision": CALL.revision + 1000} | fields)


async def no_rest(_: float) -> None:
    """Go on at once."""


async def expire(store: Store, *, calls: bool = False) -> None:
    """Let the audio of all calls, or the calls, be older than their period, and delete them."""
    periods = {"retention_days": 1} | ({"calls_retention_days": 1} if calls else {})
    async with store.writing() as connection:
        await connection.execute(update(domains).values(periods))
    await delete_due(store, BEGIN + timedelta(days=2), rest=no_rest)


AFTER_EXPIRY: list[tuple[str, CallReport]] = [
    ("the same report", CALL),
    ("a newer report", newer()),
    ("the segment is awaited again", newer(ended_at=None)),
    ("the segment is of another user", newer(segments=(seed.but(CALL.segments[0], user="421"),))),
    ("a report without the segment", newer(segments=(), reason=Reason.USER_OFF)),
]


async def test_expired_audio_never_comes_back(store: Store, pbx: Pbx) -> None:
    await take(store, pbx, CALL)
    await expire(store)
    for revision, (name, sent) in enumerate(AFTER_EXPIRY):
        await upsert_calls(store, pbx, [seed.but(sent, revision=sent.revision + revision)])
        for audio, length_ms in ((AUDIO, 5000), (OTHER_AUDIO, 4000)):
            with pytest.raises(RetentionEnded):
                await take(store, pbx, seed.but(CALL, revision=sent.revision), audio=audio, length_ms=length_ms)
        shown = await seen(store, CALL)
        assert shown is not None
        assert (shown.recording.state, shown.recording.reason) == (RecordingState.EXPIRED, Reason.RETENTION), name
    assert object_keys(store) == []


async def test_a_segment_that_moves_to_another_call_stays_expired(store: Store, pbx: Pbx) -> None:
    """The call is merged into another one after its audio was deleted."""
    other = seed.but(seed.a_call(2, BEGIN), segments=())
    await take(store, pbx, CALL)
    await expire(store)
    both = seed.but(other, revision=other.revision + 1, segments=CALL.segments)
    await upsert_calls(store, pbx, [other, newer(merged_into=other.linkedid, segments=(), reason=Reason.USER_OFF)])
    await upsert_calls(store, pbx, [both])
    with pytest.raises(RetentionEnded):
        await take(store, pbx, both)
    shown = await seen(store, other)
    assert shown is not None and shown.recording.state is RecordingState.EXPIRED


async def test_a_report_cannot_delete_audio(store: Store, pbx: Pbx) -> None:
    """A PBX that says its segment has expired: the store knows better."""
    await take(store, pbx, CALL)
    await upsert_calls(store, pbx, [newer(segments=(seed.but(CALL.segments[0], reason=Reason.RETENTION),))])
    await delete_due(store, NOW, rest=no_rest)
    assert len(object_keys(store)) == 2
    assert len(await audio_of(store, await scope_of(store), call_id(CALL.pbx, CALL.linkedid))) == 1


async def test_a_deleted_call_never_comes_back(store: Store, pbx: Pbx) -> None:
    await take(store, pbx, CALL)
    await expire(store, calls=True)
    other_part = seed.but(seed.a_call(2, BEGIN), merged_into=CALL.linkedid, segments=())
    taken = await upsert_calls(
        store, pbx, [newer(), other_part, seed.a_call(3, NOW - timedelta(seconds=1))], now=BEGIN + timedelta(days=1)
    )
    assert [refusal.counted_as for refusal in taken.refusals] == ["retention"] * 2
    assert [(receipt.refused is not None, receipt.retry) for receipt in taken.receipts] == [
        (True, False),
        (True, False),
        (False, False),
    ]
    assert [change.public_id for change in taken.changes] == [call_id("pbx1", seed.a_call(3, NOW).linkedid)]
    assert (await rows(store), object_keys(store)) == ([1, 1, 1], [])


async def erase(store: Store) -> int:
    return (await erase_subject(store, 1, NUMBER, by=BOSS, now=NOW))[1]


@pytest.mark.parametrize("was_stored", [True, False], ids=["audio was stored", "audio is still at the PBX"])
async def test_an_erased_call_never_comes_back(store: Store, pbx: Pbx, was_stored: bool) -> None:
    part = seed.but(seed.a_call(2, BEGIN), merged_into=ERASED.linkedid, segments=())
    await upsert_calls(store, pbx, [ERASED, part])
    if was_stored:
        await take(store, pbx, ERASED)
    assert await erase(store) == 1
    with pytest.raises(RetentionEnded):
        await take(store, pbx, ERASED)
    later = seed.but(seed.a_call(3, BEGIN), src=NUMBER, merged_into=ERASED.linkedid, segments=())
    sent = [ERASED, seed.but(ERASED, revision=ERASED.revision + 1, started_at=NOW), part, later]
    taken = await upsert_calls(store, pbx, sent)
    assert [(refusal.counted_as, receipt.retry) for refusal, receipt in zip(taken.refusals, taken.receipts, strict=True)] == [
        ("retention", False)
    ] * 4
    assert (await rows(store), object_keys(store)) == ([0, 0, 0], [])


async def test_a_call_deleted_by_its_age_never_comes_back_with_a_later_start(store: Store, pbx: Pbx) -> None:
    await take(store, pbx, CALL)
    await expire(store, calls=True)
    again = newer(started_at=NOW, answered_at=NOW, ended_at=NOW + timedelta(seconds=90))
    with pytest.raises(RetentionEnded):
        await take(store, pbx, again)
    assert (await rows(store), object_keys(store)) == ([0, 0, 0], [])


async def test_audio_that_comes_after_the_erasure_of_its_call_gets_410(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """A PBX that gets 410 deletes its copy: `agent/shipping/recording_shipper.py`."""
    await report(agent, ERASED)
    assert (await admin.post(f"/api/subjects/{NUMBER}/erase")).json()["erased"] == 1
    late = await put_recording(agent, seed.manifest_of(ERASED, ERASED.segments[0]), seed.mixed_of(AUDIO, 5000), AUDIO)
    assert (late.status_code, late.json()["type"]) == (410, "/problems/retention-ended")
    (receipt,) = (await report(agent, ERASED)).receipts
    assert receipt.refused and not receipt.retry
    assert (await admin.get(f"/api/subjects/{NUMBER}")).json()["calls"] == 0


UNKNOWN = "1795391099.99"
# Targets of the merges of three calls, as the index has them. The first call has the number and
# the audio. The cycle is from before reports could not close one.
MERGES: dict[str, tuple[str | None, str | None, str | None]] = {
    "an unknown call": (UNKNOWN, None, None),
    "a chain to an unknown call": (CHAIN[1].linkedid, CHAIN[2].linkedid, UNKNOWN),
    "a cycle": (CHAIN[1].linkedid, CHAIN[0].linkedid, None),
    "a chain to a visible call": (CHAIN[1].linkedid, CHAIN[2].linkedid, None),
}


async def merge(store: Store, pbx: Pbx, targets: tuple[str | None, ...]) -> None:
    await take(store, pbx, CHAIN[0])
    await upsert_calls(store, pbx, CHAIN[1:])
    for call, target in zip(CHAIN, targets, strict=True):
        assert (await upsert_calls(store, pbx, [merged(call, target)])).refusals == ()
        async with store.writing() as connection:
            await connection.execute(update(calls).where(calls.c.linkedid == call.linkedid).values(merged_into=target))


def merged(call: CallReport, target: str | None, newer_by: int = 1) -> CallReport:
    return seed.but(call, revision=call.revision + newer_by, merged_into=target)


A, B, C = (call.linkedid for call in CHAIN)
# Batches of reports: the call, its target, and by how much the report is newer.
CYCLES: dict[str, list[list[tuple[int, str | None, int]]]] = {
    "of two, one after another": [[(0, B, 1)], [(1, A, 1)]],
    "of two, at once": [[(0, B, 1), (1, A, 1)]],
    "of three, one after another": [[(0, B, 1)], [(1, C, 1)], [(2, A, 1)]],
    "of three, at once": [[(2, A, 1), (0, B, 1), (1, C, 1)]],
    "with an old report that ends the first merge": [[(0, B, 2)], [(0, None, 1), (1, A, 1)]],
    "said again": [[(0, B, 1), (1, A, 1)], [(0, B, 2), (1, A, 2)]],
}


@pytest.mark.parametrize("batches", CYCLES.values(), ids=CYCLES)
async def test_a_pbx_cannot_hide_calls_by_merging_them_into_each_other(
    store: Store, pbx: Pbx, batches: list[list[tuple[int, str | None, int]]]
) -> None:
    await take(store, pbx, CHAIN[0])
    await upsert_calls(store, pbx, CHAIN[1:])
    for batch in batches:
        await upsert_calls(store, pbx, [merged(CHAIN[place], target, newer_by) for place, target, newer_by in batch])
    async with store.reading() as connection:
        rows_of_calls = await connection.execute(select(calls.c.linkedid, calls.c.merged_into))
        targets = {row.linkedid: row.merged_into for row in rows_of_calls}
    in_cycle = {CHAIN[place].linkedid for batch in batches for place, _, _ in batch}
    assert [linkedid for linkedid in in_cycle if targets[linkedid] is None] != []
    for linkedid in in_cycle:
        passed = [linkedid]
        while (target := targets[passed[-1]]) is not None:
            assert target not in passed
            passed.append(target)


@pytest.mark.parametrize("targets", MERGES.values(), ids=MERGES)
async def test_a_pbx_cannot_hide_a_call_from_erasure_by_a_merge(store: Store, pbx: Pbx, targets: tuple[str | None, ...]) -> None:
    await merge(store, pbx, targets)
    found = await find_calls(store, 1, NUMBER, NOW)
    assert found.calls
    assert await erase(store) == len(found.calls)
    async with store.reading() as connection:
        assert NUMBER not in (await connection.execute(select(calls.c.src))).scalars().all()
    assert object_keys(store) == []


@pytest.mark.parametrize("targets", MERGES.values(), ids=MERGES)
async def test_a_pbx_cannot_hide_a_call_from_retention_by_a_merge(store: Store, pbx: Pbx, targets: tuple[str | None, ...]) -> None:
    await merge(store, pbx, targets)
    await expire(store, calls=True)
    assert (await rows(store), object_keys(store)) == ([0, 0, 0], [])


async def test_a_call_is_not_merged_into_itself(store: Store, pbx: Pbx) -> None:
    await upsert_calls(store, pbx, [CALL])
    (receipt,) = (await upsert_calls(store, pbx, [newer(merged_into=CALL.linkedid)])).receipts
    assert receipt.refused == "a call cannot be merged into itself" and not receipt.retry
    assert await seen(store, CALL) is not None


async def test_what_the_api_answers_and_counts(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    """A PBX that gets 410 deletes its copy: `agent/shipping/recording_shipper.py`."""
    await ship(agent, CALL, 5000)
    path = f"/api/calls/{call_id('pbx1', CALL.linkedid)}"
    shown = (await admin.get(path)).json()["recording"]
    assert shown["expires_at"] == "2027-05-21T23:43:42.123+07:00"
    await expire(site.services.store)
    shown = (await admin.get(path)).json()["recording"]
    assert (shown["state"], shown["reason"], shown["expires_at"], shown["segments"]) == ("expired", "retention", None, [])
    for part in ("audio", "audio?format=mp3", "peaks"):
        assert (await admin.get(f"{path}/{part}")).status_code == 404
    again = await put_recording(agent, seed.manifest_of(CALL, CALL.segments[0]), seed.mixed_of(AUDIO, 5000), AUDIO)
    assert (again.status_code, again.json()["type"]) == (410, "/problems/retention-ended")
    await expire(site.services.store, calls=True)
    (receipt,) = (await report(agent, seed.but(newer(), started_at=BEGIN - timedelta(days=9)))).receipts
    assert receipt.refused and not receipt.retry
    assert (await admin.get(path)).status_code == 404
    async with site.client() as anybody:
        assert 'fonoteka_agent_refused_total{pbx="pbx1",reason="retention"} 2.0' in (await anybody.get("/metrics")).text
