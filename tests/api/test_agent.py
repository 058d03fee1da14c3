"""The protocol of the agents: settings at once, receipts for calls and recordings."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from fonoteka.core.call_report import CallReport, RecordingState
from fonoteka.core.domains import DomainSettings, RecordRule
from fonoteka.core.naming import call_id
from store.database.store import Store
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.api.conftest import Site, put_recording, report, ship
from tests.data import seed
from tests.support.eventually import eventually

BEGIN = datetime(2026, 11, 22, 16, 43, 42, 123000, tzinfo=UTC)


async def settings_of(agent: httpx.AsyncClient, known: int = 0, wait_s: float = 0) -> DomainSettings | None:
    answer = await agent.get("/agent/v1/settings", params={"known": known, "wait_s": wait_s})
    if answer.status_code == 204:
        return None
    assert answer.status_code == 200, answer.text
    return TypeAdapter(DomainSettings).validate_json(answer.content)


async def test_an_agent_gets_all_settings(agent: httpx.AsyncClient) -> None:
    settings = await settings_of(agent)
    assert settings is not None
    acme, other = settings.domains
    assert (acme.name, acme.country, acme.area_codes) == ("acme", "RU", ("391",))
    assert {user.login: (user.endpoints, user.record) for user in acme.users}["777"] == (("PJSIP/acme-777",), RecordRule.ON_DEMAND)
    assert (acme.numbers[-1], other.name) == ("2458888", "other")
    assert await settings_of(agent, known=settings.version) is None


async def test_a_switch_reaches_a_waiting_agent_at_once(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change wakes the agent before the next regular poll of the version."""
    monkeypatch.setattr("api.live.change_watch._POLL_S", 60)
    settings = await settings_of(agent)
    for record in ("off", "all", "in"):
        assert settings is not None
        waiting = asyncio.create_task(settings_of(agent, settings.version, wait_s=50))
        await until_waiting(site)
        assert (await admin.patch("/api/users/152", json={"record": record})).status_code == 200
        newer = await waiting
        assert newer is not None and newer.version > settings.version
        assert {user.login: user.record for user in newer.domains[0].users}["152"] == record
        settings = newer


async def test_a_change_made_elsewhere_reaches_it_too(site: Site, agent: httpx.AsyncClient) -> None:
    settings = await settings_of(agent)
    assert settings is not None
    waiting = asyncio.create_task(settings_of(agent, settings.version, wait_s=50))
    await until_waiting(site)
    store = await Store.open(site.configuration.store)
    try:
        await apply(store, parse_directory(seed.DIRECTORY.replace('record = "off"', 'record = "out"'), source="x"))
        assert await waiting is not None, "found by one of the regular polls"
    finally:
        await store.close()


async def test_an_agent_with_a_newer_version_than_a_restored_store_gets_the_settings(agent: httpx.AsyncClient) -> None:
    settings = await settings_of(agent)
    assert settings is not None
    assert await settings_of(agent, settings.version + 5) == settings


async def test_a_change_without_effect_wakes_no_agent(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    settings = await settings_of(agent)
    assert settings is not None
    assert (await admin.patch("/api/users/152", json={"record": "all"})).status_code == 200
    assert await settings_of(agent, settings.version, wait_s=0.3) is None


async def until_waiting(site: Site) -> None:
    """Wait until a request waits for settings."""
    await eventually(lambda: site.services.settings._waiting)


CHANGES: list[tuple[str, str, dict[str, Any], int]] = [
    ("900", "152", {"record": "on_demand", "name": "Новое Имя"}, 200),
    ("900", "152", {}, 200),
    ("900", "152", {"record": "sometimes"}, 422),
    ("900", "152", {"role": "admin"}, 422),
    ("900", "152", {"name": ""}, 422),
    ("900", "nobody", {"record": "off"}, 404),
    ("152", "152", {"record": "off"}, 403),
    ("152", "421", {"record": "off"}, 403),
]


async def test_rights_to_change_users(site: Site) -> None:
    for login, whom, change, status in CHANGES:
        async with await site.log_in(login) as client:
            assert (await client.patch(f"/api/users/{whom}", json=change)).status_code == status, (login, whom, change)
    async with await site.log_in("900", "other") as foreigner:
        assert (await foreigner.patch("/api/users/152", json={"record": "off"})).status_code == 404
        assert [user["login"] for user in (await foreigner.get("/api/users")).json()] == ["900"]
        assert (await foreigner.get("/api/numbers")).json() == []
    async with await site.log_in("152") as user:
        own = {"login": "152", "name": "Новое Имя", "extension": "152", "role": "user", "record": "on_demand"}
        assert (await user.get("/api/users")).json() == [own]
        assert {"number": "2458888", "label": "Главный"} in (await user.get("/api/numbers")).json()


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_without_the_token_of_a_pbx_nothing_is_taken(site: Site, admin: httpx.AsyncClient, token: str | None) -> None:
    async with site.client(token) as stranger:
        for method, path in (("GET", "/agent/v1/settings"), ("PUT", "/agent/v1/calls"), ("PUT", "/agent/v1/recordings/x")):
            for client in (stranger, admin):
                answer = await client.request(method, path, json=[])
                assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unknown-pbx"), path


async def test_each_call_gets_its_own_receipt(agent: httpx.AsyncClient) -> None:
    good, bad = seed.a_call(1, BEGIN), seed.but(seed.a_call(2, BEGIN), domain="nobody")
    receipts = (await report(agent, good, bad, good)).receipts
    assert [(receipt.linkedid, receipt.revision, receipt.refused is None) for receipt in receipts] == [
        (good.linkedid, good.revision, True),
        (bad.linkedid, bad.revision, False),
        (good.linkedid, good.revision, True),
    ]


BROKEN: list[tuple[Any, str]] = [
    ({"started_at": "2026-11-22T16:43:42"}, "zone"),
    ({"revision": 10**30}, "revision"),
    ({"revision": "many"}, "revision"),
    ({"direction": "sideways"}, "direction"),
    ({"linkedid": 7}, "linkedid"),
    ({"more": "than is known"}, ""),
    ("no call at all", "dictionary"),
]


async def test_an_invalid_report_does_not_fail_the_others(agent: httpx.AsyncClient) -> None:
    reports = TypeAdapter(CallReport)
    good = [reports.dump_python(seed.a_call(number, BEGIN), mode="json") for number in range(2)]
    for change, words in BROKEN:
        bad = good[0] | change if isinstance(change, dict) else change
        answer = await agent.put("/agent/v1/calls", json=[good[0], bad, good[1]])
        assert answer.status_code == 200, change
        first, middle, last = answer.json()["receipts"]
        assert (first["linkedid"], first["refused"]) == (good[0]["linkedid"], None)
        assert (last["linkedid"], last["refused"]) == (good[1]["linkedid"], None)
        assert words in (middle["refused"] or "") and bool(middle["refused"]) == bool(words), change
        assert middle["retry"] is False


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"null", b'["\xff"]', b"[" * 100_000, b"[" + b"{}," * 200 + b"{}]"])
async def test_what_is_no_list_of_reports_is_a_problem(agent: httpx.AsyncClient, body: bytes) -> None:
    answer = await agent.put("/agent/v1/calls", content=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-parameters")


async def test_a_recording_gets_a_receipt_that_names_what_was_stored(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    call = seed.a_call(1, BEGIN)
    (receipt,) = await ship(agent, call, 5000)
    audio = seed.tone(5000)
    assert (receipt.segment, receipt.sha256, receipt.size_bytes) == (
        call.segments[0].name,
        seed.mixed_of(audio, 5000).sha256,
        len(audio),
    )
    assert await ship(agent, call, 5000) == [receipt]
    listed = (await admin.get(f"/api/calls/{call_id('pbx1', call.linkedid)}")).json()
    assert listed["recording"]["state"] == RecordingState.READY


CONCAT = b"ffconcat version 1.0\nfile /etc/hostname\n"


async def test_what_cannot_be_taken_says_why(agent: httpx.AsyncClient) -> None:
    call, audio = seed.a_call(1, BEGIN), seed.tone(5000)
    manifest, mixed = seed.manifest_of(call, call.segments[0]), seed.mixed_of(audio, 5000)
    answers = [
        await put_recording(agent, manifest, mixed, audio[:-1]),
        await put_recording(agent, manifest, seed.but(mixed, sha256="0" * 64), audio),
        await put_recording(agent, seed.but(manifest, call=seed.but(call, domain="nobody")), mixed, audio),
        await put_recording(agent, seed.but(manifest, call=seed.but(call, pbx="pbx2")), mixed, audio),
        await put_recording(agent, seed.but(manifest, name="a.b"), mixed, audio),
        await agent.put("/agent/v1/recordings/x", data={"manifest": "{"}, files={"audio": b""}),
        await put_recording(agent, manifest, seed.mixed_of(CONCAT, 5000), CONCAT),
        await put_recording(agent, manifest, seed.but(mixed, duration_ms=100), audio, peaks=seed.peaks(300)),
        await put_recording(agent, manifest, mixed, audio, outside_leg="../t.wav"),
    ]
    assert [(answer.status_code, answer.json()["type"].removeprefix("/problems/")) for answer in answers] == [
        (422, "checksum-wrong"),
        (422, "checksum-wrong"),
        (409, "not-yet-taken"),
        (422, "intake-refused"),
        (422, "intake-refused"),
        (422, "invalid-parameters"),
        (422, "intake-refused"),
        (422, "invalid-parameters"),
        (422, "invalid-parameters"),
    ]
    assert "unknown domain 'nobody'" in answers[2].json()["detail"]


async def test_requests_are_counted_by_the_path_of_their_route(site: Site) -> None:
    async with site.client() as anybody:
        for path in ("/api/calls/secret-1", "/api/calls/secret-2", "/api/nothing-3", "/healthz"):
            await anybody.get(path)
        text = (await anybody.get("/metrics")).text
    counted = dict(re.findall(r"fonoteka_request_seconds_count\{(.*)\} (.*)", text))
    assert counted['path="/api/calls/{id}",status="401"'] == "2.0"
    assert counted['path="other",status="404"'] == "1.0"
    assert "secret" not in text and "nothing" not in text


async def test_metrics_count_each_call_and_recording_once(site: Site, agent: httpx.AsyncClient) -> None:
    call = seed.a_call(1, BEGIN)
    await report(agent, seed.but(call, revision=call.revision - 1, ended_at=None), call)
    for _ in range(2):
        await ship(agent, call, 5000)
    await report(agent, seed.but(call, revision=call.revision + 7), seed.unanswered(seed.a_call(2, BEGIN)))
    async with site.client() as anybody:
        text = (await anybody.get("/metrics")).text
        assert (await anybody.get("/healthz")).text == "ok"
    for line in (
        'fonoteka_calls_total{direction="in",result="answered"} 1.0',
        'fonoteka_calls_total{direction="in",result="no_answer"} 1.0',
        'fonoteka_recordings_total{reason="",state="ready"} 1.0',
        'fonoteka_recordings_total{reason="not_answered",state="none"} 1.0',
        "fonoteka_call_visible_seconds_count 2.0",
        "fonoteka_recording_ready_seconds_count 1.0",
    ):
        assert line in text
