"""Each count of `/api/stats/…` is the total of the list of calls that it opens."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx
import pytest

from fonoteka.core.call_report import CallReport, Direction, Result
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
        call = seed.but(call, **fields)
        yield seed.but(call, result=result) if result is Result.ANSWERED else seed.unanswered(call, result)


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


async def test_a_user_counts_their_own_calls_and_another_domain_none(filled: None, site: Site) -> None:
    async with await site.log_in("152") as client:
        own = Figures(client, WEEK)
        result = await own.statistic("incoming")
        assert result["totals"]["in"] == await own.listed(direction="in") > 0
        assert [row["login"] for row in result["by_employee"]] == ["152"]
    async with await site.log_in("900", domain="other") as client:
        other = Figures(client, WEEK)
        assert (await other.statistic("incoming"))["totals"]["in"] == 0
        assert not any(row[name] for row in (await other.statistic("hourly"))["rows"] for name in _COUNTS)
