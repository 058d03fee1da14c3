"""Erased calls: what a person with the disk still finds. Nothing of the number, and no audio."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from fonoteka.core.call_report import CallReport, PathStep
from fonoteka.core.config import StoreSection
from store.audit.write import Actor
from store.database.purge import vacuum
from store.database.schema import audit, calls, domains, segments
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx
from store.retention.run import delete_due
from store.retention.set_aside import expire_set_aside
from store.subjects.erasure import erase_subject
from tests.data import seed
from tests.store.test_intake import BEGIN, NOW, take
from tests.store.test_retention import hold
from tests.support.stored_objects import object_keys, objects_folder

NUMBER, DIGITS = "89131234567", b"9131234567"
BOSS = Actor(login="900", address="127.0.0.1")
ON_SQLITE = pytest.mark.parametrize("section", ["sqlite"], indirect=True)


def calls_of_many(count: int) -> list[CallReport]:
    """Make calls, one in seven with the party; paths of many lengths, so that pages split."""
    made = []
    for number in range(count):
        src = NUMBER if number % 7 == 0 else f"8952{number * 7919 % 10**7:07}"
        steps = [PathStep(at=BEGIN + timedelta(seconds=step), what="ring", who=src) for step in range(number * 31 % 60)]
        made.append(seed.but(seed.a_call(number, BEGIN - timedelta(minutes=number * 37 % count)), src=src, path=tuple(steps)))
    return made


def with_digits(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and DIGITS in path.read_bytes()]


async def erase(store: Store) -> int:
    return (await erase_subject(store, 1, NUMBER, by=BOSS, now=NOW))[1]


@pytest.fixture
async def service(store: Store, section: StoreSection) -> AsyncIterator[Store]:
    """The running API: another process with open connections."""
    opened = await Store.open(section)
    yield opened
    await opened.close()


@ON_SQLITE
@pytest.mark.parametrize("done", ["by an operator", "by the API", "by age"])
async def test_no_file_of_the_index_has_the_number(store: Store, service: Store, pbx: Pbx, tmp_path: Path, done: str) -> None:
    made = calls_of_many(350)
    for start in range(0, len(made), 50):
        await upsert_calls(service, pbx, made[start : start + 50])
    grown = [seed.but(call, revision=call.revision + 1, path=call.path * 2) for call in made[::5]]
    await upsert_calls(service, pbx, grown)
    assert {"fonoteka.db-wal"} <= set(with_digits(tmp_path))
    if done == "by age":
        async with service.writing() as connection:
            await connection.execute(update(domains).values(retention_days=1, calls_retention_days=1))
        await delete_due(store, NOW + timedelta(days=3), rest=_no_rest)
        vacuum(tmp_path / "fonoteka.db")  # retention leaves the rare cell that was moved
        await store.purge()
    else:
        assert await erase(service if done == "by the API" else store) == 50
    assert with_digits(tmp_path) == []
    async with service.reading() as connection:
        assert (await connection.execute(text("PRAGMA integrity_check"))).scalar() == "ok"


@ON_SQLITE
async def test_what_was_deleted_before_is_found_and_overwritten_too(store: Store, pbx: Pbx, tmp_path: Path) -> None:
    """By an SQLite that leaves deleted rows in its pages; another reader waits for nothing."""
    await upsert_calls(store, pbx, calls_of_many(30))
    with closing(sqlite3.connect(tmp_path / "fonoteka.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.execute("INSERT INTO notes VALUES (?)", [f"of {NUMBER}"])
        connection.execute("DELETE FROM notes")
    assert await erase(store) == 5
    assert with_digits(tmp_path) == []


@ON_SQLITE
async def test_calls_of_other_companies_with_the_number_stay_and_cost_nothing(
    store: Store, pbx: Pbx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of an erasure does not tell whether another company has calls with the number."""
    monkeypatch.setattr("store.database.store.vacuum", lambda _: pytest.fail("the index was written again"))
    first, second, other = seed.a_call(1, BEGIN), seed.a_call(2, BEGIN), seed.a_call(3, BEGIN)
    other = seed.but(other, domain="other", participants=("900",), employee="900", segments=())
    await upsert_calls(store, pbx, [seed.but(first, src=NUMBER), seed.but(other, src=NUMBER), seed.but(second, src="83952201010")])
    assert await erase(store) == 1
    assert with_digits(tmp_path) == ["fonoteka.db"]


async def _no_rest(_: float) -> None:
    """Go on at once."""


def aside(store: Store, key: str, *, days: float = 0) -> Path:
    """Put a file aside under a name, of an age."""
    path = objects_folder(store).root / ".orphaned" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"plain audio")
    old = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (old, old))
    return path


async def key_of(store: Store, call: CallReport) -> str:
    query = select(segments.c.object_key).join(calls, calls.c.id == segments.c.call_id).where(calls.c.linkedid == call.linkedid)
    async with store.reading() as connection:
        return str((await connection.execute(query)).scalar_one())


@pytest.mark.parametrize("is_lost", [False, True], ids=["stored", "lost"])
async def test_an_erasure_reaches_what_verify_has_set_aside(store: Store, pbx: Pbx, is_lost: bool) -> None:
    """And a lost file that came back under its name, with the old disk."""
    erased, held = seed.but(seed.a_call(1, BEGIN), src=NUMBER), seed.but(seed.a_call(2, BEGIN), src=NUMBER)
    for call in (erased, held):
        await take(store, pbx, call)
    await hold(store, held)
    key, held_key = await key_of(store, erased), await key_of(store, held)
    stray = key.replace(".opus", "0.opus")
    gone = [aside(store, name) for name in (key, f"{key}~", f"{key}.peaks.json", stray)]
    kept = [aside(store, name) for name in (held_key, "pbx1/2026/11/22/other.opus")]
    in_place = objects_folder(store).path(stray)
    in_place.write_bytes(b"plain audio")
    uploaded = objects_folder(store).path(key.replace(".opus", "1.opus"))
    uploaded.write_bytes(b"an upload that begins")
    for path in (in_place, objects_folder(store).path(key)):
        os.utime(path, (0, 0))
    if is_lost:
        async with store.writing() as connection:
            await connection.execute(update(segments).where(segments.c.object_key == key).values(object_key=None))
    assert await erase(store) == 1
    assert [path for path in (*gone, in_place, objects_folder(store).path(key)) if path.exists()] == []
    assert all(path.exists() for path in (*kept, uploaded, objects_folder(store).path(held_key)))


# What was set aside; how old it is, and whether it is deleted where audio is kept for 180 days.
AGES: list[tuple[str, float, bool]] = [
    ("pbx1/2026/05/26/a_b_1.opus", 0, True),
    ("pbx1/2026/05/27/a_b_1.opus~", 0, False),
    ("pbx1/2026/05/26/a_b_1.opus.peaks.json", 0, True),
    ("pbx1/2026/02/31/a_b_1.opus", 181, True),
    ("x", 179, False),
    ("x", 181, True),
]


@pytest.mark.parametrize(("name", "days", "deleted"), AGES)
async def test_what_verify_has_set_aside_does_not_outlive_its_period(
    store: Store, pbx: Pbx, name: str, days: float, deleted: bool
) -> None:
    path = aside(store, name, days=days)
    await delete_due(store, NOW, rest=_no_rest)
    assert path.exists() is not deleted


async def test_the_period_is_that_of_the_company_and_a_hold_keeps(store: Store, pbx: Pbx) -> None:
    stored, held = seed.a_call(1, BEGIN), seed.a_call(2, BEGIN)
    for call in (stored, held):
        await take(store, pbx, call)
    await hold(store, held)
    encrypted = aside(store, "pbx1/2026/11/22/unknown.opus")
    key, held_key = await key_of(store, stored), await key_of(store, held)
    encrypted.write_bytes(objects_folder(store).path(key).read_bytes())
    plain, of_held = aside(store, "pbx1/2026/11/22/plain.opus"), aside(store, held_key)
    async with store.writing() as connection:
        await connection.execute(update(domains).where(domains.c.id == 1).values(retention_days=3))
    await expire_set_aside(store, NOW + timedelta(days=5))
    assert [path.exists() for path in (encrypted, plain, of_held)] == [False, True, True]
    query = select(audit.c.domain_id, audit.c.detail).where(audit.c.action == "set_aside_expired")
    async with store.reading() as connection:
        entries = [tuple(row) for row in await connection.execute(query)]
    assert entries == [(1, {"retention_days": 3, "files": ["pbx1/2026/11/22/unknown.opus"]})]
    assert len(object_keys(store)) >= 4
