"""Encryption at rest: new and existing stores, rotation, the master key, removed domains."""

import asyncio
import errno
import fcntl
import os
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, IntakeDeferred, IntakeRefused, ObjectDamaged, ObjectMissing, StoreError
from fonoteka.core.naming import peaks_key
from store import rekeying
from store.database.domain_keys import destroy_old_versions
from store.database.schema import audit, calls, domain_keys, encryption, segments
from store.database.store import Store
from store.encryption.data_key import DataKey
from store.encryption.encrypted_file import HEADER_BYTES, parse_header
from store.encryption.master_key import LocalMasterKey, MasterKeySource
from store.intake.intake import store_recording
from store.objects import folder
from store.people.accounts import Pbx
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data import seed
from tests.store.test_intake import AUDIO, BEGIN, take
from tests.support.eventually import eventually
from tests.support.stored_objects import objects_folder, stored_bytes

CALLS = [seed.a_call(number, BEGIN) for number in range(3)]
WITHOUT_ACME = parse_directory('[[domain]]\nname = "other"\ntitle = "x"\ntimezone = "Europe/Moscow"\n', source="test")
PEAKS = seed.peaks(5000)


@pytest.fixture
async def older(section: StoreSection) -> AsyncIterator[Store]:
    """A store from before recordings were encrypted: it has calls, and is not the API's."""
    opened = await Store.open(section)
    pbx = await seed.seed(opened, count=0)
    for call in CALLS:
        await take(opened, pbx, call)
    yield opened
    await opened.close()


async def stored(store: Store) -> list[Any]:
    async with store.reading() as connection:
        return list((await connection.execute(select(segments).order_by(segments.c.id))).all())


async def versions(store: Store) -> list[int | None]:
    """The key versions of all recordings and peaks, as they are on the disk; each can be read."""
    found: list[int | None] = []
    for row in await stored(store):
        assert await store.objects.read(row.object_key) == AUDIO
        assert await store.objects.read(peaks_key(row.object_key)) == PEAKS
        for key in (row.object_key, peaks_key(row.object_key)):
            header = parse_header((await stored_bytes(store, key))[:HEADER_BYTES])
            found.append(header.version if header is not None else None)
        assert row.key_version == found[-1] == found[-2]
        assert (row.sha256, row.size_bytes) == (seed.mixed_of(AUDIO, 5000).sha256, len(AUDIO)), "of the plain content"
    return found


async def keys(store: Store) -> list[tuple[int, int]]:
    async with store.reading() as connection:
        rows = await connection.execute(select(domain_keys.c.domain_id, domain_keys.c.version).order_by(*domain_keys.primary_key))
        return [(row.domain_id, row.version) for row in rows]


@pytest.mark.one_machine
async def test_a_new_store_encrypts(store: Store, pbx: Pbx) -> None:
    await take(store, pbx, CALLS[0])
    assert await versions(store) == [1, 1]
    files = [path for path in objects_folder(store).root.rglob("*.*") if path.is_file()]
    assert len(files) == 2
    for file in files:
        assert not any(piece in file.read_bytes() for piece in (b"OggS", b"OpusHead", b"per_second", AUDIO[100:116]))
    key_file = store.keys.source.file
    assert (key_file.name, key_file.stat().st_mode & 0o777, len(key_file.read_bytes())) == ("master.key", 0o600, 45)
    async with store.reading() as connection:
        (row,) = (await connection.execute(select(domain_keys))).all()
    assert LocalMasterKey.parse(key_file.read_text()).text not in row.wrapped


async def test_an_existing_store_is_encrypted_when_somebody_asks_for_it(older: Store, section: StoreSection) -> None:
    """The service runs meanwhile: it reads everything, and encrypts from then on."""
    service, progress = await Store.open(section, sweep=True), list[tuple[int, int]]()
    try:
        assert await service.keys.state() is None and not service.keys.source.file.exists()
        assert await versions(service) == [None] * 6
        assert await rekeying.encrypt_existing(older, lambda step: progress.append((step.done, step.total))) == 0
        assert progress == [(1, 3), (2, 3), (3, 3)]
        assert await versions(service) == [1] * 6
        pbx = Pbx(id=1, name="pbx1")
        await take(service, pbx, seed.a_call(9, BEGIN))
        assert await versions(older) == [1] * 8
        assert await rekeying.encrypt_existing(older, lambda _: pytest.fail("nothing is left to do")) == 0
        assert [(domain.name, domain.encrypted, domain.plain) for domain in await rekeying.status(older)] == [("acme", 4, 0)]
    finally:
        await service.close()


async def test_keys_are_rotated_while_the_service_runs(store: Store, pbx: Pbx, section: StoreSection) -> None:
    for call in CALLS:
        await take(store, pbx, call)
    operator = await Store.open(section)
    try:
        for version in (2, 3):
            with_old_key = await store.objects.open((await stored(store))[0].object_key)
            assert await rekeying.rotate(operator, lambda _: None, old_keys_stay_s=0) == 0
            assert await keys(store) == [(1, version)]
            assert await versions(store) == [version] * 6
            with with_old_key as file:
                assert file.read() == AUDIO, "who listens goes on"
        query = select(audit.c.detail).where(audit.c.action == "keys_rotated")
        async with store.reading() as connection:
            assert [row.detail for row in await connection.execute(query)] == [{"versions": [1]}, {"versions": [2]}]
        await take(store, pbx, seed.a_call(9, BEGIN))
        assert await versions(store) == [3] * 8
        with (
            store.objects.lock_file.open("wb"),
            rekeying._alone(store),
            pytest.raises(ConfigurationError, match="another `fonoteka"),
        ):
            await rekeying.rotate(operator, lambda _: None)
    finally:
        await operator.close()


@pytest.mark.one_machine
async def test_a_recording_that_cannot_be_read_keeps_its_key(store: Store, pbx: Pbx) -> None:
    for call in CALLS:
        await take(store, pbx, call)
    damaged, missing, intact = [row.object_key for row in await stored(store)]
    path = objects_folder(store).path(damaged)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    await store.objects.delete(missing)
    content = path.read_bytes()
    assert await rekeying.rotate(store, lambda _: None, old_keys_stay_s=0) == 2
    assert (path.read_bytes(), await keys(store)) == (content, [(1, 1), (1, 2)])
    assert [row.key_version for row in await stored(store)] == [1, 1, 2]
    objects_folder(store).root.rename(away := objects_folder(store).root.with_name("away"))
    objects_folder(store).root.mkdir()
    (objects_folder(store).root / ".incoming").mkdir()
    assert await rekeying.rotate(store, lambda _: None, old_keys_stay_s=0) == 3, "a disk that is not mounted"
    objects_folder(store).root.rename(objects_folder(store).root.with_name("empty"))
    away.rename(objects_folder(store).root)
    assert await store.objects.read(intact) == AUDIO


@pytest.mark.one_machine
async def test_a_plain_recording_that_was_altered_is_not_encrypted(older: Store) -> None:
    path = objects_folder(older).path((await stored(older))[0].object_key)
    path.write_bytes(b"OggS" + bytes(100))
    assert await rekeying.encrypt_existing(older, lambda _: None) == 1
    assert path.read_bytes()[:4] == b"OggS"
    assert [row.key_version for row in await stored(older)] == [None, 1, 1]


@pytest.mark.one_machine
async def test_what_is_deleted_meanwhile_does_not_come_back(older: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    row = (await stored(older))[0]
    exchange = folder.__dict__["exchange"]

    def deleted_before(draft: Path, path: Path) -> None:
        path.unlink()
        exchange(draft, path)

    monkeypatch.setattr(folder, "exchange", deleted_before)
    key = DataKey(domain_id=1, version=1, secret=bytes(32))
    with pytest.raises(ObjectMissing):
        await older.objects.encrypt(row.object_key, key, sha256=row.sha256)
    assert not objects_folder(older).path(row.object_key).exists()
    assert list((older.objects.workspace / ".incoming").iterdir()) == []


async def test_a_recording_under_a_key_that_is_gone_is_sent_again(store: Store, pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation has destroyed the key between the object and its row."""
    await take(store, pbx, CALLS[0])
    old = await store.keys.current(1)
    await rekeying.rotate(store, lambda _: None, old_keys_stay_s=0)
    with monkeypatch.context() as patch:
        patch.setattr(store.keys, "current", lambda _: asyncio.sleep(0, old))
        with pytest.raises(IntakeDeferred, match="was replaced in this moment"):
            await take(store, pbx, CALLS[1])
    await take(store, pbx, CALLS[1])
    assert await versions(store) == [2] * 4


@pytest.mark.parametrize("work", ["rotate", "encrypt_existing"])
async def test_an_upload_does_not_replace_what_was_stored_and_encrypted_meanwhile(
    older: Store, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    """The agent's retry is stored and encrypted while the first upload is on its way."""
    if work == "rotate":
        await rekeying.encrypt_existing(older, lambda _: None)
    call, pbx, began, go_on = seed.a_call(9, BEGIN), Pbx(id=1, name="pbx1"), asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        began.set()
        await go_on.wait()
        yield AUDIO

    manifest, made = seed.manifest_of(call, call.segments[0]), seed.mixed_of(AUDIO, 5000)
    first = asyncio.create_task(store_recording(older, pbx, manifest, made, PEAKS, slow(), BEGIN))

    async def first_arrives(*_: Any) -> None:
        go_on.set()
        assert (await first).change is None, "it was stored already"

    await began.wait()
    await take(older, pbx, call)
    if work == "rotate":
        monkeypatch.setattr(rekeying, "_wait_for_writers", first_arrives)
        assert await rekeying.rotate(older, lambda _: None) == 0
    else:
        assert await rekeying.encrypt_existing(older, lambda _: None) == 0
        await first_arrives()
    older.keys._found.clear()
    assert await versions(older) == [2 if work == "rotate" else 1] * 8
    assert [path.name for path in (older.objects.workspace / ".incoming").iterdir()] == ["replacing"]


@pytest.mark.parametrize("section", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_a_recording_that_is_being_stored_plain_while_encryption_begins_is_encrypted(
    older: Store, section: StoreSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is committed after the whole of `encrypt-existing`, but for a lock."""
    publish, operator, work = older.objects.publish, await Store.open(section), list[asyncio.Task[int]]()
    waiting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database WHERE datname = current_database() AND NOT granted"
    )

    async def is_done_or_waits() -> bool:
        async with older.reading() as connection:
            return work[0].done() or (await connection.execute(waiting)).scalar_one() > 0

    async def slowly(*drafts: Any) -> None:
        work.append(asyncio.create_task(rekeying.encrypt_existing(operator, lambda _: None)))
        await eventually(is_done_or_waits)
        await publish(*drafts)

    monkeypatch.setattr(older.objects, "publish", slowly)
    await take(older, Pbx(id=1, name="pbx1"), seed.a_call(9, BEGIN))
    assert await work[0] == 0
    await operator.close()
    assert await versions(older) == [1] * 8


@pytest.mark.parametrize("runs", [False, True], ids=["killed", "still running"])
async def test_what_a_killed_encryption_has_replaced_is_deleted_at_the_next_start(
    older: Store, section: StoreSection, runs: bool
) -> None:
    (replaced := older.objects.workspace / ".incoming" / "replaced-1").write_bytes(AUDIO)
    with older.objects.lock_file.open("wb") as file:
        if runs:
            fcntl.flock(file, fcntl.LOCK_EX)
        await (await Store.open(section, sweep=True)).close()
    assert replaced.exists() is runs


@pytest.mark.one_machine
async def test_a_file_that_the_disk_cannot_read_stops_no_rotation(store: Store, pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    for call in CALLS:
        await take(store, pbx, call)
    bad, pread = objects_folder(store).path((await stored(store))[0].object_key).stat().st_ino, os.pread

    def bad_sector(file: int, size: int, place: int) -> bytes:
        if os.fstat(file).st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return pread(file, size, place)

    monkeypatch.setattr(os, "pread", bad_sector)
    assert await rekeying.rotate(store, lambda _: None, old_keys_stay_s=0) == 1
    assert [row.key_version for row in await stored(store)] == [1, 2, 2]


async def test_a_recording_that_comes_late_keeps_its_key_and_the_rotation_is_run_again(
    store: Store, pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is committed after the last pass over its domain, before the old keys are destroyed."""
    await take(store, pbx, CALLS[0])

    async def late(connection: Any, domain_id: int) -> Any:
        if domain_id == 1:
            await connection.execute(update(segments).values(key_version=1))
        return await destroy_old_versions(connection, domain_id)

    with monkeypatch.context() as patch:
        patch.setattr(rekeying, "destroy_old_versions", late)
        with pytest.raises(StoreError, match=r"old keys of acme stay.* run `fonoteka keys rotate` again"):
            await rekeying.rotate(store, lambda _: None, old_keys_stay_s=0)
    state = await store.keys.state()
    assert state is not None and state.rotation_began_at is not None
    assert await keys(store) == [(1, 1), (1, 2)]
    assert await rekeying.rotate(store, lambda _: None, old_keys_stay_s=0) == 0
    assert (await keys(store), await versions(store)) == ([(1, 2)], [2, 2])


@pytest.mark.one_machine
async def test_without_its_row_encryption_is_not_switched_off(store: Store, pbx: Pbx, section: StoreSection) -> None:
    """Somebody deletes the row by SQL."""
    await take(store, pbx, CALLS[0])
    async with store.writing() as connection:
        await connection.execute(delete(encryption))
    before = {path for path in objects_folder(store).root.rglob("*") if path.is_file()}
    with pytest.raises(StoreError, match="the row of the table `encryption` is gone"):
        await take(store, pbx, CALLS[1])
    with pytest.raises(ConfigurationError, match="the row of the table `encryption` is gone"):
        await Store.open(section, sweep=True)
    assert {path for path in objects_folder(store).root.rglob("*") if path.is_file()} == before


async def test_a_removed_domain_has_no_key(store: Store, pbx: Pbx, section: StoreSection) -> None:
    await take(store, pbx, CALLS[0])
    (row,) = await stored(store)
    async with store.writing() as connection:
        await connection.execute(update(calls).values(legal_hold=True))
    with pytest.raises(ConfigurationError, match="'acme' cannot be removed: 1 of its calls are under legal hold"):
        await apply(store, WITHOUT_ACME, prune=True)
    assert await versions(store) == [1, 1]
    async with store.writing() as connection:
        await connection.execute(update(calls).values(legal_hold=False))
    await apply(store, WITHOUT_ACME, prune=True)
    assert await keys(store) == []
    with pytest.raises(IntakeRefused):
        await store.keys.current(1)
    again = await Store.open(section, sweep=True)
    try:
        with pytest.raises(ObjectDamaged, match="was destroyed"):
            await again.objects.read(row.object_key)
        await apply(again, parse_directory(seed.DIRECTORY, source="test"))
        new = await again.keys.current(3)
        assert new is not None and await keys(again) == [(3, 1)]
        with pytest.raises(ObjectDamaged, match="was destroyed"):
            await again.objects.read(row.object_key)
    finally:
        await again.close()


@pytest.mark.parametrize("killed", [False, True], ids=["complete", "killed before the file is replaced"])
async def test_the_master_key_is_replaced(
    store: Store, pbx: Pbx, section: StoreSection, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    await take(store, pbx, CALLS[0])
    await rekeying.confirm_recovery(store, datetime.now(UTC))
    before, old = await store.keys.state(), store.keys.source.file.read_text()
    operator = await Store.open(section)
    with monkeypatch.context() as patch:
        if killed:
            patch.setattr(MasterKeySource, "publish_draft", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt) if killed else pytest.MonkeyPatch.context():
            await operator.keys.replace_master_key()
    await operator.close()
    assert (store.keys.source.file.read_text() == old) is killed
    store.keys._found.clear()
    await take(store, pbx, CALLS[1])
    assert await versions(store) == [1] * 4, "the service has the new key by itself"
    assert store.keys.source.file.read_text() != old and not store.keys.source.draft.exists()
    after = await store.keys.state()
    assert before is not None and after is not None and before.master_key_id != after.master_key_id
    assert before.confirmed_at is not None and after.confirmed_at is None, "its backup has to be confirmed again"


OTHER = LocalMasterKey(bytes(range(32)))
# What is instead of the right file, and what the one line says.
WRONG = {
    "missing": (None, "is missing; the recordings are encrypted under master key"),
    "another": (OTHER.text, f"is another key ({OTHER.id}); the recordings are encrypted under master key"),
    "no key": ("secret\n", "is not a master key: 32 bytes in base64"),
}


@pytest.mark.one_machine
@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
async def test_without_the_right_master_key_nothing_starts(
    store: Store, section: StoreSection, tmp_path: Path, text: str | None, words: str
) -> None:
    """Nothing is written: the one thing to do is to restore the key."""
    file = store.keys.source.file
    await store.close()
    shutil.rmtree(objects_folder(store).root)
    file.unlink()
    if text is not None:
        file.write_text(text)
        file.chmod(0o600)
    with pytest.raises(ConfigurationError) as error:
        await Store.open(section, sweep=True)
    line = str(error.value)
    assert f"store.master_key_file = '{file}'" in line and words in line and "secret" not in line and OTHER.text not in line
    assert not objects_folder(store).root.exists() and file.exists() is (text is not None)


async def test_the_key_of_a_setting_needs_no_file(section: StoreSection) -> None:
    given = section.model_validate(section.model_dump() | {"master_key": OTHER.text})
    store = await Store.open(given, sweep=True)
    try:
        await take(store, await seed.seed(store, count=0), CALLS[0])
        assert await versions(store) == [1, 1] and not store.keys.source.file.exists()
        with pytest.raises(ConfigurationError, match=r"put the key into store\.master_key_file first"):
            await store.keys.replace_master_key()
        async with store.reading() as connection:
            assert (await connection.execute(select(encryption.c.master_key_id))).scalar() == OTHER.id
    finally:
        await store.close()


async def test_a_master_key_that_others_can_read_is_refused(store: Store, section: StoreSection) -> None:
    store.keys.source.file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="can be read by other users; run: chmod 600"):
        await Store.open(section)
