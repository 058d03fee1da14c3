"""The audit: entries are written, and listed for administrators of the domain only, in pages."""

import csv
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.audit import failed_logins
from api.audit.failed_logins import ANY, UnknownLogins
from api.exports.audit_csv import AUDIT_WORDS
from api.exports.labels import Language
from fonoteka.core.errors import StoreError
from fonoteka.core.naming import call_id
from store.audit.write import Actor, NewEntry, write_entries
from store.database.store import Store
from store.people.accounts import set_password
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.api.conftest import Site, report, ship
from tests.data import seed
from tests.support.eventually import eventually

NOW = datetime.now(UTC).replace(microsecond=0)
ALWAYS = {"from": "2020-01-01", "to": "2100-01-01"}


async def entries(client: httpx.AsyncClient, **query: object) -> list[dict[str, Any]]:
    """Return the selected entries, the oldest first."""
    answer = await client.get("/api/audit", params=ALWAYS | {"limit": 500} | query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items[::-1]


async def awaited(client: httpx.AsyncClient, count: int, **query: object) -> list[dict[str, Any]]:
    """Return the selected entries once there are `count`."""

    async def complete() -> list[dict[str, Any]] | None:
        rows = await entries(client, **query)
        return rows if len(rows) >= count else None

    rows: list[dict[str, Any]] | None = await eventually(complete)
    assert rows is not None
    return rows


def summary(rows: Iterable[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [(entry["login"], entry["name"], entry["action"], entry["subject"], entry["detail"]) for entry in rows]


async def test_it_is_for_administrators_alone_and_of_their_domain(site: Site, admin: httpx.AsyncClient) -> None:
    async with await site.log_in("152") as user, await site.log_in("900", "other") as stranger, site.client() as nobody:
        answer = await user.get("/api/audit")
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/administrators-only")
        assert (await nobody.get("/api/audit")).status_code == 401
        assert summary(await entries(stranger, action="logged_in")) == [("900", "Чужой Админ", "logged_in", "900", {})]
    assert [entry["login"] for entry in await entries(admin, action="logged_in")] == ["900", "152"]


async def test_entries_name_the_call(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    call = seed.a_call(1, NOW)
    await ship(agent, call, 5000)
    public_id = call_id("pbx1", call.linkedid)
    async with await site.log_in("152") as user:
        await user.get(f"/api/calls/{public_id}/audio")
        await admin.get(f"/api/calls/{public_id}/audio", params={"download": "1", "format": "mp3"})
        await admin.patch("/api/users/152", json={"record": "off"})
        await admin.put(f"/api/calls/{public_id}/hold", json={"hold": True, "note": " спор с клиентом "})
        await user.post(f"/api/live/{public_id}/recording", json={"action": "start"})

    async def answered() -> list[dict[str, Any]] | None:
        asked = await entries(admin, action="recording_asked")
        return asked if asked and "answer" in asked[0]["detail"] else None

    await eventually(answered)
    rows = await entries(admin, action=["listened", "downloaded", "user_changed", "held", "recording_asked"])
    by_action = {entry["action"]: entry for entry in rows}
    recording_detail = {"action": "start", "answer": "call_is_over"}
    all_of_it = {"of_ms": 5000, "heard_ms": [[0, 5000]]}
    assert sorted(summary(rows), key=str) == sorted(
        [
            ("152", "Петров П.П.", "listened", public_id, all_of_it),
            ("900", "Директор Е.М.", "downloaded", public_id, all_of_it | {"format": "mp3"}),
            ("900", "Директор Е.М.", "user_changed", "152", {"record": {"from": "all", "to": "off"}}),
            ("900", "Директор Е.М.", "held", public_id, {"note": "спор с клиентом"}),
            ("152", "Петров П.П.", "recording_asked", public_id, by_action["recording_asked"]["detail"]),
        ],
        key=str,
    )
    assert by_action["recording_asked"]["detail"].keys() == recording_detail.keys()
    audited_call = {"src": call.src, "dst": call.dst, "started_at": by_action["held"]["call"]["started_at"]}
    assert by_action["listened"]["call"] == by_action["held"]["call"] == audited_call
    assert datetime.fromisoformat(audited_call["started_at"]) == call.started_at and audited_call["started_at"].endswith("+07:00")
    assert by_action["user_changed"]["call"] is None
    assert {entry["address"] for entry in rows} == {"127.0.0.1"}


async def test_a_subject_names_no_other_domains_call(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    foreign = seed.but(seed.a_call(1, NOW), domain="other", participants=("900",), segments=())
    await report(agent, foreign)
    public_id = call_id("pbx1", foreign.linkedid)
    new = NewEntry(domain_id=1, at=NOW, by=Actor(login="900", address=""), action="exported", subject=public_id, detail={})
    async with site.services.store.writing() as connection:
        await write_entries(connection, [new])
    (entry,) = await entries(admin, action="exported")
    assert (entry["subject"], entry["call"]) == (public_id, None)


async def test_filters_and_pages(site: Site, admin: httpx.AsyncClient) -> None:
    for number in range(7):
        await admin.patch("/api/users/421", json={"name": f"имя {number}"})
    async with await site.log_in("421") as user:
        await user.get("/api/me")
    assert [entry["login"] for entry in await entries(admin, login="421")] == ["421"]
    assert await entries(admin, login="42") == []
    assert len(await entries(admin, action=["user_changed", "logged_in"])) == 9
    names, cursor, sizes = [], "", []
    while cursor is not None:
        query: dict[str, str | int] = {"action": "user_changed", "limit": 3, "cursor": cursor}
        page = (await admin.get("/api/audit", params=query)).json()
        names += [entry["detail"]["name"]["to"] for entry in page["items"]]
        sizes.append(len(page["items"]))
        assert (page["total"], page["total_is_exact"]) == (7, True)
        cursor = page["next"]
    assert (names, sizes) == ([f"имя {number}" for number in range(6, -1, -1)], [3, 3, 1])


async def test_entries_about_a_call(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    first, second = seed.a_call(1, NOW), seed.a_call(2, NOW)
    for call in (first, second):
        await ship(agent, call, 5000)
        await admin.put(f"/api/calls/{call_id('pbx1', call.linkedid)}/hold", json={"hold": True})
    await admin.put(f"/api/calls/{call_id('pbx1', first.linkedid)}/hold", json={"hold": False})
    public_id = call_id("pbx1", first.linkedid)
    assert [entry["action"] for entry in await entries(admin, call=public_id)] == ["held", "released"]
    assert [entry["action"] for entry in await entries(admin, call=public_id, action="held", login="900")] == ["held"]
    page = (await admin.get("/api/audit", params=ALWAYS | {"call": public_id, "limit": 1})).json()
    assert (page["total"], page["next"] is not None) == (2, True)
    async with await site.log_in("900", "other") as stranger:
        assert await entries(stranger, call=public_id) == []


# Language, separator, and the row of a hold.
EXPORTED: list[tuple[str, str, list[str]]] = [
    ("ru", ";", ["900", "Директор Е.М.", "Поставлен на хранение", "{id}", "89131234567 → 2458152"]),
    ("en", ",", ["900", "Директор Е.М.", "Kept for good", "{id}", "89131234567 → 2458152"]),
]


@pytest.mark.parametrize(("language", "separator", "row"), EXPORTED, ids=[row[0] for row in EXPORTED])
async def test_the_export_has_the_selected_entries(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient, language: str, separator: str, row: list[str]
) -> None:
    call = seed.a_call(1, NOW)
    await report(agent, call)
    public_id = call_id("pbx1", call.linkedid)
    await admin.put(f"/api/calls/{public_id}/hold", json={"hold": True, "note": "=cmd|' /C calc'!A0"})
    await admin.patch("/api/users/152", json={"name": "=HYPERLINK(1)"})
    query: dict[str, Any] = ALWAYS | {"lang": language}
    answer = await admin.get("/api/audit.csv", params=query | {"call": public_id})
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="fonoteka-acme-audit-2020-01-01_2100-01-01')
    titles, held = csv.reader(StringIO(answer.content.decode("utf-8-sig")), delimiter=separator)
    assert titles == list(AUDIT_WORDS[Language(language)].columns)
    assert held[2:7] == [text.format(id=public_id) for text in row]
    assert (held[8], held[9]) == ('{"note": "\'=cmd|\' /C calc\'!A0"}', "127.0.0.1")
    for client, status in ((await site.log_in("152"), 403), (site.client(), 401)):
        async with client:
            assert (await client.get("/api/audit.csv", params=query)).status_code == status
    async with await site.log_in("900", "other") as stranger:
        others = (await stranger.get("/api/audit.csv", params=query)).text
        assert "Чужой Админ" in others and "Директор" not in others and public_id not in others
    (entry,) = await awaited(admin, 1, action="exported")
    assert (entry["login"], entry["subject"], entry["detail"]["call"]) == ("900", "audit", public_id)
    await eventually(lambda: _rows_are_counted(admin))


async def _rows_are_counted(admin: httpx.AsyncClient) -> bool:
    (entry,) = await entries(admin, action="exported")
    return bool(entry["detail"].get("rows") == "1")


async def test_the_export_has_all_entries_and_runs_no_formula(site: Site, admin: httpx.AsyncClient) -> None:
    new = NewEntry(domain_id=1, at=NOW, by=Actor(login="=1+1", address=""), action="x", subject="", detail={})
    async with site.services.store.writing() as connection:
        await write_entries(connection, [replace(new, subject=f"=A{number}") for number in range(1100)])
    answer = await admin.get("/api/audit.csv", params=ALWAYS | {"action": "x", "lang": "ru"})
    rows = list(csv.reader(StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))[1:]
    assert [row[5] for row in rows] == [f"'=A{number}" for number in range(1099, -1, -1)]
    assert {row[2] for row in rows} == {"'=1+1"}


async def test_an_export_that_cannot_be_audited_is_refused(
    site: Site, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_event: NewEntry) -> int:
        raise StoreError("the index is locked")

    monkeypatch.setattr(site.services.audit, "record", refuse)
    answer = await admin.get("/api/audit.csv", params=ALWAYS)
    assert (answer.status_code, "Директор" in answer.text) == (503, False)


def test_the_words_of_actions_are_those_of_the_portal() -> None:
    """An action that is new in the portal needs its words in `api/exports/audit_csv.py`."""
    text = (Path(__file__).parents[2] / "portal/src/pages/audit/words.ts").read_text()
    for language, block in zip(Language, re.findall(r"\n  action: \{(.*?)\n  \}", text, re.DOTALL), strict=True):
        assert dict(re.findall(r'(\w+): "(.*)",', block)) == dict(AUDIT_WORDS[language].action)


async def test_entries_of_the_same_time_are_listed_once_each(site: Site, admin: httpx.AsyncClient) -> None:
    by = Actor(login="900", address="")
    async with site.services.store.writing() as connection:
        rows = (NewEntry(domain_id=1, at=NOW, by=by, action="exported", subject=str(number), detail={}) for number in range(25))
        await write_entries(connection, rows)
    subjects, cursor = [], ""
    while cursor is not None:
        page = (await admin.get("/api/audit", params=ALWAYS | {"action": "exported", "limit": 10, "cursor": cursor})).json()
        subjects += [entry["subject"] for entry in page["items"]]
        cursor = page["next"]
    assert subjects == [str(number) for number in range(24, -1, -1)]


async def test_the_period_is_the_domains_days(site: Site, admin: httpx.AsyncClient) -> None:
    today = datetime.now(UTC) + timedelta(hours=7)
    assert len((await admin.get("/api/audit")).json()["items"]) >= 1
    day = {"from": f"{today:%Y-%m-%d}", "to": f"{today:%Y-%m-%d}"}
    before = f"{today - timedelta(days=1):%Y-%m-%d}"
    assert len((await admin.get("/api/audit", params=day)).json()["items"]) >= 1
    assert (await admin.get("/api/audit", params={"from": before, "to": before, "action": "logged_in"})).json()["items"] == []


WRONG: list[dict[str, object]] = [
    {"from": "yesterday"}, {"limit": 0}, {"limit": 501}, {"cursor": "x"}, {"cursor": "eyJhIjoxfQ"}, {"nonsense": 1},
    {"action": "x" * 201},
]  # fmt: skip


@pytest.mark.parametrize("query", WRONG)
async def test_invalid_parameters_are_refused(admin: httpx.AsyncClient, query: dict[str, Any]) -> None:
    assert (await admin.get("/api/audit", params=query)).status_code == 422


async def test_failed_logins_at_real_accounts_are_kept_one_by_one(
    site: Site, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failed_logins, "_BATCH_EACH_S", 3600.0)  # the first batch is written at once
    wrong = {"domain": "acme", "login": "152", "password": "wrong"}
    async with site.client() as client:
        for login in ("junk", "152", "junk-2", "152", "junk-3", "152"):
            await client.post("/api/login", json=wrong | {"login": login})
        await client.post("/api/login", json=wrong | {"domain": "nowhere"})
    site.services.failed_logins.flush()
    rows = await awaited(admin, 5, action="login_failed")
    assert (
        summary(entry for entry in rows if entry["login"] != ANY)
        == [("152", "Петров П.П.", "login_failed", "152", {"count": 1})] * 3
    )
    counted = [entry for entry in rows if entry["login"] == ANY]
    assert [(entry["subject"], entry["address"], entry["detail"]) for entry in counted] == [
        (ANY, "127.0.0.1", {"count": 1, "addresses": 1}),
        (ANY, "127.0.0.1", {"count": 2, "addresses": 1}),
    ]


def test_junk_logins_are_one_entry() -> None:
    failures = UnknownLogins(first=NOW)
    for number in range(2000):
        failures.add(f"192.0.2.{number}")
    event = failures.event(1)
    assert (event.by, event.subject, event.detail) == (Actor(login=ANY, address=ANY), ANY, {"count": 2000, "addresses": 1000})


async def test_logging_out_is_audited_once(site: Site, admin: httpx.AsyncClient) -> None:
    async with await site.log_in("152") as user:
        for _ in range(2):
            assert (await user.post("/api/logout")).status_code == 204
    (entry,) = await entries(admin, action="logged_out")
    assert (entry["login"], entry["name"], entry["subject"], entry["address"]) == ("152", "Петров П.П.", "152", "127.0.0.1")


async def test_changes_of_the_operator_are_audited_without_passwords(site: Site, admin: httpx.AsyncClient) -> None:
    store = await Store.open(site.configuration.store)
    try:
        await set_password(store, "acme", "152", "a new secret")
        wanted = seed.DIRECTORY.replace("Петров П.П.", "Петров Пётр", 1).replace("retention_days = 180", "retention_days = 90")
        await apply(store, parse_directory(wanted, source="test"))
    finally:
        await store.close()
    changed = await entries(admin, action=["password_changed", "user_changed", "domain_changed"])
    assert summary(changed) == [
        ("", None, "password_changed", "152", {}),
        ("", None, "domain_changed", "acme", {"retention_days": {"from": 180, "to": 90}}),
        ("", None, "user_changed", "152", {"name": {"from": "Петров П.П.", "to": "Петров Пётр"}}),
    ]
    assert "argon2" not in str(await entries(admin)) and "secret" not in str(await entries(admin))


HOLDS: list[tuple[dict[str, object], bool, list[tuple[str, dict[str, str]]]]] = [
    ({"hold": True, "note": "спор"}, True, [("held", {"note": "спор"})]),
    ({"hold": True}, True, []),
    ({"hold": True, "note": "и ещё"}, True, [("held", {"note": "и ещё"})]),
    ({"hold": False}, False, [("released", {})]),
    ({"hold": False}, False, []),
]


async def test_a_legal_hold_is_placed_and_released(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    call = seed.a_call(1, NOW)
    await report(agent, call)
    path = f"/api/calls/{call_id('pbx1', call.linkedid)}"
    expected: list[tuple[str, dict[str, str]]] = []
    for wanted, held, new_entries in HOLDS:
        answer = await admin.put(f"{path}/hold", json=wanted)
        assert (answer.status_code, answer.json()["recording"]["held"]) == (200, held)
        assert (await admin.get(path)).json() == answer.json()
        expected += new_entries
        assert [(entry["action"], entry["detail"]) for entry in await entries(admin, action=["held", "released"])] == expected


async def test_a_legal_hold_on_a_call_that_was_merged_goes_to_the_call_that_is_shown(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """An administrator had the call open while it was merged, twice in turn."""
    first, second, shown = (seed.a_call(number, NOW) for number in (1, 2, 3))
    await report(agent, first, second, shown)
    for call, target in ((first, second), (second, shown)):
        await report(agent, replace(call, revision=call.revision + 1, segments=(), merged_into=target.linkedid))
    path = f"/api/calls/{call_id('pbx1', first.linkedid)}"
    assert (await admin.get(path)).status_code == 404
    answer = await admin.put(f"{path}/hold", json={"hold": True})
    shown_id = call_id("pbx1", shown.linkedid)
    assert (answer.status_code, answer.json()["id"], answer.json()["recording"]["held"]) == (200, shown_id, True)
    assert [entry["subject"] for entry in await entries(admin, action="held")] == [shown_id]
    assert (await admin.put(f"{path}/hold", json={"hold": False})).json()["recording"]["held"] is False
    async with await site.log_in("900", "other") as stranger:
        assert (await stranger.put(f"{path}/hold", json={"hold": True})).status_code == 404


async def test_only_administrators_of_the_domain_place_legal_holds(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    call = seed.a_call(1, NOW)
    await report(agent, call)
    path = f"/api/calls/{call_id('pbx1', call.linkedid)}/hold"
    async with await site.log_in("152") as user, await site.log_in("900", "other") as stranger:
        assert (await user.put(path, json={"hold": True})).status_code == 403
        assert (await stranger.put(path, json={"hold": True})).status_code == 404
    assert (await admin.put(path, json={"hold": True, "note": "x" * 501})).status_code == 422
    assert (await admin.put("/api/calls/none/hold", json={"hold": True})).status_code == 404
    assert (await admin.get(path.removesuffix("/hold"))).json()["recording"]["held"] is False
    assert await entries(admin, action=["held", "released"]) == []
