"""`fonoteka objects move`: all recordings are at the new place, and are what they were."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from fonoteka.cli.objects import move_objects
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from fonoteka.core.naming import peaks_key
from store import rekeying
from store.database.schema import segments
from store.database.store import Store
from store.integrity.verification import verified
from store.objects.object_store import ObjectStore
from store.people.accounts import Pbx
from store.retention.expiry import delete_marked
from store.transfer.objects import Moved, move
from tests.data import seed
from tests.store.test_intake import AUDIO, BEGIN, NOW, take
from tests.store.test_store_in_bucket import keys_of
from tests.support.radosgw import S3Server
from tests.support.stored_objects import object_keys, objects_folder, stored_bytes

pytestmark = pytest.mark.parametrize("section", ["sqlite"], indirect=True)

CALLS = [seed.a_call(number, BEGIN + timedelta(minutes=number)) for number in range(5)]


@pytest.fixture
async def moved_to(section: StoreSection, s3: S3Server, tmp_path: Path) -> StoreSection:
    """The settings after the move: the same index, and a bucket."""
    return s3.section(section.database, s3.new_bucket(), tmp_path / "objects")


@pytest.fixture
async def after(store: Store, moved_to: StoreSection) -> AsyncIterator[Store]:
    """The store after the move."""
    opened = await Store.open(moved_to)
    yield opened
    await opened.close()


@pytest.fixture
async def recorded(store: Store, pbx: Pbx) -> list[str]:
    """The keys of three recordings."""
    for call in CALLS[:3]:
        await take(store, pbx, call)
    return await keys_of(store)


async def run(store: Store, target: ObjectStore, tmp_path: Path) -> Moved:
    return await move(store, store.objects, target, tmp_path / "journal")


async def test_what_was_stored_meanwhile_is_moved_by_the_next_run(
    store: Store, pbx: Pbx, recorded: list[str], after: Store, tmp_path: Path
) -> None:
    await objects_folder(store).put_bytes(".orphaned/pbx1/x", b"set aside", data_key=None)
    moved = await run(store, after.objects, tmp_path)
    assert (moved.copied, moved.present, moved.lost) == (7, 0, [])
    await take(store, pbx, CALLS[3])
    moved = await run(store, after.objects, tmp_path)
    assert (moved.copied, moved.present, moved.lost) == (2, 7, [])
    assert object_keys(after) == object_keys_of_objects(store)
    assert (await verified(after)).found == ()
    for key in await keys_of(after):
        assert await after.objects.read(key) == AUDIO
        assert await stored_bytes(after, key) == await stored_bytes(store, key), "encrypted as before"


def object_keys_of_objects(store: Store) -> list[str]:
    return [key for key in object_keys(store) if not key.startswith(".incoming/")]


async def test_back_into_a_folder(store: Store, recorded: list[str], after: Store, tmp_path: Path) -> None:
    await run(store, after.objects, tmp_path)
    before = {key: await stored_bytes(store, key) for key in object_keys_of_objects(store)}
    await store.objects.delete_all(before)
    moved = await move(after, after.objects, store.objects, tmp_path / "back")
    assert (moved.copied, moved.lost) == (6, [])
    assert {key: await stored_bytes(store, key) for key in object_keys_of_objects(store)} == before


async def test_a_run_that_ends_anywhere_goes_on(
    store: Store, recorded: list[str], after: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server fails at each request in turn; what is there is not copied again."""
    publish, left = after.objects.publish, 0

    async def failing(*drafts: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise StoreError("the server is away")
        await publish(*drafts)  # type: ignore[arg-type]

    monkeypatch.setattr(after.objects, "publish", failing)
    for allowed in (0, 1, 2):
        left = allowed
        with pytest.raises(StoreError, match="away"):
            await run(store, after.objects, tmp_path)
    left = 10
    moved = await run(store, after.objects, tmp_path)
    assert (moved.copied, moved.present, moved.lost) == (3, 3, [])
    assert (await verified(after)).found == ()


async def test_what_has_expired_since_is_deleted_there_too(store: Store, recorded: list[str], after: Store, tmp_path: Path) -> None:
    await run(store, after.objects, tmp_path)
    async with store.writing() as connection:
        await connection.execute(update(segments).where(segments.c.object_key == recorded[0]).values(expired_at=NOW))
    await delete_marked(store)
    await after.objects.put_bytes("pbx1/of-somebody-else", b"x", data_key=None)
    moved = await run(store, after.objects, tmp_path)
    assert (moved.deleted, moved.lost) == (2, [])
    kept = [name for key in recorded[1:] for name in (key, peaks_key(key))]
    assert object_keys(after) == sorted([*kept, "pbx1/of-somebody-else"])


async def test_a_recording_that_was_encrypted_again_is_copied_again(
    store: Store, recorded: list[str], after: Store, tmp_path: Path
) -> None:
    await run(store, after.objects, tmp_path)
    assert await rekeying.rotate(store, lambda _: None, old_keys_stay_s=0) == 0
    assert (await run(store, after.objects, tmp_path)).copied == 6
    after.keys._found.clear()
    assert (await verified(after)).found == ()


async def test_what_is_damaged_is_named_and_a_damaged_copy_is_replaced(
    store: Store, recorded: list[str], after: Store, tmp_path: Path
) -> None:
    first, second, third = recorded
    path = objects_folder(store).path(first)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    objects_folder(store).path(peaks_key(second)).unlink()
    content = bytearray(await stored_bytes(store, third))
    content[-1] ^= 1
    await after.objects.put_bytes(third, bytes(content), data_key=None)  # from a run whose journal is lost
    moved = await run(store, after.objects, tmp_path)
    assert sorted(moved.lost) == sorted(
        [f"object {first} was altered: chunk 0 does not fit", *[line for line in moved.lost if peaks_key(second) in line]]
    )
    assert len(moved.lost) == 2
    assert await after.objects.read(third) == AUDIO


async def test_the_command(
    store: Store, recorded: list[str], section: StoreSection, moved_to: StoreSection, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"s3_access_key": moved_to.s3_access_key, "s3_secret_key": moved_to.s3_secret_key}
    configuration = Configuration(store=section.model_copy(update=keys))
    for _ in range(2):
        assert await move_objects(configuration, moved_to.objects, None) == 0
    said = capsys.readouterr().out
    assert "copied: 6 objects" in said and "copied: 0 objects (0.0 MB), read back; there already: 6" in said
    assert f"set store.objects = '{moved_to.objects}'" in said
    assert await move_objects(Configuration(store=moved_to), moved_to.objects, section.objects) == 0
    assert "check with: fonoteka verify" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="there already"):
        await move_objects(configuration, section.objects, None)
    with store.objects.replacing(), pytest.raises(ConfigurationError, match="wait for its end"):
        await move_objects(configuration, moved_to.objects, None)
    objects_folder(store).path(recorded[0]).unlink()
    assert await move_objects(configuration, moved_to.objects, None) == 0, "it is there already"
