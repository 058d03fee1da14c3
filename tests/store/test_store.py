"""Opening a store; its objects and PBXs."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ChecksumWrong, ConfigurationError
from store.database.store import Store
from store.encryption.data_key import MemoryKey
from store.objects.folder import ObjectFolder, folder_of
from store.people.accounts import add_pbx, ensure_pbx, pbx_of, renew_token
from store.provisioning.directory import version_of
from tests.data import seed


async def test_opening_again_migrates_nothing_and_keeps_everything(store: Store, section: StoreSection) -> None:
    await seed.seed(store, count=0)
    version = await version_of(store)
    again = await Store.open(section)
    try:
        assert await version_of(again) == version > 1
    finally:
        await again.close()


async def test_sqlite_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    store = await Store.open(seed.section(tmp_path))
    try:
        async with store.reading() as connection:
            pragmas = [
                (await connection.execute(text(f"PRAGMA {name}"))).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert pragmas == ["wal", 2, 1]
    finally:
        await store.close()


CANNOT_BE_OPENED = [
    ("mysql://root:secret@host/x", "file:///tmp/x", "store.database must begin with sqlite:/// or postgresql://"),
    ("sqlite://", "file:///tmp/x", "name a file"),
    ("sqlite:////proc/nowhere/x.db", "file:///tmp/x", "store.database: the folder '/proc/nowhere' cannot be made"),
    ("postgresql://me:secret@127.0.0.1:1/x", "file:///tmp/x", "store.database cannot be opened"),
    ("sqlite:///{tmp}/x.db", "file:///proc/nowhere", "store.objects = 'file:///proc/nowhere' cannot be written"),
    ("sqlite:///{tmp}/x.db", "ftp://host/x", "store.objects = 'ftp://host/x': must be file://"),
]


@pytest.mark.parametrize(("database", "objects", "words"), CANNOT_BE_OPENED)
async def test_what_cannot_be_opened_says_why_in_one_line(tmp_path: Path, database: str, objects: str, words: str) -> None:
    section = StoreSection(database=database.format(tmp=tmp_path), objects=objects)
    with pytest.raises(ConfigurationError) as error:
        await Store.open(section)
    message = str(error.value)
    assert words in message and "\n" not in message and "secret" not in message


@pytest.mark.parametrize(
    ("objects", "folder"),
    [
        ("file:///var/lib/x", Path("/var/lib/x")),
        ("file:///var/lib/a%20b", Path("/var/lib/a b")),
        ("file://fonoteka-data/objects", Path.cwd() / "fonoteka-data/objects"),
    ],
)
def test_the_folder_of_objects(objects: str, folder: Path) -> None:
    assert folder_of(objects) == folder


async def test_unfinished_writes_are_swept_at_start_and_whole_objects_stay(tmp_path: Path) -> None:
    folder = ObjectFolder(tmp_path, MemoryKey())
    folder.prepare(sweep=True)
    await folder.put_bytes("pbx1/2026/11/22/x.opus", b"whole", data_key=None)
    on_its_way, orphan = (tmp_path / ".incoming" / name for name in ("on-its-way", "orphan"))
    for path, age_s in ((on_its_way, 23 * 3600), (orphan, 25 * 3600)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age_s,) * 2)
    folder.prepare(sweep=False)
    assert orphan.exists()
    folder.prepare(sweep=True)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {tmp_path / "pbx1/2026/11/22/x.opus", on_its_way}
    assert await folder.read("pbx1/2026/11/22/x.opus") == b"whole"


async def test_replicas_that_start_at_once_check_the_same_folder(tmp_path: Path) -> None:
    """In containers, all of them are process 1."""
    folders = [ObjectFolder(tmp_path, MemoryKey()) for _ in range(8)]
    for _ in range(25):
        await asyncio.gather(*(asyncio.to_thread(one.prepare, sweep=True) for one in folders))
    assert list((tmp_path / ".incoming").iterdir()) == []


async def test_a_transfer_that_breaks_off_leaves_the_old_object(tmp_path: Path) -> None:
    folder = ObjectFolder(tmp_path, MemoryKey())
    folder.prepare(sweep=True)
    await folder.put_bytes("x.opus", b"whole", data_key=None)

    async def broken() -> AsyncIterator[bytes]:
        yield b"new"
        raise EOFError

    with pytest.raises(EOFError):
        await folder.put("x.opus", broken(), sha256="0" * 64, size_bytes=9, data_key=None)
    with pytest.raises(ChecksumWrong):
        await folder.put("x.opus", aiter_of(b"new"), sha256="0" * 64, size_bytes=3, data_key=None)
    assert await folder.read("x.opus") == b"whole"
    assert list((tmp_path / ".incoming").iterdir()) == []


async def aiter_of(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.mark.parametrize("name", ["", "a b", "a/b", "я", "x" * 65, "a\0", "a\n"])
async def test_a_pbx_is_registered_only_under_a_name_it_can_have(store: Store, name: str) -> None:
    with pytest.raises(ConfigurationError, match="letters, digits"):
        await add_pbx(store, name, None)
    with pytest.raises(ConfigurationError, match="letters, digits"):
        await ensure_pbx(store, name, "token")


async def test_files_are_readable_by_the_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = await Store.open(seed.section(tmp_path), sweep=True)
        pbx = await seed.seed(store, count=0)
        call = seed.a_call(1, datetime(2026, 11, 22, tzinfo=UTC))
        await seed.ship(store, pbx, call, (1000,))
        modes = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
        await store.close()
    finally:
        os.umask(before)
    assert modes["objects"] == 0o700  # protects the files below
    files = {name: mode for name, mode in modes.items() if "." in Path(name).name and not name.endswith(".incoming")}
    assert set(files.values()) == {0o600} and {"fonoteka.db", "fonoteka.db-wal", "fonoteka.db-shm"} < set(files), files


async def test_a_pbx_is_authenticated_by_its_token(store: Store) -> None:
    token = await add_pbx(store, "pbx1", None)
    with pytest.raises(ConfigurationError, match="registered already"):
        await add_pbx(store, "pbx1", None)
    pbx = await pbx_of(store, token)
    assert pbx is not None and pbx.name == "pbx1"
    await ensure_pbx(store, "pbx1", "given")
    await ensure_pbx(store, "pbx1", "given")
    assert await pbx_of(store, "given") == pbx
    assert await pbx_of(store, token) is None


async def test_a_new_token_of_a_pbx_ends_the_former_one(store: Store) -> None:
    former, other = await add_pbx(store, "pbx1", None), await add_pbx(store, "pbx2", None)
    pbx = await pbx_of(store, former)
    renewed = await renew_token(store, "pbx1")
    assert await pbx_of(store, renewed) == pbx
    assert await pbx_of(store, former) is None and await pbx_of(store, other) is not None
    with pytest.raises(ConfigurationError, match="no PBX 'nobody'"):
        await renew_token(store, "nobody")
