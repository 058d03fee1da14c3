"""The audio of a call: ranges, segments joined without a gap, conversion, the cache."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import av
import httpx
import numpy as np
import pytest

from api.audio import conversion
from api.audio.cache import AudioCache, Make
from api.audio.join import Source, write_joined
from api.audio.peaks import PlacedPeaks, StoredPeaks, joined
from api.audit.trail import AuditTrail
from fonoteka.core.errors import ConversionAbandoned, StoreError, TooManyConversions
from fonoteka.core.manifest import AudioFormat, Layout
from fonoteka.core.naming import call_id
from store.audit.read import SeenEntry, page_of_audit
from store.audit.write import Actor, NewEntry
from store.database.store import Store
from store.intake.one_sound import Piece
from store.selection.period import Period
from tests.api.conftest import Site, ship
from tests.data import seed

BEGIN = datetime(2026, 11, 22, 16, 43, 42, 123000, tzinfo=UTC)
AUDIO = seed.tone(5000)
SIZE = len(AUDIO)


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """Decoded audio: a row for each channel; Opus is decoded at 48 kHz."""

    samples: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    rate_hz: int

    @property
    def duration_ms(self) -> float:
        return self.samples.shape[1] * 1000 / self.rate_hz

    def pitch_hz(self, channel: int, from_ms: int, to_ms: int) -> float:
        """Return the loudest frequency of a time span."""
        piece = self.samples[channel, from_ms * self.rate_hz // 1000 : to_ms * self.rate_hz // 1000]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece))))
        return float(np.argmax(spectrum) * self.rate_hz / len(piece))


def heard(content: bytes) -> Heard:
    with av.open(BytesIO(content), "r") as container:
        rate, channels = container.streams.audio[0].rate, container.streams.audio[0].channels
        resampler = av.AudioResampler(format="s16", layout="stereo" if channels == 2 else "mono", rate=rate)
        blocks = [block.to_ndarray() for frame in [*container.decode(audio=0), None] for block in resampler.resample(frame)]
    return Heard(samples=np.concatenate(blocks, axis=1).reshape(-1, channels).T.astype(float), rate_hz=rate)


@pytest.fixture
async def call(agent: httpx.AsyncClient) -> str:
    """The path of the audio of a recorded call."""
    await ship(agent, seed.but(seed.a_call(1, BEGIN), src="Имя/../%s\r\n"), 5000)
    return f"/api/calls/{call_id('pbx1', seed.a_call(1, BEGIN).linkedid)}/audio"


RANGES = [
    (None, 200, 0, SIZE),
    ("bytes=0-", 206, 0, SIZE),
    ("bytes=0-0", 206, 0, 1),
    ("bytes=100-199", 206, 100, 200),
    (f"bytes={SIZE - 1}-", 206, SIZE - 1, SIZE),
    ("bytes=-10", 206, SIZE - 10, SIZE),
    (f"bytes=-{SIZE + 10}", 206, 0, SIZE),
    (f"bytes=10-{SIZE + 10}", 206, 10, SIZE),
    ("BYTES=1-2", 206, 1, 3),
    ("bytes=5-2", 200, 0, SIZE),
    ("bytes=x-", 200, 0, SIZE),
    ("bytes=-", 200, 0, SIZE),
    ("lines=1-2", 200, 0, SIZE),
    ("bytes=0-1,5-6", 200, 0, SIZE),
    (f"bytes={SIZE}-", 416, 0, 0),
    ("bytes=-0", 416, 0, 0),
    ("bytes=9999999999999999999-", 416, 0, 0),
    (f"bytes={'9' * 5000}-", 200, 0, SIZE),
    (f"bytes=0-{'9' * 5000}", 200, 0, SIZE),
    (f"bytes=-{'9' * 5000}", 200, 0, SIZE),
]


async def test_ranges(admin: httpx.AsyncClient, call: str) -> None:
    for header, status, first, last in RANGES:
        headers = {"Range": header} if header else {}
        answer = await admin.get(call, headers=headers)
        assert answer.status_code == status, header
        if status == 416:
            assert (answer.headers["content-range"], answer.json()["type"]) == (
                f"bytes */{SIZE}",
                "/problems/range-not-satisfiable",
            )
            continue
        assert answer.content == AUDIO[first:last], header
        assert (answer.headers["content-type"], answer.headers["accept-ranges"]) == ("audio/ogg", "bytes")
        assert answer.headers["content-length"] == str(last - first)
        assert answer.headers.get("content-range") == (f"bytes {first}-{last - 1}/{SIZE}" if status == 206 else None)
        head = await admin.head(call, headers=headers)
        assert (head.status_code, head.content, head.headers["content-length"]) == (status, b"", str(last - first)), header


async def test_a_part_is_given_only_of_what_the_player_knows(admin: httpx.AsyncClient, call: str) -> None:
    tag = (await admin.get(call)).headers["etag"]
    for known, status in ((tag, 206), ('"other"', 200), (f"W/{tag}", 200)):
        assert (await admin.get(call, headers={"Range": "bytes=0-9", "If-Range": known})).status_code == status
    again = await admin.get(call, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


async def test_saved_it_has_a_telling_name_made_of_safe_letters(admin: httpx.AsyncClient, call: str) -> None:
    assert "content-disposition" not in (await admin.get(call)).headers
    for query, extension in (("download=1", "ogg"), ("download=1&format=mp3", "mp3"), ("download=true&format=wav", "wav")):
        name = (await admin.get(f"{call}?{query}")).headers["content-disposition"]
        assert name == f'attachment; filename="2026-11-22_23-43-42_-s-_2458152.{extension}"'


@pytest.mark.parametrize(("target", "media_type", "within_ms"), [("mp3", "audio/mpeg", 150), ("wav", "audio/wav", 0.2)])
async def test_another_format_is_the_same_sound(
    admin: httpx.AsyncClient, call: str, target: str, media_type: str, within_ms: float
) -> None:
    answer = await admin.get(call, params={"format": target})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    sound = heard(answer.content)
    assert sound.duration_ms == pytest.approx(5000, abs=within_ms)
    assert sound.pitch_hz(1, 100, 900) == pytest.approx(880, abs=10)
    assert sound.pitch_hz(0, 1300, 1900) == pytest.approx(440, abs=10)
    part = await admin.get(call, params={"format": target}, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, answer.content[5:10])


LENGTHS_MS = (3017, 2000, 61)


async def test_segments_are_joined_in_order_without_a_seam(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    call = seed.a_call(1, BEGIN)
    first = call.segments[0]
    parts = tuple(
        seed.but(first, name=f"part{place}", user=user, started_at=first.started_at + timedelta(seconds=9 * place))
        for place, user in enumerate(("152", "421", "152"))
    )
    await ship(agent, seed.but(call, participants=("152", "421"), segments=parts[::-1]), *LENGTHS_MS[::-1])
    path = f"/api/calls/{call_id('pbx1', call.linkedid)}"
    segments = (await admin.get(path)).json()["recording"]["segments"]
    assert [(part["user"], part["offset_ms"]) for part in segments] == [("152", 0), ("421", 3017), ("152", 5017)]
    answer = await admin.get(f"{path}/audio")
    assert answer.headers["content-type"] == "audio/ogg"
    decoded = heard(answer.content)
    assert decoded.duration_ms == sum(LENGTHS_MS)
    # Each segment begins with a second of 880 Hz on the right (the employee), then has a second of
    # 440 Hz on the left.
    for start_ms in (0, 3017):
        assert decoded.pitch_hz(1, start_ms + 100, start_ms + 900) == pytest.approx(880, abs=10)
        assert decoded.pitch_hz(0, start_ms + 1100, start_ms + 1900) == pytest.approx(440, abs=10)
    async with await site.log_in("421") as colleague:
        assert heard((await colleague.get(f"{path}/audio")).content).duration_ms == 2000


async def test_a_page_to_five_is_as_long_as_the_page(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    """Five users are recorded at the same moment; the longest recording is heard."""
    call = seed.a_call(1, BEGIN)
    first, users = call.segments[0], ("152", "421", "130", "777", "900")
    parts = tuple(
        seed.but(first, name=f"page{place}", user=user, started_at=first.started_at + timedelta(milliseconds=20 * place))
        for place, user in enumerate(users)
    )
    await ship(agent, seed.but(call, participants=users, segments=parts), 4900, 4900, 5000, 4900, 4800)
    path = f"/api/calls/{call_id('pbx1', call.linkedid)}"
    recording = (await admin.get(path)).json()["recording"]
    assert recording["duration_ms"] == 5000
    assert [(part["user"], part["offset_ms"], part["duration_ms"]) for part in recording["segments"]] == [
        ("152", 0, 4900),
        ("421", 0, 4900),
        ("130", 0, 5000),
        ("777", 20, 4900),
        ("900", 40, 4800),
    ]
    audio = await admin.get(f"{path}/audio")
    assert audio.content == seed.tone(5000), "the stored file, as it is"
    assert (await admin.get(f"{path}/peaks")).json()["duration_ms"] == 5000
    async with await site.log_in("421") as colleague:
        assert heard((await colleague.get(f"{path}/audio")).content).duration_ms == 4900


async def test_an_enquiry_is_heard_beside_the_customer_on_hold(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    call = seed.a_call(1, BEGIN)
    first = call.segments[0]
    parts = tuple(
        seed.but(first, name=name, user=user, started_at=first.started_at + timedelta(seconds=begins_s))
        for name, user, begins_s in (("customer", "152", 0), ("enquiry", "152", 3), ("taken", "421", 5))
    )
    await ship(agent, seed.but(call, participants=("152", "421"), segments=parts), 5000, 2000, 4000)
    path = f"/api/calls/{call_id('pbx1', call.linkedid)}"
    recording = (await admin.get(path)).json()["recording"]
    assert [(part["user"], part["offset_ms"]) for part in recording["segments"]] == [("152", 0), ("152", 3000), ("421", 5000)]
    sound = heard((await admin.get(f"{path}/audio")).content)
    assert (recording["duration_ms"], sound.duration_ms, (await admin.get(f"{path}/peaks")).json()["duration_ms"]) == (9000,) * 3
    for side, hz in ((0, 440), (1, 880)):  # the customer's odd second is the enquiry's even one
        assert sound.pitch_hz(side, 3100, 3900) == pytest.approx(hz, abs=10)


LENGTHS = (59, 60, 61, 997, 1500)


def heard_at(offset_ms: int, duration_ms: int, from_ms: int = 0) -> Piece:
    return Piece(segment=0, from_ms=from_ms, duration_ms=duration_ms, offset_ms=offset_ms)


def source(path: Path, content: bytes, piece: Piece, audio_format: AudioFormat = AudioFormat.OPUS) -> Source:
    path.write_bytes(content)
    return Source(open=lambda: path.open("rb"), format=audio_format, piece=piece)


def in_a_row(lengths_ms: Sequence[int]) -> list[Piece]:
    return [heard_at(sum(lengths_ms[:place]), length_ms) for place, length_ms in enumerate(lengths_ms)]


@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_joining_is_exact_to_the_sample(tmp_path: Path, audio_format: AudioFormat) -> None:
    sources = [source(tmp_path / f"{piece.offset_ms}.ogg", seed.tone(piece.duration_ms), piece) for piece in in_a_row(LENGTHS)]
    target, again = tmp_path / f"joined.{audio_format}", tmp_path / "again"
    for draft in (target, again):
        write_joined(sources, draft, audio_format=audio_format, layout=Layout.STEREO, rate_hz=8000)
    assert target.read_bytes() == again.read_bytes(), "parts of both may be joined by a player that asks for ranges"
    sound = heard(target.read_bytes())
    total = sum(LENGTHS) * sound.rate_hz // 1000
    if audio_format is AudioFormat.MP3:  # its frames are 72 ms long at 8 kHz
        assert 0 <= sound.samples.shape[1] - total <= 2 * 1152
    else:
        assert sound.samples.shape[1] == total


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_segments_of_two_rates_are_joined_at_the_higher(tmp_path: Path, audio_format: AudioFormat) -> None:
    """A call is transferred from a G.722 phone to another one: 16 kHz, then 8."""
    rates_hz = (16000, 8000, 16000)
    contents = (seed.tone(length_ms, rate_hz=rate_hz) for length_ms, rate_hz in zip(LENGTHS_MS, rates_hz, strict=True))
    placed = zip(contents, in_a_row(LENGTHS_MS), strict=True)
    sources = [source(tmp_path / f"{piece.offset_ms}.ogg", content, piece) for content, piece in placed]
    write_joined(sources, tmp_path / "joined", audio_format=audio_format, layout=Layout.STEREO, rate_hz=16000)
    decoded = heard((tmp_path / "joined").read_bytes())
    assert decoded.rate_hz == (48000 if audio_format is AudioFormat.OPUS else 16000)  # FFmpeg always decodes Opus at 48 kHz
    total = sum(LENGTHS_MS) * decoded.rate_hz // 1000
    assert 0 <= decoded.samples.shape[1] - total <= (2 * 1152 if audio_format is AudioFormat.MP3 else 0)
    for start_ms in (0, LENGTHS_MS[0]):
        assert decoded.pitch_hz(1, start_ms + 100, start_ms + 900) == pytest.approx(880, abs=10)
        assert decoded.pitch_hz(0, start_ms + 1100, start_ms + 1900) == pytest.approx(440, abs=10)


CONCAT = b"ffconcat version 1.0\nfile other.ogg\n"


@pytest.mark.parametrize(
    ("content", "audio_format"),
    [
        *((CONCAT, audio_format) for audio_format in AudioFormat),
        (AUDIO, AudioFormat.MP3),
        (AUDIO, AudioFormat.WAV),
        (b"", AudioFormat.OPUS),
        (AUDIO[:50], AudioFormat.OPUS),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else None,  # the audio differs between runs
)
def test_only_what_the_index_says_is_read(tmp_path: Path, content: bytes, audio_format: AudioFormat) -> None:
    (tmp_path / "other.ogg").write_bytes(AUDIO)
    wrong = source(tmp_path / "x", content, heard_at(0, 5000), audio_format)
    with pytest.raises(StoreError):
        write_joined([wrong], tmp_path / "joined", audio_format=AudioFormat.WAV, layout=Layout.STEREO, rate_hz=8000)


def test_no_more_is_decoded_than_there_should_be(tmp_path: Path) -> None:
    longer = source(tmp_path / "x.ogg", seed.tone(5000), heard_at(0, 2000))
    write_joined([longer], tmp_path / "joined", audio_format=AudioFormat.WAV, layout=Layout.STEREO, rate_hz=8000)
    assert heard((tmp_path / "joined").read_bytes()).duration_ms == 2000


def test_two_lines_are_mixed_and_of_a_third_one_the_rest_is_heard(tmp_path: Path) -> None:
    """From 1 s to 3 s an enquiry is heard beside the customer; from 4 s on the end of another."""
    tones = [seed.tone(4000), seed.tone(2000, left_hz=600, right_hz=700), seed.tone(5000, left_hz=1100, right_hz=1200)]
    pieces = [heard_at(0, 4000), heard_at(1000, 2000), heard_at(4000, 2000, from_ms=3000)]
    sources = [source(tmp_path / f"{hz}.ogg", *placed) for hz, placed in enumerate(zip(tones, pieces, strict=True))]
    write_joined(sources, tmp_path / "joined", audio_format=AudioFormat.WAV, layout=Layout.STEREO, rate_hz=8000)
    sound = heard((tmp_path / "joined").read_bytes())
    assert sound.duration_ms == 6000
    # In odd seconds of each source the left side has a tone, in even ones the right side.
    loudest = [[sound.pitch_hz(side, s * 1000 + 100, s * 1000 + 900) for side in (0, 1)] for s in (1, 2)]
    assert loudest == [pytest.approx([440, 700], abs=10), pytest.approx([600, 880], abs=10)]
    assert sound.pitch_hz(0, 4100, 4900) == pytest.approx(1100, abs=10)
    assert sound.pitch_hz(1, 5100, 5900) == pytest.approx(1200, abs=10)


def test_decoding_ends_when_it_is_abandoned(tmp_path: Path) -> None:
    complete = source(tmp_path / "x.ogg", AUDIO, heard_at(0, 5000))
    with pytest.raises(ConversionAbandoned):
        write_joined(
            [complete], tmp_path / "joined", lambda: True, audio_format=AudioFormat.WAV, layout=Layout.STEREO, rate_hz=8000
        )


def test_peaks_lie_where_their_audio_is() -> None:
    first = PlacedPeaks(peaks=StoredPeaks(per_second=10, left=[1, 2, 3], right=[4, 5, 6]), piece=heard_at(0, 250))
    short = PlacedPeaks(peaks=StoredPeaks(per_second=10, left=[7], right=[8]), piece=heard_at(250, 300))
    finer = PlacedPeaks(peaks=StoredPeaks(per_second=20, left=[1, 9, 2, 1], right=[]), piece=heard_at(550, 200))
    peaks = joined([first, short, finer])
    assert (peaks.duration_ms, peaks.per_second) == (750, 10)
    assert peaks.left == [1, 2, 3, 7, 0, 0, 9, 2]
    assert peaks.right == [4, 5, 6, 8, 0, 0, 9, 2]


def test_where_two_lines_are_mixed_the_louder_one_is_seen() -> None:
    customer = PlacedPeaks(peaks=StoredPeaks(per_second=10, left=[5, 1, 5, 1], right=[0] * 4), piece=heard_at(0, 400))
    enquiry = PlacedPeaks(peaks=StoredPeaks(per_second=10, left=[9, 3, 3, 9], right=[2] * 4), piece=heard_at(100, 200, 100))
    peaks = joined([customer, enquiry])
    assert (peaks.left, peaks.right) == ([5, 3, 5, 1], [0, 2, 2, 0])


def test_who_spoke_lies_where_its_audio_is() -> None:
    """Between two values of a finer track, both sides may have spoken in the coarser one."""
    first = PlacedPeaks(peaks=StoredPeaks(per_second=10, left=[1], right=[1], speech="012"), piece=heard_at(0, 300))
    finer = PlacedPeaks(peaks=StoredPeaks(per_second=20, left=[1], right=[1], speech="12003"), piece=heard_at(300, 300))
    assert joined([first, finer]).speech == "012303"
    older = PlacedPeaks(peaks=StoredPeaks(per_second=10, left=[1], right=[1]), piece=heard_at(300, 100))
    assert joined([first, older]).speech == ""


async def test_the_cache_makes_each_file_once_and_stays_small(tmp_path: Path) -> None:
    cache, made = AudioCache(tmp_path / "cache", limit_bytes=350), list[str]()
    cache.prepare()

    def make(draft: Path, _abandoned: Callable[[], bool]) -> None:
        made.append(draft.name)
        draft.write_bytes(b"x" * 100)

    contents = await asyncio.gather(*(got(cache, "a.ogg", make) for _ in range(5)))
    assert [oct(path.stat().st_mode)[-3:] for path in (tmp_path / "cache", tmp_path / "cache" / "a.ogg")] == ["700", "600"]
    assert (len(made), set(contents)) == (1, {b"x" * 100})
    for name in ("b.ogg", "a.ogg", "c.ogg"):
        await got(cache, name, make)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["a.ogg", "c.ogg"]

    def broken(_draft: Path, _abandoned: Callable[[], bool]) -> None:
        raise EOFError

    with pytest.raises(EOFError):
        await cache.get("d.ogg", broken, owner=1)
    assert await got(cache, "d.ogg", make) == b"x" * 100


async def got(cache: AudioCache, key: str, make: Make, owner: int = 1) -> bytes:
    with await cache.get(key, make, owner=owner) as file:
        return file.read()


class Slow:
    """A conversion that ends when `finish` is set; counts its calls and cancellations."""

    def __init__(self) -> None:
        self.finish = Event()
        self.begun, self.given_up, self.done = (Semaphore(0) for _ in range(3))

    def __call__(self, *given: Any, **_: Any) -> None:
        draft, abandoned = given[-2:]
        self.begun.release()
        while not self.finish.wait(0.005):
            if abandoned():
                self.given_up.release()
                raise EOFError
        draft.write_bytes(AUDIO)
        self.done.release()


async def happens(semaphore: Semaphore) -> None:
    assert await asyncio.to_thread(semaphore.acquire, timeout=60)


async def test_a_conversion_without_waiting_requests_is_cancelled(tmp_path: Path) -> None:
    cache, slow = AudioCache(tmp_path / "cache", limit_bytes=250), Slow()
    cache.prepare()
    first, second = (asyncio.create_task(got(cache, "a.ogg", slow, owner)) for owner in (1, 2))
    await happens(slow.begun)
    first.cancel()
    await asyncio.wait([first])
    second.cancel()
    await happens(slow.given_up)
    again, other = (asyncio.create_task(got(cache, "a.ogg", slow, owner)) for owner in (1, 2))
    await happens(slow.begun)
    again.cancel()
    await asyncio.wait([again])
    slow.finish.set()
    assert await other == AUDIO
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["a.ogg"]


async def test_an_account_waits_for_two_conversions_at_most(tmp_path: Path) -> None:
    cache, slow = AudioCache(tmp_path / "cache", limit_bytes=10 * SIZE), Slow()
    cache.prepare()
    wanted = [("a", 1), ("a", 1), ("b", 1), ("b", 2), ("c", 2)]
    requests = [asyncio.create_task(got(cache, key, slow, owner)) for key, owner in wanted]
    await happens(slow.begun)
    await happens(slow.begun)
    for owner in (1, 2):
        with pytest.raises(TooManyConversions):
            await cache.get("d", slow, owner=owner)
    slow.finish.set()
    assert await asyncio.gather(*requests, got(cache, "d", slow, 3), got(cache, "e", slow, 3)) == [AUDIO] * 7


async def test_head_converts_nothing(admin: httpx.AsyncClient, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    slow.finish.set()
    monkeypatch.setattr(conversion, "write_joined", slow)
    before = await admin.head(call, params={"format": "mp3"})
    assert (before.status_code, before.headers["content-type"], "content-length" in before.headers) == (200, "audio/mpeg", False)
    assert not slow.begun.acquire(blocking=False)
    got = await admin.get(call, params={"format": "mp3"})
    after = await admin.head(call, params={"format": "mp3"})
    assert {answer.headers["etag"] for answer in (before, got, after)} == {got.headers["etag"]}
    assert (after.headers["content-length"], after.headers["accept-ranges"]) == (str(SIZE), "bytes")


@pytest.mark.one_machine
async def test_entries_that_could_not_be_written_are_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await Store.open(site.configuration.store)
    try:
        trail = AuditTrail(store)
        by = Actor(login="152", address="127.0.0.1")
        for call in ("first", "second"):
            trail.add(NewEntry(at=BEGIN, domain_id=1, by=by, action="listened", subject=call, detail={}))
        with monkeypatch.context() as failing:
            failing.setattr(store, "_writer", Full())
            with pytest.raises(StoreError):
                await trail.flush()
        await trail.flush()
        await trail.flush()
        assert [row.subject for row in await audited(store)] == ["first", "second"]
    finally:
        await store.close()


class Full:
    """A writer whose disk is full."""

    async def __aenter__(self) -> None:
        raise OSError("disk full")

    async def __aexit__(self, *_: object) -> None:
        """Do nothing: the block was not entered."""


async def audited(store: Store) -> tuple[SeenEntry, ...]:
    """Return the entries of what was heard and exported in domain 1, the oldest first."""
    always = Period(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))
    actions = ("listened", "downloaded", "exported")
    page = await page_of_audit(store, 1, always, actions=actions, login=None, after=None, limit=500)
    return page.items[::-1]


async def test_a_client_that_disconnects_frees_its_slots(
    agent: httpx.AsyncClient, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    monkeypatch.setattr(conversion, "write_joined", slow)
    paths = []
    for number in range(3):
        recorded_call = seed.a_call(number, BEGIN)
        await ship(agent, recorded_call, 1000 + number)
        paths.append(f"/api/calls/{call_id('pbx1', recorded_call.linkedid)}/audio?format=wav")
    waiting = [asyncio.create_task(admin.get(path)) for path in paths[:2]]
    for _ in waiting:
        await happens(slow.begun)
    refused = await admin.get(paths[2])
    assert (refused.status_code, refused.json()["type"], refused.headers["retry-after"]) == (
        429,
        "/problems/too-many-conversions",
        "5",
    )
    for request in waiting:
        request.cancel()
    for _ in waiting:
        await happens(slow.given_up)
    slow.finish.set()
    assert (await admin.get(paths[2])).content == AUDIO
