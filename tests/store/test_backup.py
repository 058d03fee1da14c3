"""`fonoteka backup` and `restore`: what is restored is what was stored."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from fonoteka.cli import subject
from fonoteka.cli.main import app
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from fonoteka.core.naming import peaks_key
from store.backup.backup import make_backup
from store.backup.folder import BackupFolder
from store.backup.restore import restore
from store.database.schema import HAS_AUDIO, calls, segments, sessions
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.integrity.verification import verified
from store.people.accounts import Pbx, log_in
from store.retention.run import delete_due
from tests.data import seed
from tests.store.killed_backup import count_steps, kill_at
from tests.support.stored_objects import objects_folder
from tests.unit.mixer.test_full_disk import small_disk

BEGIN = datetime(2026, 11, 22, tzinfo=UTC)
RECORDINGS = 3
pytestmark = pytest.mark.parametrize("section", ["sqlite"], indirect=True)


async def take(store: Store, pbx: Pbx, number: int, src: str = "89131234567") -> None:
    """Store a call with a recording of about a second."""
    call = seed.but(seed.a_call(number, BEGIN + timedelta(minutes=number)), src=src)
    await upsert_calls(store, pbx, [call])
    await seed.ship(store, pbx, call, (900 + number % 5,))


@pytest.fixture
async def filled(store: Store, pbx: Pbx) -> Store:
    """A store with three recorded calls."""
    for number in range(RECORDINGS):
        await take(store, pbx, number)
    return store


def elsewhere(section: StoreSection, folder: Path) -> StoreSection:
    """Return the settings of a store in another folder, which has the master key."""
    folder.mkdir()
    shutil.copy2(section.objects.removeprefix("file://").removesuffix("objects") + "master.key", folder)
    return seed.section(folder)


@asynccontextmanager
async def restored(section: StoreSection, target: Path, folder: Path) -> AsyncIterator[Store]:
    """Restore a backup into an empty folder, and yield the store: nothing is wrong with it."""
    there = elsewhere(section, folder)
    _, damaged = await restore(there, target)
    assert damaged == []
    store = await Store.open(there)
    try:
        for path in objects_folder(store).root.rglob("*.opus*"):
            os.utime(path, (0, 0))  # older than any upload, so that files without a row are found too
        assert (await verified(store)).found == ()
        assert not list(folder.glob("*restoring*")) and not list((folder / "objects/.incoming").iterdir())
        yield store
    finally:
        await store.close()


async def content(store: Store) -> dict[str, bytes]:
    """Return the plain content of all objects of the index, by key."""
    async with store.reading() as connection:
        keys = (await connection.execute(select(segments.c.object_key).where(HAS_AUDIO))).scalars().all()
    return {key: await store.objects.read(key) for audio in keys for key in (audio, peaks_key(audio))}


def files(target: Path) -> set[str]:
    """Return the names of all objects in a backup, without their checksums."""
    objects = target / "objects"
    return {path.relative_to(objects).as_posix().rpartition(".")[0] for path in objects.rglob("*") if path.is_file()}


async def test_what_was_stored_is_restored(filled: Store, section: StoreSection, tmp_path: Path) -> None:
    """Sessions are not: one that was ended after the backup would be open again."""
    now = datetime.now(UTC)
    assert await log_in(filled, "acme", "152", seed.PASSWORD, now, address="192.0.2.1", device="", origins=[]) is not None
    made = make_backup(section, target := tmp_path / "backup")
    assert (made.copied, made.summary.recordings, made.lost) == (2 * RECORDINGS, RECORDINGS, ())
    async with restored(section, target, tmp_path / "new") as new:
        assert await content(new) == await content(filled)
        async with new.reading() as connection:
            assert (await connection.execute(select(func.count()).select_from(sessions))).scalar_one() == 0
    async with filled.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(sessions))).scalar_one() == 1


@pytest.mark.parametrize("size", [None, 0, 30], ids=["missing", "empty", "cut"])
async def test_a_damaged_list_is_written_again_by_the_next_backup(
    filled: Store, section: StoreSection, tmp_path: Path, size: int | None
) -> None:
    first = make_backup(section, target := tmp_path / "backup").summary.list
    if size is None:
        (target / first.name).unlink()
    else:
        os.truncate(target / first.name, size)
    assert make_backup(section, target).copied == 2 * RECORDINGS
    async with restored(section, target, tmp_path / "new") as new:
        assert await content(new) == await content(filled)


async def test_the_next_backup_copies_what_is_new_and_drops_what_was_deleted(
    filled: Store, pbx: Pbx, section: StoreSection, tmp_path: Path
) -> None:
    """An erased number is in no file of the backup."""
    await take(filled, pbx, 10, src="89990001122")
    first = make_backup(section, target := tmp_path / "backup")
    assert first.copied == 2 * RECORDINGS + 2
    _, erased = await subject.erase(Configuration(store=section), "acme", "89990001122")
    await take(filled, pbx, 11)
    second = make_backup(section, target)
    assert (erased, second.copied, second.dropped) == (1, 2, 2)
    assert files(target) == set(await content(filled))
    kept = [path for path in target.rglob("*") if path.is_file()]
    assert len(kept) == 2 * (RECORDINGS + 1) + 4  # backup.json, index, list, .lock
    assert [path for path in kept if b"9990001122" in path.read_bytes()] == []
    assert make_backup(section, target, verify_all=True).copied == 0
    await delete_due(filled, BEGIN + timedelta(days=400))
    assert make_backup(section, target).dropped == 2 * (RECORDINGS + 1)
    async with restored(section, target, tmp_path / "new") as new:
        assert await content(new) == {}


async def test_unused_pages_of_the_index_are_not_in_the_backup(filled: Store, section: StoreSection, tmp_path: Path) -> None:
    """SQLite leaves deleted rows in them where it was built without SECURE_DELETE."""
    with closing(sqlite3.connect(tmp_path / "fonoteka.db")) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.execute("INSERT INTO notes VALUES ('a secret')")
        connection.commit()
        connection.execute("DELETE FROM notes")
        connection.commit()
    made = make_backup(section, target := tmp_path / "backup")
    assert b"a secret" in (tmp_path / "fonoteka.db").read_bytes() + (tmp_path / "fonoteka.db-wal").read_bytes()
    assert b"a secret" not in (target / made.summary.index.name).read_bytes()


async def test_calls_that_go_on_and_erasures_meanwhile(filled: Store, pbx: Pbx, section: StoreSection, tmp_path: Path) -> None:
    """Every row has its audio; a call that is erased after the index was copied is in neither."""
    await take(filled, pbx, 900, src="89990001122")
    configuration, written, ended = Configuration(store=section), 0, asyncio.Event()

    async def write() -> None:
        nonlocal written
        while not ended.is_set():
            await take(filled, pbx, 100 + written)
            written += 1

    def erase(done: int, total: int) -> None:
        if done == 1:
            asyncio.run(subject.erase(configuration, "acme", "89990001122"))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        made = await asyncio.to_thread(make_backup, section, target := tmp_path / "backup", progress=erase)
        ended.set()
    assert written > 0 and made.lost == ()
    async with restored(section, target, tmp_path / "new") as new:
        kept, now = await content(new), await content(filled)
        assert kept.items() <= now.items() and len(kept) == 2 * made.summary.recordings >= 2 * RECORDINGS
        async with new.reading() as connection:
            assert "89990001122" not in (await connection.execute(select(calls.c.src))).scalars().all()


async def killed(section: StoreSection, store: Store, pbx: Pbx, folder: Path, kills: int) -> tuple[int, dict[str, int]]:
    """Kill a second backup at random steps; each time restore what there is, and finish it."""
    make_backup(section, former := folder / "former")
    before = await content(store)
    await subject.erase(Configuration(store=section), "acme", "89990001122")
    await take(store, pbx, 50)
    after = await content(store)
    assert before.keys() - after.keys() and after.keys() - before.keys()
    shutil.copytree(former, folder / "counted")
    steps = await count_steps(section, folder / "counted", folder / "steps")
    found = {"former": 0, "new": 0}
    for number, step in enumerate(sorted(Random(31).sample(range(1, steps + 1), kills))):  # noqa: S311 (no secret)
        shutil.copytree(former, target := folder / f"killed-{number}")
        await kill_at(step, section, target, folder / "steps")
        async with restored(section, target, folder / f"restored-{number}") as new:
            restored_now = await content(new)
        assert restored_now in (before, after)
        found["former" if restored_now == before else "new"] += 1
        assert make_backup(section, target).lost == ()
        assert files(target) == set(after) and len(list(target.glob("*-*"))) == 2
        shutil.rmtree(target)
        shutil.rmtree(folder / f"restored-{number}")
    return steps, found


async def test_killed_at_any_step_the_former_backup_is_usable(
    filled: Store, pbx: Pbx, section: StoreSection, tmp_path: Path
) -> None:
    await take(filled, pbx, 10, src="89990001122")
    _, found = await killed(section, filled, pbx, tmp_path, kills=3)
    assert found["former"] > 0


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_killed_fifty_times(filled: Store, pbx: Pbx, section: StoreSection, tmp_path: Path) -> None:
    await take(filled, pbx, 10, src="89990001122")
    steps, found = await killed(section, filled, pbx, tmp_path, kills=50)
    assert min(found.values()) > 0
    print(f"\nbackup: 50 kills at {steps} steps; restored was: {found}")


async def test_on_another_disk_files_are_copied_and_a_full_one_keeps_the_former(
    filled: Store, pbx: Pbx, section: StoreSection, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "3m") as disk:
        made = make_backup(section, target := disk / "backup")
        path = next(target.glob("objects/**/*.opus.*"))
        assert made.copied == 2 * RECORDINGS and path.stat().st_nlink == 1 and path.stat().st_mode & 0o077 == 0
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 200_000))
        await take(filled, pbx, 10)
        with pytest.raises(StoreError, match="full"):
            make_backup(section, target)
        async with restored(section, target, tmp_path / "new") as new:
            assert len(await content(new)) == 2 * RECORDINGS
        (disk / "filler").unlink()
        assert make_backup(section, target).copied == 2


async def test_damage_is_found_before_anything_is_written(filled: Store, section: StoreSection, tmp_path: Path) -> None:
    make_backup(section, target := tmp_path / "backup", verify_all=True)
    folder = BackupFolder(target)
    summary = folder.summary()
    assert summary is not None
    altered, lost, _ = list(folder.recordings(summary.list.name))
    path = folder.path(altered.key, altered.audio)
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1
    path.unlink()  # it is a link to the object
    path.write_bytes(damaged)
    folder.path(lost.key, lost.audio).unlink()
    there = elsewhere(section, tmp_path / "new")
    _, found = await restore(there, target)
    assert found == [f"{altered.key}: has other bytes than were written", f"{lost.key}: is missing"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["master.key"]
    await restore(there, target, without_damaged=True)
    assert (tmp_path / "new" / "fonoteka.db").exists() and not (tmp_path / "new/objects" / lost.key).exists()
    # The next backup looks for what is missing; with verify_all it reads everything.
    assert (make_backup(section, target).copied, make_backup(section, target, verify_all=True).copied) == (1, 1)
    (target / summary.index.name).unlink(missing_ok=True)
    for index in target.glob("index-*"):
        index.write_bytes(index.read_bytes()[:-1] + b"x")
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(StoreError, match="not what was written"):
        await restore(elsewhere(section, tmp_path / "new"), target)


async def test_what_the_store_has_lost_stays_in_the_backup(filled: Store, section: StoreSection, tmp_path: Path) -> None:
    make_backup(section, target := tmp_path / "backup")
    key = next(key for key in await content(filled) if key.endswith(".opus"))
    before = await content(filled)
    objects_folder(filled).path(key).unlink()
    assert make_backup(section, target).lost == (key,)
    async with restored(section, target, tmp_path / "new") as new:
        assert await content(new) == before


async def test_refusals(filled: Store, section: StoreSection, tmp_path: Path) -> None:
    """Nothing is written over: not a store, not another folder, not the backup of another store."""
    target = tmp_path / "backup"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="not empty"):
        make_backup(section, tmp_path / "other")
    with pytest.raises(ConfigurationError, match="inside"):
        make_backup(section, tmp_path / "objects" / "backup")
    with pytest.raises(ConfigurationError, match="there is no index"):
        make_backup(seed.section(tmp_path / "nowhere"), target)
    assert not (tmp_path / "nowhere").exists() and not target.exists()
    with pytest.raises(ConfigurationError, match="not a backup"):
        await restore(seed.section(tmp_path / "nowhere"), target)
    make_backup(section, target)
    with pytest.raises(ConfigurationError, match="exists"):
        await restore(section, target)
    with pytest.raises(ConfigurationError, match=r"master\.key' is missing"):
        await restore(seed.section(tmp_path / "nowhere"), target)
    assert not (tmp_path / "nowhere").exists()
    there = elsewhere(section, tmp_path / "second")
    await restore(there, target)
    with pytest.raises(ConfigurationError, match="is a backup of"):
        make_backup(there, target)
    with filled.objects.replacing(), pytest.raises(ConfigurationError, match="after its end"):
        make_backup(section, target)


@pytest.mark.parametrize("with_keys", [False, True])
async def test_the_commands(filled: Store, section: StoreSection, tmp_path: Path, with_keys: bool) -> None:
    """The keys are in the backup only if they are asked for."""
    configuration, target = tmp_path / "fonoteka.toml", tmp_path / "backup"
    configuration.write_text(f'[store]\ndatabase = "{section.database}"\nobjects = "{section.objects}"\n', encoding="utf-8")
    new = str(tmp_path / "new")
    other = configuration.read_text(encoding="utf-8").replace(str(tmp_path), new)

    def run(command: str, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, [command, str(target), *arguments], standalone_mode=False)
        assert result.exception is None or isinstance(result.exception, ConfigurationError), result.exception
        return result.return_value, result.output

    code, output = await asyncio.to_thread(run, "backup", "--config", str(configuration), *(["--with-keys"] if with_keys else []))
    assert code == 0 and "the index and 3 recordings" in output
    assert ("not in the backup: master key" in output) is not with_keys
    key = (tmp_path / "master.key").read_bytes().strip()
    assert any(key in path.read_bytes() for path in target.rglob("*") if path.is_file()) is with_keys
    configuration.write_text(other, encoding="utf-8")
    code, output = await asyncio.to_thread(run, "restore", "--config", str(configuration))
    assert ((tmp_path / "new" / "fonoteka.db").exists(), code == 0 and "restored:" in output) == (with_keys, with_keys)


async def test_an_index_of_which_a_page_is_damaged(filled: Store, section: StoreSection, tmp_path: Path) -> None:
    """It is not taken for a backup; the former one stays."""
    make_backup(section, target := tmp_path / "backup")
    await filled.close()
    index = tmp_path / "fonoteka.db"
    with closing(sqlite3.connect(index)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'pbxs'")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM pbxs")
        connection.commit()
    with pytest.raises(StoreError, match="names a missing row of pbxs"):
        make_backup(section, target)
    async with restored(section, target, tmp_path / "new") as new:
        assert len(await content(new)) == 2 * RECORDINGS
