"""Deletion in a process of its own: what it reports, and how its errors arrive."""

import os
import signal
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from store.database.store import Store
from store.people.accounts import Pbx
from store.retention import own_process
from store.retention.own_process import delete_due_apart
from store.retention.run import Amount, Rule
from tests.data import seed
from tests.store.test_intake import AUDIO, BEGIN, take
from tests.store.test_retention import periods
from tests.support.stored_objects import object_keys

LATER = BEGIN + timedelta(days=2)


async def test_what_is_due_is_deleted_and_told(store: Store, pbx: Pbx, section: StoreSection) -> None:
    await take(store, pbx, seed.a_call(1, BEGIN))
    await periods(store, days=1)
    reported: list[tuple[Rule, Amount]] = []
    deleted = await delete_due_apart(
        section, LATER, domain_ids=[1, 2], notify=lambda rule, amount, _: reported.append((rule, amount))
    )
    rule, amount = Rule(domain="acme", key="retention_days", value=1), Amount(calls=1, recordings=1, size_bytes=len(AUDIO))
    assert (deleted, reported, object_keys(store)) == ({rule: amount}, [(rule, amount)], [])


async def test_errors_of_the_process_are_those_of_the_api(
    store: Store, section: StoreSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = section.model_copy(update={"database": "sqlite:////proc/no-such-folder/fonoteka.db"})
    with pytest.raises(ConfigurationError, match="no-such-folder"):
        await delete_due_apart(wrong, LATER, domain_ids=[1], notify=nothing)
    monkeypatch.setattr(own_process, "_work", killed)
    with pytest.raises(StoreError, match="was killed"):
        await delete_due_apart(section, LATER, domain_ids=[1], notify=nothing)


def nothing(*_: Any) -> None:
    """Is never called."""
    pytest.fail("nothing was deleted")


def killed(*_: Any) -> None:
    """What the process does instead."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("blocking", [True, False])
async def test_sqlite_runs_in_the_thread_of_the_event_loop_if_wanted(tmp_path: Path, blocking: bool) -> None:
    """The deletion has a process of its own, so that nothing else waits for its statements."""
    store = await Store.open(seed.section(tmp_path), blocking=blocking)
    try:
        async with store.reading() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            await driver.create_function("thread", 0, threading.get_ident)
            ran_in = (await connection.execute(text("SELECT thread()"))).scalar_one()
        assert (ran_in == threading.get_ident()) is blocking
    finally:
        await store.close()
