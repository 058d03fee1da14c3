"""Intake is idempotent, in any order of arrival."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from fonoteka.core.call_report import CallReport, MutedSpan, PathStep, Quality, Reason, RecordingState, Result, SegmentReport
from fonoteka.core.errors import ChecksumWrong, IntakeDeferred, IntakeRefused
from fonoteka.core.manifest import AudioFormat, Manifest, Mixed
from fonoteka.core.naming import call_id
from store.audit.write import Actor
from store.database.schema import calls, domains, milliseconds, participants, segments
from store.database.store import Store
from store.intake.intake import RecordingTaken, store_recording, upsert_calls
from store.objects.file_signature import is_kind
from store.people.accounts import Pbx, ensure_pbx, log_in, pbx_of
from store.provisioning.directory import update_user
from store.queries.calls import SeenCall, call_of
from store.selection.scope import Scope
from tests.data import seed
from tests.support.stored_objects import object_keys, stored_bytes

BEGIN = datetime(2026, 11, 22, 16, 43, 42, 123000, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 17, tzinfo=UTC)
AUDIO = seed.tone(5000)


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


async def scope_of(store: Store, login: str | None = None) -> Scope:
    async with store.reading() as connection:
        domain_id = (await connection.execute(select(domains.c.id).where(domains.c.name == "acme"))).scalar_one()
    return Scope(domain_id=domain_id, login=login)


async def seen(store: Store, call: CallReport, login: str | None = None) -> SeenCall | None:
    return await call_of(store, await scope_of(store, login), call_id(call.pbx, call.linkedid), NOW)


async def take(
    store: Store, pbx: Pbx, call: CallReport, *, audio: bytes = AUDIO, length_ms: int = 5000, **mixed: Any
) -> RecordingTaken:
    manifest = seed.manifest_of(call, call.segments[0])
    made = seed.but(seed.mixed_of(audio, length_ms), **mixed)
    return await store_recording(store, pbx, manifest, made, seed.peaks(length_ms), chunks(audio), NOW)


async def rows(store: Store) -> list[int]:
    async with store.reading() as connection:
        return [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (calls, segments, participants)
        ]


def growing(count: int) -> list[CallReport]:
    """The reports of one call: ringing, answered, ended, corrected."""
    call = seed.a_call(1, BEGIN)
    stages = [
        seed.but(
            call,
            revision=call.revision + 1,
            result=Result.NO_ANSWER,
            answered_by=None,
            answered_at=None,
            ended_at=None,
            talk_ms=0,
        ),
        seed.but(call, revision=call.revision + 2, ended_at=None),
        seed.but(call, revision=call.revision + 3),
        seed.but(call, revision=call.revision + 4, dst="2458888", participants=("152", "421")),
    ]
    return stages[:count]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(0, 3), min_size=1, max_size=8), batch=st.integers(1, 8), number=st.integers(1, 10**9))
async def test_the_newest_revision_stays_in_any_order(store: Store, pbx: Pbx, order: list[int], batch: int, number: int) -> None:
    stages = [seed.but(stage, linkedid=f"{number}.{order}"[:100], segments=()) for stage in growing(4)]
    reports = [stages[place] for place in order]
    for start in range(0, len(reports), batch):
        taken = await upsert_calls(store, pbx, reports[start : start + batch])
        assert [(receipt.linkedid, receipt.revision, receipt.refused) for receipt in taken.receipts] == [
            (report.linkedid, report.revision, None) for report in reports[start : start + batch]
        ]
    newest, shown = stages[max(order)], await seen(store, reports[0])
    assert shown is not None
    assert (shown.dst, shown.result, shown.answered_at, shown.ended_at) == (
        newest.dst,
        newest.result,
        newest.answered_at,
        newest.ended_at,
    )
    assert (await seen(store, reports[0], "421") is not None) == ("421" in newest.participants)


async def test_what_is_not_newer_changes_nothing_and_gets_its_receipt(store: Store, pbx: Pbx) -> None:
    call = seed.a_call(1, BEGIN)
    first = await upsert_calls(store, pbx, [call])
    again = await upsert_calls(
        store, pbx, [seed.but(call, dst="changed"), seed.but(call, dst="changed", revision=call.revision - 1)]
    )
    assert (len(first.changes), len(again.changes)) == (1, 0)
    assert [receipt.refused for receipt in again.receipts] == [None, None]
    shown = await seen(store, call)
    assert shown is not None and shown.dst == call.dst
    assert await rows(store) == [1, 1, 1]


NAIVE, ANCIENT = datetime(2026, 11, 22), datetime(1999, 12, 31, tzinfo=UTC)  # noqa: DTZ001
ENDLESS = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-23)))
SEGMENT = seed.a_call(1, BEGIN).segments[0]
STEP = PathStep(at=BEGIN, what="ring", who="152")

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"pbx": "pbx2"}, "of PBX 'pbx2'"),
    ({"linkedid": ""}, "linkedid"),
    ({"linkedid": "9" * 151}, "linkedid"),
    ({"linkedid": "9\0"}, "linkedid"),
    ({"segments": (SegmentReport(name="../../etc/passwd", user="152", started_at=BEGIN),)}, "letters, digits"),
    ({"segments": (seed.but(SEGMENT, user="1" * 65),)}, "a login"),
    ({"segments": (seed.but(SEGMENT, started_at=NAIVE),)}, "zone"),
    ({"segments": (SEGMENT,) * 1001}, "segments"),
    ({"quality": Quality(mos=float("nan"), loss_pct=0, jitter_ms=0)}, "quality"),
    ({"path": (PathStep(at=BEGIN, what="heard", who="152", quality=Quality(mos=4, loss_pct=101, jitter_ms=0)),)}, "quality"),
    ({"path": (PathStep(at=BEGIN, what="hears", who="152", quality=Quality(mos=4, loss_pct=1, jitter_ms=-1)),)}, "quality"),
    ({"revision": -1}, "revision"),
    ({"revision": 2**63}, "revision"),
    ({"revision": 10**30}, "revision"),
    ({"revision": milliseconds(datetime.now(UTC)) + 32 * 86_400_000}, "clock"),
    ({"domain": "acme\0"}, "a domain's name"),
    ({"participants": ("152", "1" * 65)}, "a login"),
    ({"participants": ("15\0002",)}, "a login"),
    ({"participants": tuple(map(str, range(1001)))}, "participants"),
    ({"employee": "1" * 65}, "a login"),
    ({"number": "2\0"}, "a number"),
    ({"started_at": NAIVE}, "zone"),
    ({"answered_at": ANCIENT}, "between the years"),
    ({"ended_at": ENDLESS}, "between the years"),
    ({"ended_at": BEGIN + timedelta(days=21)}, "20 days"),
    ({"talk_ms": -1}, "talk_ms"),
    ({"talk_ms": 2**31}, "talk_ms"),
    ({"src": "x" * 10_001}, "src"),
    ({"path": (STEP,) * 10_001}, "path"),
    ({"path": (seed.but(STEP, at=NAIVE),)}, "zone"),
    ({"path": (seed.but(STEP, what="x" * 17),)}, "step of the path"),
    ({"path": (seed.but(STEP, what="ring\0"),)}, "step of the path"),
]

WITHIN: list[dict[str, Any]] = [
    {"revision": milliseconds(datetime.now(UTC)) + 30 * 86_400_000},
    {"linkedid": "9" * 150, "segments": ()},
    {"ended_at": BEGIN + timedelta(days=20), "talk_ms": 20 * 86_400_000},
    {"src": "x" * 10_000, "dst": "\0", "answered_by": "a\0b"},
    {"path": (seed.but(STEP, what="x" * 16),) * 10_000},
    {"participants": tuple(f"{number:064}" for number in range(1000)), "segments": ()},
]


async def test_the_most_that_is_taken_fits_the_index(store: Store, pbx: Pbx) -> None:
    for number, much in enumerate(WITHIN):
        taken = await upsert_calls(store, pbx, [seed.but(seed.a_call(number, BEGIN), **much)])
        assert [receipt.refused for receipt in taken.receipts] == [None], much
    assert (await rows(store))[0] == len(WITHIN)


async def test_a_report_of_an_unknown_domain_is_deferred(store: Store, pbx: Pbx) -> None:
    call = seed.but(seed.a_call(1, BEGIN), domain="nobody")
    (receipt,) = (await upsert_calls(store, pbx, [call])).receipts
    assert receipt.retry and "unknown domain 'nobody'" in (receipt.refused or "")
    with pytest.raises(IntakeDeferred, match="unknown domain 'nobody'"):
        await take(store, pbx, call)


async def test_what_can_never_be_taken_is_refused_alone(store: Store, pbx: Pbx) -> None:
    for number, (wrong, words) in enumerate(REFUSED):
        good = seed.a_call(10 * number, BEGIN), seed.a_call(10 * number + 1, BEGIN)
        bad = seed.but(seed.a_call(10 * number + 2, BEGIN), **wrong)
        taken = await upsert_calls(store, pbx, [good[0], bad, good[1]])
        refusals = [receipt.refused for receipt in taken.receipts]
        assert not any(receipt.retry for receipt in taken.receipts)
        assert refusals[0] is None and refusals[2] is None
        assert words in (refusals[1] or ""), wrong
        assert (await rows(store))[0] == 2 * number + 2


async def test_a_pbx_cannot_touch_anothers_call(store: Store, pbx: Pbx) -> None:
    await ensure_pbx(store, "pbx2", "another token")
    other = await pbx_of(store, "another token")
    assert other is not None
    call = seed.a_call(1, BEGIN)
    await upsert_calls(store, pbx, [call])
    with pytest.raises(IntakeRefused):
        await take(store, other, call)
    await upsert_calls(store, other, [seed.but(call, pbx="pbx2", dst="other")])
    shown = await seen(store, call)
    assert shown is not None and shown.dst == call.dst
    # The same name of a segment on both is two segments.
    assert (await rows(store))[:2] == [2, 2]


async def test_a_recording_makes_its_call_ready(store: Store, pbx: Pbx) -> None:
    call = seed.a_call(1, BEGIN)
    await upsert_calls(store, pbx, [call])
    before = await seen(store, call)
    taken = await take(store, pbx, call)
    after = await seen(store, call)
    assert before is not None and after is not None and taken.change is not None
    assert (before.recording.state, after.recording.state) == (RecordingState.PROCESSING, RecordingState.READY)
    assert (taken.change.was, taken.change.recording) == (RecordingState.PROCESSING, RecordingState.READY)
    assert (after.recording.duration_ms, [part.user for part in after.recording.parts]) == (5000, ["152"])
    assert (taken.receipt.sha256, taken.receipt.size_bytes) == (seed.mixed_of(AUDIO, 5000).sha256, len(AUDIO))


async def test_a_recording_whose_call_was_never_reported_makes_its_row(store: Store, pbx: Pbx) -> None:
    call = seed.a_call(1, BEGIN)
    await take(store, pbx, seed.but(call, segments=call.segments, participants=()))
    shown = await seen(store, call, "152")
    assert shown is not None and shown.recording.state is RecordingState.READY


async def test_the_same_recording_twice_is_one(store: Store, pbx: Pbx) -> None:
    call = seed.a_call(1, BEGIN)
    first, again = await take(store, pbx, call), await take(store, pbx, call)
    assert first.receipt == again.receipt
    assert again.change is None
    assert await rows(store) == [1, 1, 1]


async def test_a_missing_object_is_stored_again(store: Store, pbx: Pbx) -> None:
    call = seed.a_call(1, BEGIN)
    first = await take(store, pbx, call)
    await store.objects.delete_all(object_keys(store))
    assert (await take(store, pbx, call)).receipt == first.receipt
    shown = await seen(store, call)
    assert shown is not None and shown.recording.duration_ms == 5000
    assert len(object_keys(store)) == 2


async def test_a_newer_report_keeps_audio_that_it_does_not_name(store: Store, pbx: Pbx) -> None:
    call = seed.a_call(1, BEGIN)
    await take(store, pbx, call)
    await upsert_calls(store, pbx, [seed.but(call, revision=call.revision + 9, segments=(), reason=Reason.USER_OFF)])
    shown = await seen(store, call)
    assert shown is not None and shown.recording.state is RecordingState.READY


async def test_a_segment_without_audio_that_is_no_longer_reported_is_deleted(store: Store, pbx: Pbx) -> None:
    call = seed.a_call(1, BEGIN)
    await upsert_calls(store, pbx, [call])
    await upsert_calls(store, pbx, [seed.but(call, revision=call.revision + 9, segments=(), reason=Reason.NOT_ANSWERED)])
    shown = await seen(store, call)
    assert shown is not None and (shown.recording.state, shown.recording.reason) == (RecordingState.NONE, Reason.NOT_ANSWERED)
    assert (await rows(store))[1] == 0


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"size_bytes": len(AUDIO) - 1}, {"size_bytes": len(AUDIO) + 1}])
async def test_a_recording_damaged_in_transfer_leaves_no_file(store: Store, pbx: Pbx, wrong: dict[str, Any]) -> None:
    with pytest.raises(ChecksumWrong):
        await take(store, pbx, seed.a_call(1, BEGIN), **wrong)
    assert object_keys(store) == []
    assert await rows(store) == [0, 0, 0]


MANIFEST = seed.manifest_of(seed.a_call(1, BEGIN), SEGMENT)
MIXED = seed.mixed_of(AUDIO, 5000)

RECORDINGS_REFUSED: list[tuple[Manifest, Mixed, str]] = [
    (seed.but(MANIFEST, name="a.b"), MIXED, "letters, digits"),
    (seed.but(MANIFEST, name="a\0b"), MIXED, "letters, digits"),
    (seed.but(MANIFEST, user="1" * 65), MIXED, "a login"),
    (seed.but(MANIFEST, started_at=NAIVE), MIXED, "zone"),
    (seed.but(MANIFEST, talk_ms=2**31), MIXED, "talk_ms"),
    (seed.but(MANIFEST, muted=(MutedSpan(from_ms=9, to_ms=8),)), MIXED, "muted"),
    (seed.but(MANIFEST, muted=(MutedSpan(from_ms=0, to_ms=2**31),)), MIXED, "muted"),
    (seed.but(MANIFEST, muted=(MutedSpan(from_ms=0, to_ms=1),) * 10_001), MIXED, "muted"),
    (seed.but(MANIFEST, call=seed.but(MANIFEST.call, revision=10**30)), MIXED, "revision"),
    (MANIFEST, seed.but(MIXED, duration_ms=86_400_001), "duration_ms"),
    (MANIFEST, seed.but(MIXED, duration_ms=-1), "duration_ms"),
    (MANIFEST, seed.but(MIXED, rate_hz=7999), "rate_hz"),
    (MANIFEST, seed.but(MIXED, rate_hz=2**31), "rate_hz"),
    (MANIFEST, seed.but(MIXED, format=AudioFormat.MP3), "no mp3 file"),
]


async def test_a_recording_beyond_the_limits_leaves_nothing_behind(store: Store, pbx: Pbx) -> None:
    for manifest, mixed, words in RECORDINGS_REFUSED:
        with pytest.raises(IntakeRefused, match=words):
            await store_recording(store, pbx, manifest, mixed, seed.peaks(5000), chunks(AUDIO), NOW)
    assert object_keys(store) == []
    assert await rows(store) == [0, 0, 0]


BEGINNINGS = [
    (AudioFormat.OPUS, AUDIO, True),
    (AudioFormat.OPUS, b"OggS" + bytes(24) + b"\x01vorbis" + bytes(9), False),
    (AudioFormat.OPUS, b"ffconcat version 1.0\nfile /etc/hostname\n", False),
    (AudioFormat.OPUS, b"", False),
    (AudioFormat.MP3, b"\xff\xe3\x18\xc4" + bytes(60), True),
    (AudioFormat.MP3, b"ID3\x04" + bytes(60), True),
    (AudioFormat.MP3, b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\nfile:///etc/hostname", False),
    (AudioFormat.FLAC, b"fLaC" + bytes(60), True),
    (AudioFormat.FLAC, b"OggS" + bytes(60), False),
    (AudioFormat.WAV, b"RIFF\n\n\n\nWAVEfmt " + bytes(60), True),
    (AudioFormat.WAV, b"RIFF\0\0\0\0AVI LIST" + bytes(60), False),
]


@pytest.mark.parametrize(("audio_format", "beginning", "can_be"), BEGINNINGS)
def test_a_file_is_recognised_by_its_signature(audio_format: AudioFormat, beginning: bytes, can_be: bool) -> None:
    assert is_kind(audio_format, beginning) == can_be


async def test_a_nul_in_a_name_finds_nothing(store: Store, pbx: Pbx) -> None:
    scope = await scope_of(store)
    assert await log_in(store, "acme\0", "152", seed.PASSWORD, NOW) is None
    assert await log_in(store, "acme", "152\0", seed.PASSWORD, NOW) is None
    assert await call_of(store, scope, "\0", NOW) is None
    by = Actor(login="900", address="\0")
    assert await update_user(store, scope, "\0", record=None, name="\0", by=by, now=NOW) is None
    assert await update_user(store, scope, "152", record=None, name="a\0b", by=by, now=NOW) is not None


async def test_a_segment_cannot_be_taken_from_its_call(store: Store, pbx: Pbx) -> None:
    call = seed.a_call(1, BEGIN)
    await take(store, pbx, call)
    before = [await stored_bytes(store, key) for key in object_keys(store)]
    with pytest.raises(IntakeRefused, match="another call"):
        await take(store, pbx, seed.but(seed.a_call(2, BEGIN), segments=call.segments), audio=AUDIO[:-2])
    assert [await stored_bytes(store, key) for key in object_keys(store)] == before


async def test_two_hundred_calls_are_one_transaction(store: Store, pbx: Pbx) -> None:
    reports = [seed.a_call(number, BEGIN + timedelta(seconds=number)) for number in range(200)]
    taken = await upsert_calls(store, pbx, reports)
    assert len(taken.changes) == 200
    assert await rows(store) == [200, 200, 200]


async def test_hostile_text_is_stored_as_text(store: Store, pbx: Pbx) -> None:
    src = "'; DROP TABLE calls; --\r\n\0«имя» %_\\"
    call = seed.but(seed.a_call(1, BEGIN), src=src)
    await upsert_calls(store, pbx, [call])
    shown = await seen(store, call)
    assert shown is not None and shown.src == src.replace("\0", "")
