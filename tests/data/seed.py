"""A store with a domain, its users and a few days of calls with audio.

Usage: `python -m tests.data.seed DIR`. The portal's tests and its developers use it. The calls are
the same each time.
"""

import asyncio
import hashlib
import json
import math
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import av
import numpy as np
from av.audio.stream import AudioStream

from fonoteka.core.call_report import (
    CallReport,
    Direction,
    LiveReport,
    MutedSpan,
    Party,
    PathStep,
    Reason,
    RecorderState,
    Result,
    SegmentReport,
    UserRecordingStatus,
)
from fonoteka.core.config import StoreSection
from fonoteka.core.manifest import MANIFEST_VERSION, AudioFormat, Layout, Manifest, Mixed, Speech
from store.database.store import Store
from store.intake.intake import store_recording, upsert_calls
from store.people.accounts import Pbx, ensure_pbx, pbx_of
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory

V = TypeVar("V", CallReport, SegmentReport, PathStep, Manifest, Mixed)

PASSWORD = "fonoteka"
PBX_TOKEN = "seed-token-of-pbx1"
RATE_HZ = 8000
PEAKS_PER_SECOND = 10

_USERS = (
    ("152", "Петров П.П.", "user", "all"),
    ("421", "Солдатов Н.С.", "user", "all"),
    ("130", "Иванова А.В.", "user", "off"),
    ("777", "Кузнецова О.И.", "user", "on_demand"),
    ("900", "Директор Е.М.", "admin", "all"),
)
DIRECTORY = (
    """
[[domain]]
name = "acme"
title = "ООО «Акме»"
timezone = "Asia/Krasnoyarsk"
country = "RU"
area_codes = ["391"]
retention_days = 180
notify_email = "boss@acme.example"
"""
    + "".join(
        f"""
  [[domain.user]]
  login = "{login}"
  name = "{name}"
  extension = "{login}"
  endpoints = ["PJSIP/acme-{login}"]
  role = "{role}"
  record = "{record}"
  password = "{PASSWORD}"
"""
        for login, name, role, record in _USERS
    )
    + """
  [[domain.number]]
  number = "2458888"
  label = "Главный"
"""
    + "".join(
        f"""
  [[domain.number]]
  number = "2458{login}"
  label = "{name}"
"""
        for login, name, _, _ in _USERS[:4]
    )
    + """
[[domain]]
name = "other"
title = "ИП Другой"
timezone = "Europe/Moscow"
  [[domain.user]]
  login = "900"
  name = "Чужой Админ"
  role = "admin"
  password = "fonoteka"
"""
)


def section(folder: Path) -> StoreSection:
    """Return the settings of the store in a folder."""
    return StoreSection(database=f"sqlite:///{folder}/fonoteka.db", objects=f"file://{folder}/objects")


@cache
def tone(duration_ms: int, *, left_hz: float = 440.0, right_hz: float = 880.0, rate_hz: int = RATE_HZ) -> bytes:
    """Make an Ogg Opus file: the outside party's tone left, the user's right, in turns."""
    count = duration_ms * rate_hz // 1000
    at = np.arange(count) / rate_hz
    turn = (at.astype(int) % 2).astype(bool)
    loudness = 6000 + 4000 * np.sin(2 * np.pi * at / 7)
    left = np.where(turn, loudness * np.sin(2 * np.pi * left_hz * at), 0)
    right = np.where(turn, 0, loudness * np.sin(2 * np.pi * right_hz * at))
    samples = np.stack([left, right], axis=1).astype(np.int16).reshape(1, -1)
    file = BytesIO()
    with av.open(file, "w", format="ogg") as container:
        options = {"application": "voip", "frame_duration": "60", "compression_level": "0"}
        stream = container.add_stream("libopus", rate=rate_hz, options=options)
        assert isinstance(stream, AudioStream)
        stream.layout = "stereo"
        stream.bit_rate = 24_000
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = rate_hz, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def peaks(duration_ms: int) -> bytes:
    """Make the approximate peaks of `tone`."""
    count = math.ceil(duration_ms * PEAKS_PER_SECOND / 1000)
    loud = [int(90 + 60 * math.sin(place / 11)) for place in range(count)]
    left = [value if place // PEAKS_PER_SECOND % 2 else 0 for place, value in enumerate(loud)]
    right = [0 if place // PEAKS_PER_SECOND % 2 else value for place, value in enumerate(loud)]
    speech = "".join("1" if place // PEAKS_PER_SECOND % 2 else "2" for place in range(count))
    return json.dumps({"per_second": PEAKS_PER_SECOND, "left": left, "right": right, "speech": speech}).encode()


def a_call(number: int, started_at: datetime, *, talk_ms: int = 5000, ring_ms: int = 1000) -> CallReport:
    """Make an ended, answered and recorded incoming call to 152."""
    linkedid = f"{1795391022 + number}.{number}"
    answered_at = started_at + timedelta(milliseconds=ring_ms)
    ended_at = answered_at + timedelta(milliseconds=talk_ms)
    return CallReport(
        pbx="pbx1",
        linkedid=linkedid,
        revision=int(ended_at.timestamp() * 1000),  # as agents set it
        domain="acme",
        direction=Direction.IN,
        result=Result.ANSWERED,
        employee="152",
        participants=("152",),
        src="89131234567",
        src_name="",
        dst="2458152",
        number="2458152",
        answered_by="152",
        started_at=started_at,
        answered_at=answered_at,
        ended_at=ended_at,
        talk_ms=talk_ms,
        segments=(SegmentReport(name=f"pbx1-{number}-1", user="152", started_at=answered_at),),
        reason=None,
        path=(
            PathStep(at=started_at, what="arrive", who="2458152"),
            PathStep(at=started_at, what="ring", who="152"),
            PathStep(at=answered_at, what="answer", who="152"),
            PathStep(at=ended_at, what="end", who=""),
        ),
        trunk="PJSIP/trunk",
        wait_ms=ring_ms,
    )


def but(value: V, /, **fields: Any) -> V:
    """Return a copy of a call, segment, step or manifest with other fields."""
    return replace(value, **fields)


def unanswered(call: CallReport, result: Result = Result.NO_ANSWER) -> CallReport:
    """Return a copy of a call without an answer."""
    path = (*call.path[:2], PathStep(at=call.path[-1].at, what="end", who=""))
    fields = {
        "answered_by": None,
        "answered_at": None,
        "talk_ms": 0,
        "segments": (),
        "reason": Reason.NOT_ANSWERED,
        "quality": None,
    }
    return but(call, result=result, path=path, **fields)


def manifest_of(call: CallReport, segment: SegmentReport, *, talk_ms: int | None = None) -> Manifest:
    """Make the manifest of a segment of a call."""
    return Manifest(
        version=MANIFEST_VERSION,
        name=segment.name,
        user=segment.user,
        started_at=segment.started_at,
        talk_ms=call.talk_ms if talk_ms is None else talk_ms,
        outside_leg="t.wav",
        employee_leg="r.wav",
        muted=(),
        call=call,
    )


def mixed_of(audio: bytes, duration_ms: int) -> Mixed:
    """Make the mixer's result for an Opus file."""
    return Mixed(
        audio_file="audio.opus",
        peaks_file="peaks.json",
        format=AudioFormat.OPUS,
        layout=Layout.STEREO,
        rate_hz=RATE_HZ,
        duration_ms=duration_ms,
        size_bytes=len(audio),
        sha256=hashlib.sha256(audio).hexdigest(),
        salvaged=False,
        speech=speech_in_tone(duration_ms),
    )


def speech_in_tone(duration_ms: int) -> Speech:
    """Return who speaks in `tone`: the parties take turns of a second, the user first."""
    whole, rest = divmod(duration_ms, 2000)
    employee_ms = whole * 1000 + min(rest, 1000)
    return Speech(
        outside_ms=duration_ms - employee_ms,
        employee_ms=employee_ms,
        overlap_ms=0,
        silence_ms=0,
        longest_silence_ms=0,
        first_word_ms=0,
    )


def paused(call: CallReport, segment: SegmentReport, length_ms: int) -> tuple[MutedSpan, ...]:
    """Return the pause of a segment: for the number of a card, after a transfer."""
    second = len(call.segments) > 1 and segment is call.segments[1]
    return (MutedSpan(from_ms=length_ms // 2, to_ms=length_ms * 3 // 4),) if second else ()


async def ship(store: Store, pbx: Pbx, call: CallReport, lengths_ms: tuple[int, ...], *, speech: Speech | None = None) -> None:
    """Store the segments of a call with audio of these lengths; by default they take turns."""
    for segment, length_ms in zip(call.segments, lengths_ms, strict=True):
        audio = tone(length_ms, left_hz=300.0 + 40 * (int(segment.user) % 7))

        async def once(content: bytes = audio) -> AsyncIterator[bytes]:
            yield content

        manifest = but(manifest_of(call, segment, talk_ms=length_ms), muted=paused(call, segment, length_ms))
        mixed = mixed_of(audio, length_ms)
        if speech is not None:
            mixed = but(mixed, speech=speech)
        await store_recording(store, pbx, manifest, mixed, peaks(length_ms), once(), datetime.now(UTC))


async def seed(store: Store, *, count: int = 300, now: datetime | None = None) -> Pbx:
    """Fill a store with the directory, a PBX, `count` calls in four days, and one in progress."""
    await apply(store, parse_directory(DIRECTORY, source="tests.data.seed"))
    await ensure_pbx(store, "pbx1", PBX_TOKEN)
    pbx = await pbx_of(store, PBX_TOKEN)
    assert pbx is not None
    chance, latest = Random(391), (now or datetime.now(UTC)).replace(microsecond=123000)  # noqa: S311 (no secret)
    for number in range(count):
        started_at = latest - timedelta(minutes=20 * number + chance.randrange(15), seconds=chance.randrange(60))
        call, lengths_ms = _kind(number % 12, a_call(number, started_at, talk_ms=chance.choice((3, 8, 14, 26, 62)) * 1000), chance)
        taken = await upsert_calls(store, pbx, [call])
        assert taken.receipts[0].refused is None, taken.receipts[0].refused
        if lengths_ms:
            await ship(store, pbx, call, lengths_ms)
    if count:
        going_on = a_call(count, latest - timedelta(seconds=20))
        by_rule = UserRecordingStatus(user="152", recorder=RecorderState.ON, reason=None, may_start=False, may_stop=False)
        parties = (Party(who=going_on.src, login=None), Party(who="152", login="152"))
        live = LiveReport(parties=parties, talking_since=going_on.answered_at, sides=(by_rule,))
        await upsert_calls(store, pbx, [but(going_on, ended_at=None, path=going_on.path[:3], live=live)])
    return pbx


def _kind(kind: int, call: CallReport, chance: Random) -> tuple[CallReport, tuple[int, ...]]:
    """Make a call of one of twelve kinds; return the lengths of its audio, too."""
    outside = f"8913{chance.randrange(10**7):07d}"
    call, lengths_ms = but(call, src=outside), (call.talk_ms,)
    segment = call.segments[0]
    of_421 = replace(segment, user="421")
    if kind == 0:
        return unanswered(call, Result.BUSY), ()
    if kind == 1:
        return unanswered(but(call, dst="2458888", number="2458888", employee=None, participants=())), ()
    if kind == 2:
        out = {"direction": Direction.OUT, "src": "152", "dst": "2667788", "answered_by": "2667788", "number": None}
        return but(call, **out), lengths_ms
    if kind == 3:
        out = {"direction": Direction.OUT, "src": "421", "dst": outside, "answered_by": outside, "number": None}
        return but(call, employee="421", participants=("421",), segments=(of_421,), **out), lengths_ms
    if kind == 4:
        inside = {"direction": Direction.INTERNAL, "src": "152", "dst": "421", "answered_by": "421", "number": None}
        return but(call, participants=("152", "421"), **inside), lengths_ms
    if kind == 5:
        off = {"employee": "130", "participants": ("130",), "dst": "2458130", "number": "2458130", "answered_by": "130"}
        return but(call, segments=(), reason=Reason.USER_OFF, **off), ()
    if kind == 6:
        away = {"dst": "2458421", "number": "2458421", "employee": "421", "participants": ("421",), "answered_by": "83952201010"}
        return but(call, segments=(), reason=Reason.FORWARDED_LONG_DISTANCE, **away), ()
    if kind == 7:
        half = call.talk_ms // 2
        later = SegmentReport(name=f"{segment.name}b", user="421", started_at=segment.started_at + timedelta(milliseconds=half))
        moved = PathStep(at=later.started_at, what="transfer", who="421", by="152")
        path = (*call.path[:3], moved, *call.path[3:])
        both = {"participants": ("152", "421"), "answered_by": "421", "path": path}
        return but(call, segments=(segment, later), **both), (half, call.talk_ms - half)
    if kind == 8:
        asked = {"employee": "777", "participants": ("777",), "dst": "2458777", "number": "2458777", "answered_by": "777"}
        return but(call, segments=(), reason=Reason.ON_DEMAND_NOT_ASKED, **asked), ()
    if kind == 9:
        failed = replace(segment, reason=Reason.ASTERISK_FAILED)
        return but(call, segments=(failed,)), ()
    if kind == 10:
        return but(call, src="anonymous", src_name="«Ромашка», ООО; $(rm -rf /) <script>"), lengths_ms
    return but(call, dst="2458888", number="2458888"), lengths_ms


async def _fill(folder: Path) -> None:
    store = await Store.open(section(folder), sweep=True)
    try:
        await seed(store)
    finally:
        await store.close()


def main(folder: Path) -> None:
    """Fill the folder and print how to serve it."""
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_fill(folder))
    say_how_to_look(folder)


def say_how_to_look(folder: Path) -> None:
    """Write a configuration for the store in a folder, and print how to serve it and log in."""
    config = folder / "fonoteka.toml"
    config.write_text(
        f'[store]\ndatabase = "sqlite:///{folder}/fonoteka.db"\nobjects = "file://{folder}/objects"\n'
        '[api]\nlisten = "127.0.0.1:8080"\n',
        encoding="utf-8",
    )
    print(f"Seeded {folder}. Start the API on it:\n    fonoteka api --config {config}")
    print(f"Log in: domain acme; 900 (administrator), 152, 421, 130 or 777; password {PASSWORD}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
