"""The store behind PgBouncer in transaction mode: any transaction may have another session."""

import asyncio
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import text

from store.database.store import Store
from store.people.accounts import Pbx
from tests.store.test_audit_queries import test_a_legal_hold_is_audited_with_its_reason  # noqa: F401
from tests.store.test_call_backs import test_all_at_once, test_another_pbx_of_the_company_calls_back  # noqa: F401
from tests.store.test_call_queries import (  # noqa: F401
    test_each_selection_finds_its_calls,
    test_pages_follow_each_other_without_gap_or_repeat,
)
from tests.store.test_counters import ASKED, STEPS, ZONES, check_statistics
from tests.store.test_encryption import older, test_keys_are_rotated_while_the_service_runs  # noqa: F401
from tests.store.test_intake import (  # noqa: F401
    test_a_recording_makes_its_call_ready,
    test_the_newest_revision_stays_in_any_order,
    test_the_same_recording_twice_is_one,
    test_two_hundred_calls_are_one_transaction,
)
from tests.store.test_login_race import test_the_old_password_opens_no_session_after_the_change  # noqa: F401
from tests.store.test_migrations import test_the_index_of_a_newer_version_is_refused  # noqa: F401
from tests.store.test_retention import test_two_processes_at_once_delete_each_call_once, test_what_is_due  # noqa: F401

pytestmark = pytest.mark.parametrize("section", ["pgbouncer"], indirect=True)


async def test_transactions_have_different_sessions(store: Store) -> None:
    """What the other tests of this module rely on."""

    async def session() -> int:
        async with store.reading() as connection:
            process: int = (await connection.execute(text("SELECT pg_backend_pid() FROM pg_sleep(0.01)"))).scalar_one()
        return process

    assert len(set(await asyncio.gather(*(session() for _ in range(20))))) > 1


async def test_settings_end_with_the_transaction(store: Store) -> None:
    async with store.reading() as connection:
        assert (await connection.execute(text("SHOW jit"))).scalar() == "off"
    others = await asyncpg.connect(store.engine.url.set(drivername="postgresql").render_as_string(), statement_cache_size=0)
    try:
        assert {await others.fetchval("SHOW jit") for _ in range(6)} == {"on"}
        assert await others.fetch("SELECT name FROM pg_prepared_statements WHERE name <> ''") == []
        assert await others.fetch("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []
    finally:
        await others.close()


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, zone=some.sampled_from(ZONES), asked=ASKED)
async def test_counters_give_the_same_statistics_as_calls(
    store: Store, pbx: Pbx, steps: list[tuple[str, Any]], zone: str, asked: list[dict[str, Any]]
) -> None:
    """A few examples: what is counted is the same as without PgBouncer."""
    await check_statistics(store, pbx, steps, zone, asked)
