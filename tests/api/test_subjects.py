"""The rights of an outside party in the API: found, taken out and erased, by administrators."""

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from api.exports import archive
from api.exports.subject_package import SubjectPackage
from fonoteka.core.naming import call_id
from store.subjects.calls import find_calls
from tests.api.conftest import Site, report, ship
from tests.api.test_audit import entries
from tests.data import seed
from tests.support.stored_objects import objects_folder

NUMBER, SUBJECT = "+79131234567", "/api/subjects/%2B79131234567"
NOW = datetime.now(UTC).replace(microsecond=0)
READY, HELD = seed.a_call(1, NOW - timedelta(hours=2)), seed.a_call(2, NOW - timedelta(hours=1))
LIVE = seed.but(seed.a_call(3, NOW), ended_at=None, segments=())
READY_ID, HELD_ID, LIVE_ID = (call_id("pbx1", call.linkedid) for call in (READY, HELD, LIVE))
ACTIONS = ["subject_found", "subject_exported", "subject_erasure", "subject_erased"]


@pytest.fixture
async def boss(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The administrator; a call with audio, one under legal hold, and one in progress are there."""
    await ship(agent, READY, 5000)
    await ship(agent, HELD, 3000)
    await report(agent, LIVE)
    assert (await admin.put(f"/api/calls/{HELD_ID}/hold", json={"hold": True, "note": "спор"})).status_code == 200
    async with await site.log_in("152") as user:
        assert (await user.get(f"/api/calls/{READY_ID}/audio")).status_code == 200
    yield admin


async def ok(client: httpx.AsyncClient, method: str, path: str) -> Any:
    answer = await client.request(method, path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_is_kept_is_found(boss: httpx.AsyncClient) -> None:
    for written in ("%2B79131234567", "89131234567", "8 913 123-45-67"):
        found = await ok(boss, "GET", f"/api/subjects/{written}")
        assert (found["number"], found["calls"], found["recordings"]) == (NUMBER, 3, 2)
        assert ([call["id"] for call in found["held"]], [call["id"] for call in found["in_progress"]]) == ([HELD_ID], [LIVE_ID])
        assert datetime.fromisoformat(found["first_at"]) == READY.started_at and found["first_at"].endswith("+07:00")
    nobody = {"number": "+79139999999", "calls": 0, "recordings": 0, "first_at": None, "last_at": None}
    assert await ok(boss, "GET", "/api/subjects/89139999999") == nobody | {"held": [], "in_progress": []}
    rows = await entries(boss, action=ACTIONS)
    assert [(row["action"], row["subject"], row["detail"]) for row in rows] == [
        *[("subject_found", "…67", {"calls": 3, "recordings": 2})] * 3,
        ("subject_found", "…99", {"calls": 0, "recordings": 0}),
    ]


async def test_the_export_has_calls_audio_and_journal(boss: httpx.AsyncClient) -> None:
    answer = await boss.get(f"{SUBJECT}/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert NUMBER[1:] not in answer.headers["content-disposition"]
    with ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        calls, journal = (json.loads(archive.read(name)) for name in ("calls.json", "journal.json"))
        files = {name: archive.read(name) for name in archive.namelist() if name.startswith("audio/")}
    assert [call["id"] for call in calls["calls"]] == [READY_ID, HELD_ID, LIVE_ID]
    assert calls["number"] == NUMBER and len(calls["calls"][0]["path"]) == len(READY.path)
    listed = [audio for call in calls["calls"] for audio in call["audio"]]
    assert {audio["file"]: audio["sha256"] for audio in listed} == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
    assert [len(call["audio"]) for call in calls["calls"]] == [1, 1, 0]
    assert [(entry["action"], entry["subject"]) for entry in journal["entries"]] == [("held", HELD_ID), ("listened", READY_ID)]
    (entry,) = await entries(boss, action=ACTIONS)
    ids = [READY_ID, HELD_ID, LIVE_ID]
    detail = {"calls": 3, "recordings": 2, "ids": ids}
    assert (entry["action"], entry["subject"], entry["detail"]) == ("subject_exported", "…67", detail)
    for call in ids:
        assert "subject_exported" in [row["action"] for row in await entries(boss, call=call)]


@pytest.mark.one_machine
async def test_a_recording_that_is_damaged_or_gone_is_said_in_the_export(site: Site, boss: httpx.AsyncClient) -> None:
    first, second = sorted(
        (path for path in objects_folder(site.services.store).root.rglob("*.opus")), key=lambda path: path.stat().st_size
    )
    first.write_bytes(b"other bytes")
    second.unlink()
    answer = await boss.get(f"{SUBJECT}/export")
    with ZipFile(BytesIO(answer.content)) as archive:
        calls = json.loads(archive.read("calls.json"))["calls"]
        assert not [name for name in archive.namelist() if name.startswith("audio/")]
    assert ["missing" in audio for call in calls for audio in call["audio"]] == [True, True]


async def test_the_export_is_sent_in_blocks(site: Site, boss: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_BLOCK", 1000)
    store = site.services.store
    found = await find_calls(store, 1, NUMBER, NOW)
    package = SubjectPackage(store=store, domain="acme", domain_id=1, zone=found.zone, found=found, now=NOW)
    sizes = [len(piece) async for piece in package.pieces()]
    assert max(sizes) < 6000 < sum(sizes), "never a recording, only the lists at the end"


async def test_the_erasure_leaves_what_is_held_or_in_progress(boss: httpx.AsyncClient) -> None:
    erased = await ok(boss, "POST", f"{SUBJECT}/erase")
    assert (erased["number"], erased["erased"], erased["failed"]) == (NUMBER, 1, 0)
    assert ([call["id"] for call in erased["held"]], [call["id"] for call in erased["in_progress"]]) == ([HELD_ID], [LIVE_ID])
    for path in ("", "/audio", "/peaks"):
        assert (await boss.get(f"/api/calls/{READY_ID}{path}")).status_code == 404
    assert (await boss.get(f"/api/calls/{HELD_ID}/audio")).status_code == 200
    rows = await entries(boss, action=ACTIONS)
    assert [(row["login"], row["action"], row["subject"], row["detail"]) for row in rows] == [
        ("900", "subject_erasure", "…67", {"calls": 1, "held": [HELD_ID], "in_progress": [LIVE_ID]}),
        ("900", "subject_erased", "…67", {"calls": 1, "ids": [READY_ID]}),
    ]


NAMES = ("src", "dst", "answered_by", "user", "number", "employee", "employee_login")
ASKED = [f"calls.csv?{name}={number}" for name in NAMES for number in ("8%20(913)%20123-45-67", "152")] + [
    f"audit.csv?{name}=%2B79131234567" for name in ("login", "call", "action")
]


async def test_filters_of_exports_are_in_the_audit_without_the_number(boss: httpx.AsyncClient) -> None:
    for asked in ASKED:
        assert (await boss.get(f"/api/{asked}")).status_code == 200, asked
    fields = {*NAMES, "login", "call", "action"}
    details = [row["detail"] for row in await entries(boss, action="exported")]
    kept = [value for detail in details for name, value in detail.items() if name in fields]
    assert kept == ["…67", "152"] * len(NAMES) + ["…67"] * 3


@pytest.mark.parametrize("number", ["anonymous", "112", "9" * 61, "%00"])
async def test_what_identifies_nobody_is_refused(admin: httpx.AsyncClient, number: str) -> None:
    for method, path in (("GET", ""), ("GET", "/export"), ("POST", "/erase")):
        assert (await admin.request(method, f"/api/subjects/{number}{path}")).status_code == 422
    assert await entries(admin, action=ACTIONS) == []


async def test_it_is_for_administrators_and_of_their_domain(site: Site, boss: httpx.AsyncClient) -> None:
    async with await site.log_in("152") as user, await site.log_in("900", "other") as stranger, site.client() as nobody:
        for method, path in (("GET", SUBJECT), ("GET", f"{SUBJECT}/export"), ("POST", f"{SUBJECT}/erase")):
            assert (await user.request(method, path)).status_code == 403
            assert (await nobody.request(method, path)).status_code == 401
        assert (await ok(stranger, "GET", SUBJECT))["calls"] == 0
        assert (await ok(stranger, "POST", f"{SUBJECT}/erase"))["erased"] == 0
    assert (await ok(boss, "GET", SUBJECT))["calls"] == 3
