"""`fonoteka keys encrypt-existing` and `rotate`, killed at any step and run again."""

import asyncio
import shutil
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from sqlalchemy import select

from fonoteka.core.naming import peaks_key
from store.database.schema import domain_keys, encryption, segments
from store.database.store import Store
from store.encryption.encrypted_file import HEADER_BYTES, Header, parse_header
from tests.data import seed
from tests.store.killed_rekeying import Steps, run

BEGIN = datetime(2026, 11, 22, tzinfo=UTC)
RECORDINGS = 4
LENGTH_MS = 1000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store from before recordings were encrypted."""
    folder = tmp_path_factory.mktemp("plain")
    store = await Store.open(seed.section(folder))
    pbx = await seed.seed(store, count=0)
    for number in range(RECORDINGS):
        await seed.ship(store, pbx, seed.a_call(number, BEGIN), (LENGTH_MS + number,))
    await store.close()
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def encrypted(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, encrypted."""
    folder = tmp_path_factory.mktemp("encrypted")
    shutil.copytree(plain, folder, dirs_exist_ok=True)
    assert await run(folder, "encrypt_existing") == 0
    return folder


async def headers(folder: Path) -> list[Header | None]:
    """Read every recording and its peaks as the API does; return the headers of their files."""
    store, found = await Store.open(seed.section(folder)), list[Header | None]()
    try:
        async with store.reading() as connection:
            rows = (await connection.execute(select(segments).order_by(segments.c.id))).all()
        assert len(rows) == RECORDINGS
        for row in rows:
            content = await store.objects.read(row.object_key)
            assert seed.mixed_of(content, row.duration_ms).sha256 == row.sha256
            assert await store.objects.read(peaks_key(row.object_key)) == seed.peaks(row.duration_ms)
            files = (store.objects.path(key) for key in (row.object_key, peaks_key(row.object_key)))
            found += [parse_header(file.read_bytes()[:HEADER_BYTES]) for file in files]
    finally:
        await store.close()
    return found


async def check_complete(folder: Path) -> None:
    """Everything is under the one key that is left, and nothing else is on the disk."""
    versions = {header.version if header else None for header in await headers(folder)}
    store = await Store.open(seed.section(folder))
    async with store.reading() as connection:
        keys = (await connection.execute(select(domain_keys.c.version))).scalars().all()
        of_rows = set((await connection.execute(select(segments.c.key_version))).scalars())
        assert (await connection.execute(select(encryption.c.rotation_began_at))).scalars().all() == [None]
    await store.close()
    assert len(keys) == 1 and versions == of_rows == set(keys)
    assert list((folder / "objects" / ".incoming").glob("replaced-*")) == []


async def kill(folder: Path, work: str, step: int) -> None:
    """Run the work in a process that dies at a step."""
    arguments = ("-m", "tests.store.killed_rekeying", str(folder), work, str(step))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    assert await process.wait() == -9


async def number_of_steps(given: Path, folder: Path, work: str, monkeypatch: pytest.MonkeyPatch) -> int:
    shutil.copytree(given, folder)
    steps = Steps()
    with monkeypatch.context() as patch:
        steps.install(patch.setattr)
        assert await run(folder, work) == 0
    steps.remove()
    await check_complete(folder)
    return steps.taken


async def killed(given: Path, folder: Path, work: str, steps: list[int]) -> Counter[str]:
    """Kill the work at each of the steps, each time of a new copy; count what was found."""
    found = Counter[str]()
    for number, step in enumerate(steps):
        copy = folder / str(number)
        shutil.copytree(given, copy)
        await kill(copy, work, step)
        versions = {header.version if header else 0 for header in await headers(copy)}
        found["half way" if len(versions) > 1 else "before or after"] += 1
        assert await run(copy, work) == 0
        await check_complete(copy)
        shutil.rmtree(copy)
    return found


@pytest.mark.parametrize(("work", "kills"), [("encrypt_existing", 2), ("rotate", 3)])
async def test_killed_and_run_again_it_is_complete(
    plain: Path, encrypted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str, kills: int
) -> None:
    """All recordings can be read between the kill and the second run, too."""
    given = plain if work == "encrypt_existing" else encrypted
    steps = await number_of_steps(given, tmp_path / "measured", work, monkeypatch)
    chosen = Random(25).sample(range(1, steps + 1), kills)  # noqa: S311 (no secret)
    await killed(given, tmp_path / "killed", work, chosen)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("work", ["encrypt_existing", "rotate"])
async def test_killed_fifty_times(plain: Path, encrypted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    given = plain if work == "encrypt_existing" else encrypted
    steps = await number_of_steps(given, tmp_path / "measured", work, monkeypatch)
    chosen = [1 + number * (steps - 1) // 49 for number in range(50)]
    found = await killed(given, tmp_path / "killed", work, chosen)
    print(f"\n{work}: {sum(found.values())} kills at {len(set(chosen))} of {steps} steps: {dict(found)}")
