"""PostgreSQL reads the calls of each request by the index that is made for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlalchemy import text

from fonoteka.core.call_report import Direction
from fonoteka.core.config import StoreSection
from store.database.later_indexes import LATER_INDEXES, build_later_indexes
from store.database.schema import milliseconds
from store.database.store import Store
from store.queries.calls import live_calls, page_of_calls
from store.selection.period import Period
from store.selection.scope import Scope
from store.selection.selection import Kind, Selection, Sort
from store.statistics import reports
from tests.store.test_call_queries import statements
from tests.support.new_stores import create_database, drop_database

NOW: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)
ZONE: Final = ZoneInfo("Asia/Krasnoyarsk")
# Two years of the first domain; five times as many calls of another one.
_CALLS: Final = """
INSERT INTO calls (public_id, domain_id, pbx_id, linkedid, revision, direction, result, employee, src, src_name, dst, number,
  answered_by, started_at, answered_at, ended_at, duration_s, talk_ms, recording_state, legal_hold, outside_number, trunk, queue,
  wait_ms, quality_mos, quality_loss_pct)
SELECT 'call' || n, domain.id, (SELECT min(id) FROM pbxs), 'call' || n, 1, (ARRAY['in', 'out', 'internal'])[1 + n % 3],
  (ARRAY['answered', 'answered', 'answered', 'no_answer', 'busy'])[1 + n % 5], (100 + n % 40)::text,
  '8913' || lpad((n * 7654321::bigint % 10000000)::text, 7, '0'), '',
  '8' || lpad((n * 1234577::bigint % 1000000000)::text, 9, '0'),
  '200' || n % 7, (100 + n % 40)::text, began, began + 5000,
  CASE WHEN n % 10000 > 0 THEN began + 60000 END,
  CASE WHEN n % 10000 > 0 THEN n * 7919::bigint % 4000 END, 55000,
  CASE WHEN n % 5000 = 1 THEN 'ready' ELSE 'none' END, false,
  null, 'PJSIP/trunk' || n % 3, 'queue' || n % 4, n % 30000, CASE WHEN n % 3 = 0 THEN 3 + n % 14 / 10.0 END, 0
FROM generate_series(1, 120000) AS n
JOIN domains AS domain ON domain.name = CASE WHEN n % 6 = 0 THEN 'acme' ELSE 'other' END,
LATERAL (SELECT :now - n * 525600::bigint AS began) AS at
"""
_PARTICIPANTS: Final = """
INSERT INTO participants (call_id, login, domain_id, started_at, recording_state)
SELECT id, employee, domain_id, started_at, recording_state FROM calls
WHERE domain_id = (SELECT id FROM domains WHERE name = 'acme')
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """A store whose planner knows its calls."""

    store: Store
    domain_id: int

    async def plans(self, request: Callable[[Store, Scope], Awaitable[object]], login: str | None) -> list[str]:
        """Return the plans of the statements of a request that select calls by more than a key."""
        with statements(self.store) as executed:
            await request(self.store, Scope(domain_id=self.domain_id, login=login))
        plans = []
        async with self.store.reading() as connection:
            # A table of this size is soon read; what counts is whether an index serves the request.
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
            for sql, values in executed:
                if "started_at" in sql and ("calls.public_id" not in sql or "ended_at IS NULL" in sql):
                    plans.append("\n".join((await connection.exec_driver_sql(f"EXPLAIN {sql}", values)).scalars()))
        return plans


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Filled]:
    """A store with 120,000 calls, of which a sixth is of the domain that asks."""
    name, folder = f"test_{uuid4().hex}", tmp_path_factory.mktemp("plans")
    await create_database(postgresql, name, "seeded")
    store = await Store.open(StoreSection(database=f"{postgresql}/{name}", objects=f"file://{folder}/objects"), sweep=True)
    async with store.writing() as connection:
        for index in LATER_INDEXES:  # built at once, they take less time
            await connection.execute(text(f"DROP INDEX {index}"))
        await connection.execute(text(_CALLS), {"now": milliseconds(NOW)})
        await connection.execute(text(_PARTICIPANTS))
        domain_id = (await connection.execute(text("SELECT id FROM domains WHERE name = 'acme'"))).scalar_one()
    await build_later_indexes(store.engine)
    async with store.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql("SET default_statistics_target = 400")  # all rows: no plan depends on a sample's luck
        await connection.exec_driver_sql("VACUUM (ANALYZE) calls, participants")
    yield Filled(store=store, domain_id=domain_id)
    await store.close()
    await drop_database(postgresql, name)


def _selection(days: float, **filters: Any) -> Selection:
    return Selection(period=Period(start=NOW - timedelta(days=days), end=NOW), zone=ZONE, **filters)


def page(days: float, sort: Sort = Sort.STARTED_DOWN, **filters: Any) -> Callable[[Store, Scope], Awaitable[object]]:
    """Return the request of a page of calls."""

    def request(store: Store, scope: Scope) -> Awaitable[object]:
        return page_of_calls(store, scope, _selection(days, **filters), sort=sort, after=None, limit=50, now=NOW)

    return request


def report(name: str, *more: Any, days: float = 180, **filters: Any) -> Callable[[Store, Scope], Awaitable[object]]:
    """Return the request of a report."""

    def request(store: Store, scope: Scope) -> Awaitable[object]:
        asked: Awaitable[object] = getattr(reports, name)(store, scope, _selection(days, **filters), *more, NOW)
        return asked

    return request


OFFICE_HOURS: Final[dict[str, Any]] = {"time_from": time(9), "time_to": time(18)}
REQUESTS: Final = {
    "a day": (page(1), "ix_calls_"),
    "half a year": (page(180, recorded=False), "ix_calls_list"),
    "a piece of the caller": (page(700, src="65432"), "ix_calls_numbers"),
    "a piece of the callee": (page(700, dst="65437"), "ix_calls_numbers"),
    "a piece of who answered": (page(700, answered_by="6543"), "ix_calls_numbers"),
    "an unknown number": (page(700, src="0000000000"), "ix_calls_numbers"),
    "recorded": (page(180, kind=Kind.RECORDED), "ix_calls_recorded"),
    "sorted by length": (page(180, Sort.DURATION_DOWN), "ix_calls_length"),
    "the shortest first": (page(30, Sort.DURATION_UP), "ix_calls_length"),
    "a long wait": (page(180, wait_min_s=29), "ix_calls_waits"),
    "badly heard": (page(180, mos_below=3.1), "ix_calls_mos"),
    "in progress": (lambda store, scope: live_calls(store, scope, NOW), "ix_calls_in_progress"),
    "hours by length": (report("by_hour", min_s=30), "Only Scan using ix_calls_"),
    "numbers by hours of day": (report("by_party", Direction.IN, **OFFICE_HOURS), "ix_calls_list"),
    "lengths": (report("by_length", 100), "ix_calls_list"),
    "called back": (report("call_backs"), "ix_calls_missed"),
    "waiting": (report("waits", 20), "ix_calls_waits"),
    "quality": (report("qualities", 4.0), "ix_calls_mos"),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_reads_its_index(filled: Filled, name: str) -> None:
    request, index = REQUESTS[name]
    plans = await filled.plans(request, None)
    assert any(index in plan for plan in plans), plans
    assert not any("Seq Scan on calls" in plan for plan in plans), plans


@pytest.mark.parametrize(("login", "filters"), [("120", {}), (None, {"users": ("120",)}), ("120", OFFICE_HOURS)])
async def test_a_users_calls_are_read_in_the_order_of_their_index(
    filled: Filled, login: str | None, filters: dict[str, Any]
) -> None:
    """Of the table of calls, only the few merged ones are read."""
    plans = [plan for plan in await filled.plans(page(180, **filters), login) if "count" in plan or "CTE" in plan]
    assert plans and all("ix_participants_domain_id_login_started_at_call_id" in plan for plan in plans), plans
    assert all("ix_calls_absorbed" in plan and "pk_calls" not in plan for plan in plans), plans


@pytest.mark.parametrize("name", ["hours by length", "numbers by hours of day", "waiting", "quality"])
async def test_a_report_groups_without_sorting_its_calls(filled: Filled, name: str) -> None:
    """PostgreSQL knows how few groups there are: so it can divide the calls among processes."""
    plans = [plan for plan in await filled.plans(REQUESTS[name][0], None) if "Aggregate" in plan]
    assert plans and all("HashAggregate" in plan for plan in plans), plans


@pytest.mark.parametrize("narrow", [{"min_s": 30}, {"employee_logins": ("120",)}, {"numbers": ("2003",)}, OFFICE_HOURS])
@pytest.mark.parametrize(("name", "asked"), [("waits", 20), ("qualities", 4.0)])
async def test_a_narrower_report_reads_its_index_alone(filled: Filled, name: str, asked: float, narrow: dict[str, Any]) -> None:
    """The rows of a company lie in nearly every page of the table."""
    plans = await filled.plans(report(name, asked, **narrow), None)
    assert any(" using ix_calls_waits" in plan or " using ix_calls_mos" in plan for plan in plans), plans
    assert all("Index Only Scan" in plan and "Heap Scan" not in plan for plan in plans), plans
