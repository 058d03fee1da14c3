"""The API on PostgreSQL behind PgBouncer in transaction mode: as on SQLite."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from fonoteka.core.config import StoreSection
from tests.api.conftest import Site, serving
from tests.api.test_audio import call, test_ranges  # noqa: F401 (these run here once more)
from tests.api.test_audit import test_filters_and_pages  # noqa: F401
from tests.api.test_calls import (  # noqa: F401
    test_a_user_sees_and_hears_their_own_part_of_a_call,
    test_every_parameter_selects,
    test_pages_have_no_gap_and_no_repeat_while_calls_come_in,
)
from tests.api.test_exports import filled, test_batches_have_each_call_once  # noqa: F401
from tests.api.test_live import test_each_change_of_a_call_is_sent  # noqa: F401
from tests.api.test_recording_control import test_a_command_reaches_the_agent_and_its_outcome_the_client  # noqa: F401
from tests.api.test_session import test_a_token_ends_with_its_session  # noqa: F401
from tests.api.test_statistics import test_how_long_callers_waited  # noqa: F401
from tests.support.new_stores import create_database, drop_database


@pytest.fixture
async def site(postgresql: str, pooler: str, tmp_path: Path) -> AsyncIterator[Site]:
    """The API with a database of its own."""
    name = f"test_{uuid4().hex}"
    await create_database(postgresql, name, "seeded")
    async with serving(tmp_path, store=StoreSection(database=f"{pooler}/{name}", objects=f"file://{tmp_path}/objects")) as running:
        yield running
    await drop_database(postgresql, name)
