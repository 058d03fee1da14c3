"""The audit has each part of a call that a user heard, whatever the form of the request."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from api.audio import heard_file
from api.audio.heard_file import HeardFile
from api.audit.trail import AuditTrail
from fonoteka.core.errors import StoreError
from store.audit.write import Actor, NewEntry
from store.database.store import Store
from store.people.accounts import Pbx
from tests.api.conftest import Site
from tests.intruder.on_both_databases import AUDIO, LENGTH_MS, SIZE, audio_path, journal, site

__all__ = ["audio_path", "site"]

HALF = SIZE // 2
TAG = f'"{hashlib.sha256(AUDIO).hexdigest()}"'
Request = tuple[str, str, dict[str, str]]
Bytes = tuple[int, int]


def get(byte_range: str | None = None, query: str = "", **headers: str) -> Request:
    return (
        "GET",
        query,
        ({"Range": byte_range} if byte_range else {}) | {"-".join(name.split("_")): headers[name] for name in headers},
    )


# Requests of one session, and the bytes that the audit says were heard.
HEARD: list[tuple[list[Request], list[Bytes]]] = [
    ([get()], [(0, SIZE)]),
    ([get("bytes=0-")], [(0, SIZE)]),
    ([get("bytes=1-")], [(1, SIZE)]),
    ([get(f"bytes={HALF}-")], [(HALF, SIZE)]),
    ([get("bytes=0-9")], [(0, 10)]),
    ([get("bytes=7-7")], [(7, 8)]),
    ([get("bytes=-10")], [(SIZE - 10, SIZE)]),
    ([get(f"bytes=-{SIZE}")], [(0, SIZE)]),
    ([get(f"bytes=-{SIZE + 10}")], [(0, SIZE)]),
    ([get(f"bytes=10-{SIZE + 10}")], [(10, SIZE)]),
    ([get("BYTES=1-2")], [(1, 3)]),
    ([get("bytes= 1-2")], [(1, 3)]),
    ([get("bytes=5-2")], [(0, SIZE)]),
    ([get("bytes=0-1,5-6")], [(0, SIZE)]),
    ([get("bytes=1-1,1-1")], [(0, SIZE)]),
    ([get("lines=1-2")], [(0, SIZE)]),
    ([get("bytes=10-", If_Range='"other"')], [(0, SIZE)]),
    ([get("bytes=10-", If_Range=TAG)], [(10, SIZE)]),
    ([get(If_None_Match=TAG)], [(0, SIZE)]),  # played from the browser's cache
    ([get("bytes=1-", "?format=wav")], [(0, SIZE)]),
    # One session and call is one entry that grows.
    ([get("bytes=0-999"), get("bytes=1000-1999")], [(0, 2000)]),
    ([get(f"bytes={HALF}-{HALF + 99}"), get("bytes=0-99")], [(0, 100), (HALF, HALF + 100)]),
    ([get("bytes=0-99"), get("bytes=-100"), get("bytes=50-")], [(0, SIZE)]),
    ([get(), get(), get("bytes=10-")], [(0, SIZE)]),
    # Nothing is sent.
    ([get(f"bytes={SIZE}-")], []),
    ([get("bytes=-0")], []),
    ([("HEAD", "", {})], []),
    ([("HEAD", "", {"Range": "bytes=1-"})], []),
    ([("HEAD", "?format=wav", {})], []),
]


def in_ms(first: int, end: int) -> list[int]:
    return [first * LENGTH_MS // SIZE, -(-end * LENGTH_MS // SIZE)]


async def test_what_was_sent_was_heard(site: Site, store: Store, audio_path: str) -> None:
    expected = []
    for requests, heard in HEARD:
        async with await site.log_in("152") as user:
            for method, query, headers in requests:
                answer = await user.request(method, audio_path + query, headers=headers)
                assert answer.status_code in (200, 206, 304, 416), requests
        expected += [[in_ms(*part) for part in heard]] if heard else []
        entries = await journal(store, "listened")
        assert [entry.detail["heard_ms"] for entry in entries] == expected, requests
    assert {(entry.login, entry.subject, entry.detail["of_ms"]) for entry in entries} == {
        ("152", audio_path.split("/")[3], LENGTH_MS)
    }


async def test_the_waveform_belongs_to_the_listening_and_a_download_does_not(site: Site, store: Store, audio_path: str) -> None:
    async with await site.log_in("152") as user, await site.log_in("900", "other") as stranger:
        peaks = audio_path.replace("/audio", "/peaks")
        assert [(await stranger.get(path)).status_code for path in (audio_path, peaks)] == [404, 404]
        await user.get(peaks)
        assert [entry.detail for entry in await journal(store, "listened")] == [{"peaks": True}]
        await asyncio.gather(user.get(audio_path, headers={"Range": "bytes=0-999"}), user.get(peaks))
        await user.get(audio_path, params={"download": "1", "format": "mp3"}, headers={"Range": "bytes=1-"})
    listened, downloaded = await journal(store, "listened", "downloaded")
    assert listened.detail == {"peaks": True, "of_ms": LENGTH_MS, "heard_ms": [in_ms(0, 1000)]}
    assert (downloaded.action, downloaded.detail["format"], downloaded.detail["heard_ms"]) == (
        "downloaded",
        "mp3",
        [[0, LENGTH_MS]],
    )


async def test_each_session_has_its_own_entry(site: Site, store: Store, audio_path: str) -> None:
    for login in ("152", "152", "900"):
        async with await site.log_in(login) as user:
            await user.get(audio_path, headers={"Range": "bytes=1-"})
    assert [entry.login for entry in await journal(store, "listened")] == ["152", "152", "900"]


# Minutes after the first request at which the next ones come, and the entries that they make.
PAUSES = [((0, 50), 1), ((0, 50, 100), 1), ((0, 61), 2), ((0, 61, 62), 2)]


@pytest.mark.parametrize(("minutes", "entries"), PAUSES)
@pytest.mark.parametrize("restarted", [False, True], ids=["one API", "restarted between"])
async def test_a_listening_ends_with_a_pause(
    store: Store, pbx: Pbx, minutes: tuple[int, ...], entries: int, restarted: bool
) -> None:
    begin, by = datetime(2026, 11, 22, 12, tzinfo=UTC), Actor(login="152", address="127.0.0.1")
    trail = AuditTrail(store)
    for place, minute in enumerate(minutes):
        trail = AuditTrail(store) if restarted else trail
        event = NewEntry(
            at=begin + timedelta(minutes=minute),
            domain_id=1,
            by=by,
            action="listened",
            subject="call",
            detail={"of_ms": 5000, "heard_ms": [place * 1000, place * 1000 + 1000]},
            listening="a" * 64,
        )
        recorded = asyncio.create_task(trail.record(event))
        await asyncio.sleep(0)
        await trail.flush()
        await recorded
    assert len(await journal(store, "listened")) == entries


class Client:
    """Receives an answer; `sent` are the bytes of it, `announced` those of the audit."""

    def __init__(self, *, fails_after: int = 10**9) -> None:
        self.sent = b""
        self.announced: list[Bytes] = []
        self._fails_after = fails_after

    async def announce(self, first: int, end: int, _size: int) -> None:
        if len(self.announced) >= self._fails_after:
            raise StoreError("the index is locked")
        self.announced.append((first, end))

    async def send(self, message: Message) -> None:
        assert self.announced, "the answer begins before its entry"
        self.sent += message.get("body", b"")
        assert self.announced[0][0] + len(self.sent) <= self.announced[-1][1]

    async def get(self, path: Path, byte_range: str | None = None) -> None:
        headers = [(b"range", byte_range.encode())] if byte_range else []
        scope: dict[str, Any] = {"type": "http", "method": "GET", "headers": headers, "asgi": {"spec_version": "2.4"}}

        async def receive() -> Message:
            raise AssertionError

        await HeardFile(path.open("rb"), self.announce, headers={}, media_type="audio/ogg")(scope, receive, self.send)


async def test_a_long_answer_is_announced_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard_file, "PART_BYTES", 100_000)
    monkeypatch.setattr(HeardFile, "chunk_size", 50_000)
    path, content = tmp_path / "long.ogg", bytes(range(256)) * 1000
    path.write_bytes(content)
    whole, part, broken, refused = Client(), Client(), Client(fails_after=2), Client(fails_after=0)
    await whole.get(path)
    assert (whole.sent, whole.announced) == (content, [(0, 100_000), (100_000, 200_000), (200_000, 256_000)])
    await part.get(path, "bytes=50000-160000")
    assert (part.sent, part.announced) == (content[50_000:160_001], [(50_000, 150_000), (150_000, 160_001)])
    with pytest.raises(StoreError):
        await broken.get(path)
    assert 0 < len(broken.sent) <= 200_000
    with pytest.raises(StoreError):
        await refused.get(path)
    assert refused.sent == b""
