"""Each count of `/api/stats/…` is the total of the list of calls that it opens."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx
import pytest

from fonoteka.core.call_report import CallReport, Direction, Quality, Result
from tests.api.conftest import Site, report
from tests.data import seed

BEGIN = datetime(2026, 11, 16, 17, tzinfo=UTC)  # Tuesday, 0:00 in Krasnoyarsk
WEEK: dict[str, Any] = {"from": "2026-11-17", "to": "2026-11-23"}
_PEOPLE, _LINES = ("152", "421", "130", None), ("2458888", "2458152", None)


def calls(count: int = 400) -> Iterator[CallReport]:
    """Return calls of every kind over a week, without randomness."""
    chance = Random(391)  # noqa: S311 (no secret)
    for number in range(count):
        who, line = chance.choice(_PEOPLE), chance.choice(_LINES)
        talk_ms = chance.choice((0, 400, 29_400, 29_500, 30_000, 59_000, 179_499, 179_500, 600_000, 900_000))
        call = seed.a_call(number, BEGIN + timedelta(seconds=chance.randrange(7 * 86_400)), talk_ms=talk_ms)
        direction, result = chance.choice(list(Direction)), chance.choice(list(Result))
        fields = {"direction": direction, "employee": who, "number": line, "participants": (who,) if who else (), "segments": ()}
        call = seed.but(call, **fields, **_waited(number))
        yield seed.but(call, result=result) if result is Result.ANSWERED else seed.unanswered(call, result)


def _waited(number: int) -> dict[str, Any]:
    """Return trunk, queue and wait of a call; each seventh is one of an older version."""
    if number % 7 == 0:
        return {"trunk": None, "queue": None, "wait_ms": None}
    wait_ms = (0, 499, 500, 19_499, 20_000, 20_499, 20_500, 61_000)[number % 8]
    return {"trunk": "PJSIP/trunk", "queue": ("sales", "sales-night", None)[number % 3], "wait_ms": wait_ms}


@pytest.fixture
async def filled(agent: httpx.AsyncClient) -> None:
    """A week of calls."""
    reports = list(calls())
    for start in range(0, len(reports), 200):
        await report(agent, *reports[start : start + 200])


@pytest.fixture
async def week(filled: None, admin: httpx.AsyncClient) -> "Figures":
    """Return a statistic as the administrator gets it."""
    return Figures(admin, WEEK)


class Figures:
    """Return the counts of a selection, and the list of calls of each."""

    def __init__(self, client: httpx.AsyncClient, selection: dict[str, Any]) -> None:
        self._client, self._selection = client, selection

    async def statistic(self, name: str, **more: Any) -> dict[str, Any]:
        answer = await self._client.get(f"/api/stats/{name}", params=self._selection | more)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def listed(self, **more: Any) -> int:
        """Return the number of calls in the list."""
        answer = await self._client.get("/api/calls", params=self._selection | more)
        assert answer.status_code == 200, answer.text
        total: int = answer.json()["total"]
        return total


_FAILED = ["no_answer", "busy", "other"]
_COUNTS: dict[str, dict[str, Any]] = {
    "in": {"direction": "in", "result": "answered"},
    "in_missed": {"kind": "missed"},
    "out": {"direction": "out", "result": "answered"},
    "out_failed": {"direction": "out", "result": _FAILED},
}


async def test_each_hour_opens_as_many_calls(week: Figures) -> None:
    rows = (await week.statistic("hourly"))["rows"]
    assert [row["hour"] for row in rows] == list(range(24))
    for row in rows:
        hour = {"time_from": f"{row['hour']:02}:00", "time_to": f"{row['hour'] + 1:02}:00"}
        for name, selection in _COUNTS.items():
            assert row[name] == await week.listed(**hour, **selection), (row, name)
    outside = await week.listed(direction=["in", "out"])
    assert sum(row[name] for row in rows for name in _COUNTS) == outside > 200


async def test_each_hour_of_a_weekday_opens_as_many_calls(week: Figures) -> None:
    rows = (await week.statistic("week"))["rows"]
    assert [(row["weekday"], row["hour"]) for row in rows] == [(day, hour) for day in range(1, 8) for hour in range(24)]
    for row in (row for row in rows if any(row[name] for name in _COUNTS)):
        day = 17 + (row["weekday"] - 2) % 7
        hour = {"from": f"2026-11-{day}T{row['hour']:02}:00", "to": f"2026-11-{day}T{row['hour']:02}:59:59.999"}
        for name in ("in", "out_failed"):
            assert row[name] == await week.listed(**hour, **_COUNTS[name]), row


async def test_a_weekdays_hour_is_a_selection_of_any_period(week: Figures, admin: httpx.AsyncClient) -> None:
    longer = Figures(admin, {"from": "2026-10-25", "to": "2026-12-08"})
    for row in (row for row in (await longer.statistic("week"))["rows"] if row["in"] or row["out"]):
        hour = {"time_from": f"{row['hour']:02}:00", "time_to": f"{row['hour'] + 1:02}:00", "weekday": row["weekday"]}
        assert row["in"] == await longer.listed(**hour, **_COUNTS["in"]), row
        assert row["out"] == await longer.listed(**hour, **_COUNTS["out"]), row
    each = [await week.listed(weekday=day) for day in range(1, 8)]
    assert all(each) and sum(each) == await week.listed()
    assert await week.listed(weekday=[6, 7]) == each[5] + each[6]


_WAITED: dict[str, dict[str, Any]] = {
    "calls": {"direction": "in", "wait_min_s": 0},
    "answered": {"direction": "in", "result": "answered", "wait_min_s": 0},
    "answered_within": {"direction": "in", "result": "answered", "wait_max_s": 20},
    "abandoned": {"direction": "in", "result": _FAILED, "wait_min_s": 0},
}


async def test_each_figure_of_waiting_opens_as_many_calls(week: Figures) -> None:
    result = await week.statistic("waiting")
    hours = [({"time_from": f"{hour:02}:00", "time_to": f"{hour + 1:02}:00"}, row) for hour, row in enumerate(result["by_hour"])]
    queues = [({"queue_name": row["queue"]}, row) for row in result["by_queue"]]
    numbers = [({"number": row["number"]}, row) for row in result["by_number"]]
    assert {row["queue"] for _, row in queues} == {"sales", "sales-night"} and len(hours) == 24
    assert {row["label"] for _, row in numbers} == {"Главный", "Петров П.П."}
    for narrowed, row in [({}, result["totals"]), *queues, *numbers, *hours]:
        for name, selection in _WAITED.items():
            assert row[name] == await week.listed(**narrowed, **selection), (row, name)
        assert row["calls"] == row["answered"] + row["abandoned"]
        if row["calls"]:
            assert row["average_s"] <= row["longest_s"]
            assert await week.listed(**narrowed, **_WAITED["calls"] | {"wait_min_s": row["longest_s"]}) >= 1
            assert await week.listed(**narrowed, **_WAITED["calls"] | {"wait_min_s": row["longest_s"] + 1}) == 0
    assert result["totals"]["answered"] > result["totals"]["answered_within"] > 10


async def test_how_long_callers_waited(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    waits = {1: 1000, 2: 20_400, 3: 20_600, 4: 90_000}
    calls = [seed.but(seed.a_call(place, BEGIN), queue="sales", wait_ms=wait_ms) for place, wait_ms in waits.items()]
    older = seed.but(seed.a_call(5, BEGIN), trunk=None, wait_ms=None)
    await report(agent, *calls[:3], seed.unanswered(calls[3], Result.NO_ANSWER), older)
    figures = Figures(admin, WEEK)
    expected = {"calls": 4, "answered": 3, "answered_within": 2, "abandoned": 1, "average_s": 33, "longest_s": 90}
    assert (await figures.statistic("waiting"))["totals"] == expected
    assert (await figures.statistic("waiting", within=21))["totals"] == expected | {"answered_within": 3}
    nothing = await figures.statistic("waiting", queue="no such queue")
    assert nothing["totals"] == dict.fromkeys(expected, 0) | {"average_s": None, "longest_s": None}
    assert (nothing["within_s"], nothing["by_queue"], nothing["by_number"]) == (20, [], [])


async def test_the_filters_of_trunk_queue_and_wait(week: Figures) -> None:
    numbers = range(400)
    of = {name: [_waited(number)[name] for number in numbers] for name in ("trunk", "queue", "wait_ms")}
    assert await week.listed(queue="SALES") == sum(queue is not None for queue in of["queue"])
    assert await week.listed(queue_name="sales") == of["queue"].count("sales")
    assert await week.listed(queue_name=["sales", "sales-night"]) == await week.listed(queue="sales")
    assert await week.listed(trunk="trunk") == await week.listed(trunk_name="PJSIP/trunk") == of["trunk"].count("PJSIP/trunk")
    assert await week.listed(trunk_name="trunk") == 0
    waits = [wait for wait in of["wait_ms"] if wait is not None]
    assert await week.listed(wait_min_s=0) == len(waits)
    assert await week.listed(wait_max_s=20) == sum(wait < 20_500 for wait in waits)
    assert await week.listed(wait_min_s=21, wait_max_s=60) == sum(20_500 <= wait < 60_500 for wait in waits)


async def test_incoming(week: Figures) -> None:
    result = await week.statistic("incoming")
    assert result["totals"] == {
        "in": await week.listed(direction="in"),
        "busy": await week.listed(direction="in", result="busy"),
        "missed": await week.listed(direction="in", result=["no_answer", "other"]),
    }
    assert [row["number"] for row in result["by_number"]] == sorted(
        ("2458888", "2458152"), key=lambda number: -next(row["in"] for row in result["by_number"] if row["number"] == number)
    )
    assert {row["label"] for row in result["by_number"]} == {"Главный", "Петров П.П."}
    for row in result["by_number"]:
        assert row["in"] == await week.listed(direction="in", number=row["number"])
        assert row["busy"] == await week.listed(direction="in", number=row["number"], result="busy")
        assert row["missed"] == await week.listed(direction="in", number=row["number"], result=["no_answer", "other"])
    assert len(result["by_employee"]) == 3
    for row in result["by_employee"]:
        assert row["calls"] == await week.listed(direction="in", result="answered", employee_login=row["login"])


async def test_outgoing(week: Figures) -> None:
    result = await week.statistic("outgoing")
    assert result["totals"]["calls"] == await week.listed(direction="out")
    assert result["totals"]["answered"] == await week.listed(direction="out", result="answered")
    for group, parameter, key in (("by_number", "number", "number"), ("by_employee", "employee_login", "login")):
        assert result[group]
        for row in result[group]:
            assert row["calls"] == await week.listed(direction="out", **{parameter: row[key]})
            assert row["answered"] == await week.listed(direction="out", result="answered", **{parameter: row[key]})


async def test_each_figure_of_quality_opens_as_many_calls(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    scores = {1: 3.2, 2: 3.99, 3: 4.0, 4: 4.41, 5: None}
    calls = [
        seed.but(
            seed.a_call(place, BEGIN),
            employee="152" if place < 4 else "421",
            trunk="PJSIP/trunk" if place != 2 else "PJSIP/gsm",
            quality=None if mos is None else Quality(mos=mos, loss_pct=10.0 - 2 * place, jitter_ms=4),
        )
        for place, mos in scores.items()
    ]
    await report(agent, *calls)
    figures = Figures(admin, WEEK)
    result = await figures.statistic("quality")
    assert (result["bad_below"], result["totals"]) == (
        4.0,
        {"calls": 4, "bad": 2, "average_mos": 3.9, "average_loss_pct": 5.0, "worst_mos": 3.2},
    )
    hours = [({"time_from": f"{hour:02}:00", "time_to": f"{hour + 1:02}:00"}, row) for hour, row in enumerate(result["by_hour"])]
    trunks = [({"trunk_name": row["trunk"]}, row) for row in result["by_trunk"]]
    employees = [({"employee_login": row["login"]}, row) for row in result["by_employee"]]
    assert [(row["trunk"], row["calls"], row["bad"]) for _, row in trunks] == [("PJSIP/trunk", 3, 1), ("PJSIP/gsm", 1, 1)]
    assert [(row["login"], row["calls"], row["bad"]) for _, row in employees] == [("152", 3, 2), ("421", 1, 0)]
    for narrowed, row in [({}, result["totals"]), *trunks, *employees, *hours]:
        assert row["calls"] == await figures.listed(**narrowed, mos_min=1), row
        assert row["bad"] == await figures.listed(**narrowed, mos_below=4), row
        assert row["calls"] - row["bad"] == await figures.listed(**narrowed, mos_min=4), row
    assert (await figures.statistic("quality", bad_below=3.5))["totals"]["bad"] == 1
    nothing = await figures.statistic("quality", trunk="no such trunk")
    assert nothing["totals"] == {"calls": 0, "bad": 0, "average_mos": None, "average_loss_pct": None, "worst_mos": None}
    assert (nothing["by_trunk"], nothing["by_employee"]) == ([], [])


async def test_lengths(week: Figures) -> None:
    result = await week.statistic("durations", longer_than=30)
    assert [(row["from_s"], row["to_s"]) for row in result["rows"]] == [(0, 30), (30, 60), (60, 180), (180, 600), (600, None)]
    for row in result["rows"]:
        band = {"talk_min_s": row["from_s"]} | ({} if row["to_s"] is None else {"talk_max_s": row["to_s"] - 1})
        assert row["calls"] == await week.listed(direction="out", **band) > 0, row
    assert sum(row["calls"] for row in result["rows"]) == await week.listed(direction="out")
    assert result["longer_than"] == {"seconds": 30, "calls": await week.listed(direction="out", talk_min_s=31)}
    assert (await week.statistic("durations"))["longer_than"] is None


async def test_every_figure_follows_the_filters(filled: None, admin: httpx.AsyncClient) -> None:
    some = {"time_from": "08:00", "time_to": "20:00", "min_s": 30, "number": "2458888", "user": ["152", "421"]}
    narrowed = Figures(admin, WEEK | some)
    rows = (await narrowed.statistic("hourly"))["rows"]
    assert sum(row[name] for row in rows for name in _COUNTS) == await narrowed.listed(direction=["in", "out"]) > 5
    assert (await narrowed.statistic("incoming"))["totals"]["in"] == await narrowed.listed(direction="in") > 0
    assert sum(row["calls"] for row in (await narrowed.statistic("durations"))["rows"]) == await narrowed.listed(direction="out")
    assert (await narrowed.statistic("waiting"))["totals"]["calls"] == await narrowed.listed(**_WAITED["calls"]) > 0


async def test_a_user_counts_their_own_calls_and_another_domain_none(filled: None, site: Site) -> None:
    async with await site.log_in("152") as client:
        own = Figures(client, WEEK)
        result = await own.statistic("incoming")
        assert result["totals"]["in"] == await own.listed(direction="in") > 0
        assert [row["login"] for row in result["by_employee"]] == ["152"]
        assert (await own.statistic("waiting"))["totals"]["calls"] == await own.listed(**_WAITED["calls"]) > 0
    async with await site.log_in("900", domain="other") as client:
        other = Figures(client, WEEK)
        assert (await other.statistic("incoming"))["totals"]["in"] == 0
        assert (await other.statistic("waiting"))["by_queue"] == []
        assert not any(row[name] for row in (await other.statistic("hourly"))["rows"] for name in _COUNTS)
