"""The list of calls over HTTP: its fields, parameters, pages, and rights."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from fonoteka.core.call_report import Direction, PathStep, Quality, Reason
from fonoteka.core.naming import call_id
from tests.api.conftest import Site, report, ship
from tests.data import seed

BEGIN = datetime(2026, 11, 22, 16, 43, 42, 123000, tzinfo=UTC)
DAY = {"from": "2026-11-22", "to": "2026-11-22"}


async def test_a_call_is_told_as_the_contract_says(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    call = seed.but(seed.a_call(1, BEGIN, talk_ms=4600, ring_ms=900), dst="2458888", number="2458888")
    handed_on = PathStep(at=BEGIN + timedelta(seconds=2), what="transfer", who="130", by="152")
    unrecorded = PathStep(at=handed_on.at, what="no_record", who="130", reason=Reason.USER_OFF)
    call = seed.but(call, queue="sales", quality=Quality(mos=4.3, loss_pct=0.2, jitter_ms=4, rtt_ms=31))
    quality = Quality(mos=3.69, loss_pct=7.0, jitter_ms=12)
    heard = PathStep(at=call.path[3].at, what="heard", who="152", quality=quality)
    call = seed.but(call, path=(*call.path[:3], handed_on, unrecorded, heard, call.path[3]))
    await ship(agent, call, 5000)
    expected: dict[str, Any] = {
        "id": call_id("pbx1", call.linkedid),
        "pbx": "pbx1",
        "linkedid": call.linkedid,
        "domain": "acme",
        "direction": "in",
        "result": "answered",
        "employee": {"login": "152", "name": "Петров П.П."},
        "src": "89131234567",
        "src_name": "",
        "dst": "2458888",
        "number": "2458888",
        "answered_by": "152",
        "started_at": "2026-11-22T23:43:42.123+07:00",
        "answered_at": "2026-11-22T23:43:43.023+07:00",
        "ended_at": "2026-11-22T23:43:47.623+07:00",
        "duration_s": 6,
        "talk_s": 5,
        "trunk": "PJSIP/trunk",
        "queue": "sales",
        "wait_s": 1,
        "quality": {"mos": 4.3, "loss_pct": 0.2, "jitter_ms": 4, "rtt_ms": 31},
        "called_back_at": None,
        "recording": {
            "state": "ready",
            "reason": None,
            "duration_ms": 5000,
            "held": False,
            "expires_at": "2027-05-21T23:43:42.123+07:00",
            "speech": {
                "outside_s": 2.0,
                "employee_s": 3.0,
                "overlap_s": 0.0,
                "silence_s": 0.0,
                "longest_silence_s": 0.0,
                "first_word_s": 0.0,
            },
            "segments": [{"user": "152", "offset_ms": 0, "duration_ms": 5000, "muted": []}],
        },
        "live": None,
    }
    assert (await admin.get("/api/calls", params=DAY)).json() == {
        "items": [expected],
        "next": None,
        "total": 1,
        "total_is_exact": True,
    }
    path: list[dict[str, Any]] = [
        {"at": "2026-11-22T23:43:42.123+07:00", "what": "arrive", "who": "2458152", "by": "", "reason": None},
        {"at": "2026-11-22T23:43:42.123+07:00", "what": "ring", "who": "152", "by": "", "reason": None},
        {"at": "2026-11-22T23:43:43.023+07:00", "what": "answer", "who": "152", "by": "", "reason": None},
        {"at": "2026-11-22T23:43:44.123+07:00", "what": "transfer", "who": "130", "by": "152", "reason": None},
        {"at": "2026-11-22T23:43:44.123+07:00", "what": "no_record", "who": "130", "by": "", "reason": "user_off"},
        {"at": "2026-11-22T23:43:47.623+07:00", "what": "heard", "who": "152", "by": "", "reason": None},
        {"at": "2026-11-22T23:43:47.623+07:00", "what": "end", "who": "", "by": "", "reason": None},
    ]
    path = [step | {"quality": None} for step in path]
    path[5]["quality"] = {"mos": 3.69, "loss_pct": 7.0, "jitter_ms": 12, "rtt_ms": None}
    assert (await admin.get(f"/api/calls/{expected['id']}")).json() == expected | {"path": path}


async def test_without_parameters_it_is_today(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    now = datetime.now(UTC)
    in_progress = seed.but(seed.a_call(1, now - timedelta(seconds=2)), ended_at=None, employee=None)
    await report(agent, in_progress, seed.a_call(2, now - timedelta(days=2)))
    (row,) = (await admin.get("/api/calls")).json()["items"]
    assert (row["linkedid"], row["ended_at"], row["employee"]) == (in_progress.linkedid, None, None)
    assert 2 <= row["duration_s"] < 600


# `test_call_queries` tests the effect of each parameter; this test, that each reaches the store.
FOUND = [
    ("direction=in", 2),
    ("direction=in&direction=out", 3),
    ("result=answered", 2),
    ("result=busy&result=no_answer", 1),
    ("kind=missed", 1),
    ("kind=recorded", 1),
    ("kind=out&direction=in", 0),
    ("user=421", 1),
    ("user=421&user=152", 3),
    ("number=2458152", 1),
    ("src=913", 2),
    ("dst=266", 1),
    ("answered_by=152", 1),
    ("employee=%D0%BF%D0%B5%D1%82%D1%80%D0%BE%D0%B2", 2),
    ("recorded=true", 1),
    ("recorded=false", 2),
    ("min_s=6&max_s=6", 2),
    ("min_s=7", 1),
    ("time_from=23:43&time_to=23:44", 1),
    ("time_from=23:44&time_to=24:00", 2),
    ("from=2026-11-22T23:44&to=2026-11-22T23:45:00", 1),
    ("from=2026-11-22T23:44:00%2B07:00", 2),
    ("from=2026-11-22T23:44:00+07:00", 2),
    ("from=2026-11-22T16:44:00Z", 2),
    ("src=&min_s=&kind=&user=", 3),
]


async def test_every_parameter_selects(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    outgoing = seed.but(
        seed.a_call(3, BEGIN + timedelta(minutes=2), talk_ms=9000), direction=Direction.OUT, src="421", dst="2667788", number=None
    )
    outgoing = seed.but(outgoing, employee="421", participants=("421",), answered_by="2667788", segments=(), reason=Reason.USER_OFF)
    missed = seed.but(seed.unanswered(seed.a_call(2, BEGIN + timedelta(minutes=1))), number=None)
    await ship(agent, seed.a_call(1, BEGIN), 5000)
    await report(agent, missed, outgoing)
    for query, count in FOUND:
        parameters = query if query.startswith("from=") else f"from=2026-11-22&to=2026-11-22&{query}"
        answer = await admin.get(f"/api/calls?{parameters}")
        assert answer.status_code == 200, (query, answer.text)
        assert (len(answer.json()["items"]), answer.json()["total"]) == (count, count), query


NOT_UNDERSTOOD = [
    ("from=yesterday", "from"),
    ("to=2026-02-30", "to"),
    ("from=0001-01-01", "from"),
    ("time_from=25:00", "time_from"),
    ("time_to=08:00%2B07:00", "time_to"),
    ("min_s=-1", "min_s"),
    ("max_s=x", "max_s"),
    ("direction=up", "direction.0"),
    ("result=ok", "result.0"),
    ("kind=some", "kind"),
    ("recorded=perhaps", "recorded"),
    ("sort=src", "sort"),
    ("limit=0", "limit"),
    ("limit=501", "limit"),
    ("src=%00", "src"),
    ("cursor=nonsense", "cursor"),
    ("cursor=e30", "cursor"),
    ("kinds=missed", "kinds"),
]


async def test_what_is_not_understood_is_named(admin: httpx.AsyncClient) -> None:
    for query, where in NOT_UNDERSTOOD:
        answer = await admin.get(f"/api/calls?{query}")
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), query
        problem = answer.json()
        assert (problem["type"], problem["errors"][0]["where"]) == ("/problems/invalid-parameters", where), query


@pytest.mark.parametrize("sort", ["-started_at", "started_at", "-duration_s", "duration_s"])
async def test_pages_have_no_gap_and_no_repeat_while_calls_come_in(
    agent: httpx.AsyncClient, admin: httpx.AsyncClient, sort: str
) -> None:
    calls = [seed.a_call(number, BEGIN + timedelta(seconds=number // 3), talk_ms=1000 * (number % 5)) for number in range(40)]
    await report(agent, *calls)
    parameters: dict[str, Any] = DAY | {"limit": 7, "sort": sort}
    rows: list[dict[str, Any]] = []
    while True:
        page = (await admin.get("/api/calls", params=parameters)).json()
        rows += page["items"]
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
        before = {"-started_at": BEGIN + timedelta(minutes=1), "started_at": BEGIN - timedelta(minutes=1)}.get(sort)
        if before is not None:  # a new call before the pages that were read must not shift the next pages
            await report(agent, seed.a_call(1000 + len(rows), before))
    old = [call["linkedid"] for call in rows if call["linkedid"] in {reported.linkedid for reported in calls}]
    assert len(rows) == len(old) == len(set(old)) == 40
    key = sort.lstrip("-")
    assert [call[key] for call in rows] == sorted((call[key] for call in rows), reverse=sort.startswith("-"))


async def test_a_cursor_of_another_order_is_refused(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await report(agent, *(seed.a_call(number, BEGIN) for number in range(3)))
    cursor = (await admin.get("/api/calls", params=DAY | {"limit": 1})).json()["next"]
    answer = await admin.get("/api/calls", params=DAY | {"limit": 1, "cursor": cursor, "sort": "started_at"})
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (422, "belongs to sort=-started_at")


SEEN = [
    ("900", "acme", {"own", "theirs", "both"}),
    ("152", "acme", {"own", "both"}),
    ("421", "acme", {"theirs", "both"}),
    ("130", "acme", set[str]()),
    ("900", "other", {"foreign"}),
]


async def test_calls_of_others_are_not_found(site: Site, agent: httpx.AsyncClient) -> None:
    own = seed.a_call(1, BEGIN)
    both = seed.a_call(3, BEGIN)
    later = seed.but(both.segments[0], name="later", user="421", started_at=both.segments[0].started_at + timedelta(seconds=3))
    of_colleague = seed.a_call(2, BEGIN)
    calls = {
        "own": own,
        "theirs": seed.but(
            of_colleague, employee="421", participants=("421",), segments=(seed.but(of_colleague.segments[0], user="421"),)
        ),
        "both": seed.but(both, participants=("152", "421"), segments=(both.segments[0], later)),
        "foreign": seed.but(
            seed.a_call(4, BEGIN),
            domain="other",
            participants=("900",),
            segments=(seed.but(seed.a_call(4, BEGIN).segments[0], user="900"),),
        ),
    }
    for call in calls.values():
        await ship(agent, call, *([2000] * len(call.segments)))
    ids = {call_id("pbx1", call.linkedid): name for name, call in calls.items()}
    for login, domain, seen in SEEN:
        async with await site.log_in(login, domain) as client:
            for more in ("", "&user=152&user=421&user=900", "&employee=%D0%BF", "&recorded=true", "&limit=500"):
                listed = (await client.get(f"/api/calls?from=2026-11-22&to=2026-11-22{more}")).json()["items"]
                assert {ids[call["id"]] for call in listed} <= seen
            listed = (await client.get("/api/calls", params=DAY)).json()["items"]
            assert {ids[call["id"]] for call in listed} == seen
            for public_id, name in ids.items():
                expected = 200 if name in seen else 404
                for path in ("", "/audio", "/peaks"):
                    answer = await client.get(f"/api/calls/{public_id}{path}")
                    assert answer.status_code == expected, (login, domain, name, path)
                    assert expected == 200 or answer.json() == {"type": "/problems/not-found", "title": "Not Found", "status": 404}


async def test_a_user_sees_and_hears_their_own_part_of_a_call(site: Site, agent: httpx.AsyncClient) -> None:
    call = seed.a_call(1, BEGIN)
    later = seed.but(call.segments[0], name="later", user="421", started_at=call.segments[0].started_at + timedelta(seconds=3))
    await ship(agent, seed.but(call, participants=("152", "421", "130"), segments=(call.segments[0], later)), 3000, 2000)
    expected = {
        "900": ("ready", None, 5000, [("152", 0, 3000), ("421", 3000, 2000)]),
        "152": ("ready", None, 3000, [("152", 0, 3000)]),
        "421": ("ready", None, 2000, [("421", 0, 2000)]),
        "130": ("none", "user_off", None, []),
    }
    for login, visible in expected.items():
        async with await site.log_in(login) as client:
            (row,) = (await client.get("/api/calls", params=DAY)).json()["items"]
            recording = row["recording"]
            parts = [(part["user"], part["offset_ms"], part["duration_ms"]) for part in recording["segments"]]
            assert (recording["state"], recording["reason"], recording["duration_ms"], parts) == visible
            peaks = await client.get(f"/api/calls/{row['id']}/peaks")
            if visible[2] is None:
                assert peaks.status_code == (await client.get(f"/api/calls/{row['id']}/audio")).status_code == 404
            else:
                assert (peaks.json()["duration_ms"], len(peaks.json()["left"]), len(peaks.json()["right"])) == (
                    visible[2],
                    visible[2] // 100,
                    visible[2] // 100,
                )
            only = (await client.get("/api/calls", params=DAY | {"recorded": "true"})).json()["total"]
            assert only == (0 if visible[2] is None else 1)


PROBLEMS = [
    ("GET", "/api/nothing", 404, "not-found"),
    ("GET", "/api/calls/nothing", 404, "not-found"),
    ("GET", "/api/calls/%00", 404, "not-found"),
    ("DELETE", "/api/calls", 405, "method-not-allowed"),
    ("GET", "/agent/v1/nothing", 404, "not-found"),
    ("GET", "/assets/nothing.js", 404, "not-found"),
    ("POST", "/api/login", 422, "invalid-parameters"),
]


async def test_every_error_is_a_problem_document(admin: httpx.AsyncClient) -> None:
    for method, path, status, type_ in PROBLEMS:
        answer = await admin.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
        assert (answer.json()["type"], answer.json()["status"]) == (f"/problems/{type_}", status)
