"""The backup of a store on PostgreSQL, by the tools that the operator's guide names."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError
from store.backup.backup import make_backup
from store.database.store import Store
from store.integrity.verification import verified
from store.people.accounts import Pbx
from tests.store.test_backup import RECORDINGS, content, take
from tests.support.new_stores import create_database
from tests.support.postgresql import BINARIES
from tests.support.stored_objects import objects_folder


@pytest.mark.parametrize("section", ["postgresql"], indirect=True)
async def test_postgresql_by_its_own_tools(store: Store, pbx: Pbx, section: StoreSection, tmp_path: Path, postgresql: str) -> None:
    """The objects, the dump, the objects again, while calls are stored."""
    for number in range(RECORDINGS):
        await take(store, pbx, number)
    target, written, ended = tmp_path / "backup", 0, asyncio.Event()
    with pytest.raises(ConfigurationError, match="pg_dump"):
        make_backup(section, target)
    assert not target.exists()
    target.mkdir()

    async def write() -> None:
        nonlocal written
        while not ended.is_set():
            await take(store, pbx, 100 + written)
            written += 1

    async def run(*command: str) -> None:
        await asyncio.to_thread(subprocess.run, command, check=True)

    objects = ("cp", "-a", f"{objects_folder(store).root}/.", str(target / "objects"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        await run(*objects)
        await run(str(BINARIES / "pg_dump"), "--format=custom", f"--file={target / 'index.dump'}", section.database)
        await run(*objects)
        ended.set()
    assert written > 0
    new = StoreSection(database=f"{postgresql}/restored", objects=f"file://{tmp_path}/new/objects")
    await create_database(postgresql, "restored", "template0")
    await run(str(BINARIES / "pg_restore"), f"--dbname={new.database}", "--exit-on-error", str(target / "index.dump"))
    (tmp_path / "new").mkdir()
    await run("cp", "-a", str(target / "objects"), str(tmp_path / "new" / "objects"))
    shutil.copy2(tmp_path / "master.key", tmp_path / "new")
    restored = await Store.open(new)
    try:
        assert (await verified(restored)).found == ()
        kept = await content(restored)
        assert len(kept) >= 2 * RECORDINGS and kept.items() <= (await content(store)).items()
    finally:
        await restored.close()
