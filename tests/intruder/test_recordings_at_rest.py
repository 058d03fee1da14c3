"""Recordings on the disk: who has which files, what is tried, and what is got."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, ObjectDamaged
from fonoteka.core.naming import call_id, peaks_key
from store.database.schema import segments
from store.database.store import Store
from store.encryption.master_key import LocalMasterKey
from store.people.accounts import Pbx
from tests.api.conftest import Site, ship
from tests.data import seed
from tests.intruder.on_both_databases import AUDIO, BEGIN, LENGTH_MS, shipped, site
from tests.support.stored_objects import objects_folder

__all__ = ["site"]

# What only plain recordings and their converted copies have: signatures, and pieces of the content.
PLAIN = (b"OggS", b"OpusHead", b"RIFF", b"Xing", b"Lavf", b'"left"', AUDIO[2000:2016])


async def objects(store: Store) -> list[Any]:
    async with store.reading() as connection:
        return list((await connection.execute(select(segments).order_by(segments.c.id))).all())


async def test_a_thief_of_the_disk_finds_nothing_plain(site: Site, tmp_path: Path) -> None:
    """Also after recordings were heard, converted and exported, and while a copy is kept."""
    async with site.client(seed.PBX_TOKEN) as agent:
        audio = await shipped(agent, 1)
    async with await site.log_in("900") as boss:
        for asked in (audio, f"{audio}?format=wav", f"{audio}?format=mp3", audio.replace("/audio", "/peaks")):
            assert (await boss.get(asked)).status_code == 200
        archive = await boss.get("/api/calls.zip?from=2026-11-22&to=2026-11-23")
        assert AUDIO in archive.content
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != tmp_path]
    assert {path.relative_to(tmp_path).parts[0] for path in files} == {"objects", "objects-cache"}
    found = {path.name: piece for path in files for piece in PLAIN if piece in path.read_bytes()}
    assert found == {}


async def test_a_user_hears_what_is_encrypted_from_any_place(site: Site) -> None:
    """Ranges are those of the plain recording, of one that has several chunks too."""
    long_ms = 200_000
    content = seed.tone(long_ms)
    async with site.client(seed.PBX_TOKEN) as agent:
        await shipped(agent, 1)
        call = seed.a_call(2, BEGIN, talk_ms=long_ms)
        await ship(agent, call, long_ms)
    path = f"/api/calls/{call_id('pbx1', call.linkedid)}/audio"
    size = len(content)
    assert size > 3 * 65536
    async with await site.log_in("152") as user:
        for first, last in ((0, size - 1), (0, 0), (65535, 65536), (65536, 131071), (100_000, size - 1), (size - 1, size - 1)):
            answer = await user.get(path, headers={"Range": f"bytes={first}-{last}"})
            assert (answer.status_code, answer.headers["content-range"]) == (206, f"bytes {first}-{last}/{size}")
            assert answer.content == content[first : last + 1]


def without_key(folder: Path) -> None:
    (folder / "master.key").unlink()


def with_own_key(folder: Path) -> None:
    (folder / "master.key").write_text(LocalMasterKey.generate().text)


def with_own_key_also_in_the_index(folder: Path) -> None:
    """The index says that the thief's key is the right one."""
    own = LocalMasterKey.generate()
    (folder / "master.key").write_text(own.text)
    index = sqlite3.connect(folder / "fonoteka.db")
    index.execute("UPDATE encryption SET master_key_id = ?", (own.id,))
    index.commit()
    index.close()


# What a thief has besides the index and the objects, and the error that is got instead of audio.
THIEVES: dict[str, tuple[Callable[[Path], None], type[Exception]]] = {
    "no key": (without_key, ConfigurationError),
    "a key of one's own": (with_own_key, ConfigurationError),
    "a key of one's own, and an index that names it": (with_own_key_also_in_the_index, Exception),
}


@pytest.mark.parametrize(("prepare", "error"), THIEVES.values(), ids=THIEVES)
async def test_index_and_objects_give_nothing_without_the_master_key(
    tmp_path: Path, prepare: Callable[[Path], None], error: type[Exception]
) -> None:
    folder, stolen = tmp_path / "own", tmp_path / "stolen"
    store = await Store.open(seed.section(folder), sweep=True)
    await seed.ship(store, await seed.seed(store, count=0), seed.a_call(1, BEGIN), (LENGTH_MS,))
    (row,) = await objects(store)
    await store.close()
    shutil.copytree(folder, stolen)
    prepare(stolen)
    with pytest.raises(error, match=r"master key"):
        store = await Store.open(seed.section(stolen))
        try:
            await store.objects.read(row.object_key)
        finally:
            await store.close()


def swapped(first: Path, second: Path) -> None:
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def copied(first: Path, second: Path) -> None:
    first.write_bytes(second.read_bytes())


def cut(first: Path, _: Path) -> None:
    content = first.read_bytes()
    first.write_bytes(content[: len(content) // 2])


def flipped(first: Path, _: Path) -> None:
    content = bytearray(first.read_bytes())
    content[-100] ^= 1
    first.write_bytes(content)


def spliced(first: Path, second: Path) -> None:
    """The header and the beginning of one, the rest of the other."""
    first.write_bytes(first.read_bytes()[:150] + second.read_bytes()[150:])


ALTERED = {"two swapped": swapped, "another in its place": copied, "cut": cut, "a bit": flipped, "spliced": spliced}


@pytest.mark.parametrize("what", ["audio", "peaks", "of another company"])
async def test_who_writes_to_the_disk_cannot_pass_off_a_recording(store: Store, pbx: Pbx, what: str) -> None:
    """`of another company`: the second recording is of another domain."""
    first = seed.a_call(1, BEGIN)
    second = seed.but(seed.a_call(2, BEGIN), segments=(seed.but(seed.a_call(2, BEGIN).segments[0], user="900"),))
    if what == "of another company":
        second = seed.but(second, domain="other", employee="900", participants=("900",))
    for call in (first, second):
        await seed.ship(store, pbx, call, (LENGTH_MS,))
    names = [row.object_key if what != "peaks" else peaks_key(row.object_key) for row in await objects(store)]
    paths = [objects_folder(store).path(name) for name in names]
    right = [path.read_bytes() for path in paths]
    for alter in ALTERED.values():
        alter(*paths)
        with pytest.raises(ObjectDamaged):
            await store.objects.read(names[0])
        for path, content in zip(paths, right, strict=True):
            path.write_bytes(content)
    await store.objects.read(names[0])


async def test_two_companies_have_two_keys(store: Store, section: StoreSection, pbx: Pbx) -> None:
    first, second = [await store.keys.current(domain_id) for domain_id in (1, 2)]
    assert first is not None and second is not None and first.secret != second.secret
