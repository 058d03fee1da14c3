"""Object lock: what is under legal hold cannot be deleted in the bucket; all else can."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig
from sqlalchemy import select, update
from structlog.testing import capture_logs

from api.object_locks import ObjectLocks
from fonoteka.cli.verify import peaks_of
from fonoteka.core.call_report import CallReport
from fonoteka.core.config import StoreSection
from fonoteka.core.errors import StoreError
from fonoteka.core.naming import call_id, peaks_key
from store import rekeying
from store.database.schema import object_locks, segments
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.integrity.verification import verified
from store.people.accounts import Pbx
from store.retention.legal_hold import set_legal_hold
from store.retention.object_locks import LockRun, settle_locks
from store.retention.run import delete_due
from store.transfer.domain_objects import move_domain
from store.transfer.objects import move
from tests.data import seed
from tests.store.retaining import no_rest
from tests.store.test_intake import BEGIN, NOW, scope_of, take
from tests.store.test_merged_calls import ASKING, CUSTOMER, MERGED, PART
from tests.store.test_retention import BOSS, erase, hold
from tests.store.test_store_in_bucket import keys_of
from tests.support.faulty_link import faulty_link
from tests.support.new_stores import new_section
from tests.support.own_buckets import put_into
from tests.support.radosgw import S3Server, with_keys
from tests.support.stored_objects import object_keys, objects_bucket

FIRST, SECOND = (seed.a_call(number, BEGIN + timedelta(minutes=number)) for number in (1, 2))
BOTH = pytest.mark.parametrize("section", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(params=["sqlite"])
async def section(request: pytest.FixtureRequest, s3: S3Server, tmp_path: Path) -> AsyncIterator[StoreSection]:
    """The settings of a seeded store with a new bucket that has object lock, or with a folder."""
    kind = "sqlite" if request.param == "folder" else request.param
    async with new_section(request, kind, "seeded", tmp_path) as made:
        if request.param == "folder":
            yield made
        else:
            yield s3.section(made.database, s3.new_bucket(object_lock=True), tmp_path / "objects")


async def release(store: Store, call: CallReport) -> None:
    public_id = call_id(call.pbx, call.linkedid)
    assert await set_legal_hold(store, await scope_of(store), public_id, legal_hold=False, why="", by=BOSS, now=NOW)


async def retain(store: Store) -> None:
    await delete_due(store, NOW + timedelta(days=400), rest=no_rest)


def bucket_of(store: Store) -> str:
    return objects_bucket(store)._client.place.bucket


def versions(s3: S3Server, store: Store) -> list[tuple[str, bool]]:
    """Return all versions in the bucket, in order, and whether the server holds each."""
    return versions_in(s3, bucket_of(store))


def versions_in(s3: S3Server, bucket: str) -> list[tuple[str, bool]]:
    """Return the same of a bucket by its name."""
    client = s3.client()
    found = []
    for each in client.list_objects(bucket, recursive=True, include_version=True):
        assert each.object_name is not None
        try:
            is_held = client.is_object_legal_hold_enabled(bucket, each.object_name, each.version_id)
        except S3Error as error:  # it never had one
            assert error.code == "ObjectLockConfigurationNotFoundError"
            is_held = False
        found.append((each.object_name, is_held))
    return sorted(found)


def of(*keys: str, locked: bool) -> list[tuple[str, bool]]:
    return sorted((name, locked) for key in keys for name in (key, peaks_key(key)))


async def noted(store: Store) -> list[str]:
    async with store.reading() as connection:
        return list((await connection.execute(select(object_locks.c.object_key).order_by(object_locks.c.segment_id))).scalars())


@BOTH
async def test_the_server_deletes_nothing_that_is_held(store: Store, pbx: Pbx, s3: S3Server) -> None:
    for call in (FIRST, SECOND):
        await take(store, pbx, call)
    first, second = await keys_of(store)
    await hold(store, FIRST)
    assert (await settle_locks(store)) == LockRun(locked=1)
    assert versions(s3, store) == sorted(of(first, locked=True) + of(second, locked=False))
    bucket = bucket_of(store)
    every = [
        DeleteObject(each.object_name or "", each.version_id)
        for each in s3.client().list_objects(bucket, recursive=True, include_version=True)
    ]
    refused = {error.name for error in s3.client().remove_objects(bucket, every)}
    assert refused == {first, peaks_key(first)}
    assert versions(s3, store) == of(first, locked=True)
    assert await settle_locks(store) == LockRun(), "what is locked is not asked for again"
    assert await settle_locks(store, afresh=True) == LockRun(locked=1)
    await retain(store)
    assert versions(s3, store) == of(first, locked=True)


@BOTH
async def test_a_hold_is_followed_and_a_release_too(store: Store, pbx: Pbx, s3: S3Server) -> None:
    """A recording that comes late is locked; after the release everything can be deleted."""
    await upsert_calls(store, pbx, [FIRST])
    await hold(store, FIRST)
    assert await settle_locks(store) == LockRun()
    await take(store, pbx, FIRST)
    (key,) = await keys_of(store)
    assert await settle_locks(store) == LockRun(locked=1)
    assert (versions(s3, store), await noted(store)) == (of(key, locked=True), [key])
    await release(store, FIRST)
    assert await settle_locks(store) == LockRun(released=1)
    assert (versions(s3, store), await noted(store)) == (of(key, locked=False), [])


@pytest.mark.parametrize("deletion", ["retention", "erasure"])
async def test_what_was_released_a_moment_ago_is_deleted(store: Store, pbx: Pbx, s3: S3Server, deletion: str) -> None:
    await take(store, pbx, FIRST)
    await hold(store, FIRST)
    await settle_locks(store)
    await release(store, FIRST)
    await (retain(store) if deletion == "retention" else erase(store, FIRST))
    assert versions(s3, store) == []
    assert (await settle_locks(store)).reason is None
    assert await noted(store) == []


@pytest.mark.parametrize("batch", [[MERGED, PART], [MERGED], [PART]], ids=["both", "the whole", "the part"])
@pytest.mark.parametrize("held", [ASKING, CUSTOMER], ids=["part", "whole"])
@BOTH
async def test_merged_calls(store: Store, pbx: Pbx, s3: S3Server, held: CallReport, batch: list[CallReport]) -> None:
    """What retention keeps is locked, and nothing else."""
    for call in (CUSTOMER, ASKING):
        await take(store, pbx, replace(call, ended_at=None) if call is held else call)
    await hold(store, held)
    await settle_locks(store)
    await upsert_calls(store, pbx, batch)
    await settle_locks(store)
    locked = {name for name, is_locked in versions(s3, store) if is_locked}
    await retain(store)
    assert set(object_keys(store)) == locked and locked


async def test_encryption_and_new_keys_keep_what_is_locked(section: StoreSection, s3: S3Server) -> None:
    store = await Store.open(section)  # plain, as it is not the API's
    pbx = await seed.seed(store, count=0)
    for call in (FIRST, SECOND):
        await take(store, pbx, call)
    first, second = await keys_of(store)
    await hold(store, FIRST)
    await settle_locks(store)
    for work in (rekeying.encrypt_existing(store, lambda _: None), rekeying.rotate(store, lambda _: None, old_keys_stay_s=0)):
        assert await work == 0
        assert versions(s3, store) == sorted(of(first, locked=True) + of(second, locked=False)), "one version of each"
        assert await settle_locks(store) == LockRun()
    await release(store, FIRST)
    await retain(store)
    assert versions(s3, store) == []
    await store.close()


async def test_an_encryption_that_was_interrupted(section: StoreSection, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old version stays, locked, until the new one is locked."""
    store = await Store.open(section)
    await take(store, await seed.seed(store, count=0), FIRST)
    (key,) = await keys_of(store)
    await hold(store, FIRST)
    await settle_locks(store)

    def killed(_: str) -> None:
        raise StoreError("killed")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="killed"):
        patch.setattr(objects_bucket(store)._client.versions, "lock", killed)
        await rekeying.encrypt_existing(store, lambda _: None)
    assert [is_locked for name, is_locked in versions(s3, store) if name == key] == [False, True]
    await rekeying.encrypt_existing(store, lambda _: None)
    assert versions(s3, store) == of(key, locked=True)
    await store.close()


async def test_what_was_lost_or_made_again_is_locked_again(store: Store, pbx: Pbx, s3: S3Server) -> None:
    await take(store, pbx, FIRST)
    (key,) = await keys_of(store)
    await hold(store, FIRST)
    await settle_locks(store)
    await store.objects.delete_all([peaks_key(key)])
    await verified(store, make_peaks=peaks_of)
    assert versions(s3, store) == [(key, True), (peaks_key(key), False)]
    assert await settle_locks(store) == LockRun(locked=1)
    await store.objects.delete_all([key])
    await take(store, pbx, FIRST)
    assert (key, False) in versions(s3, store)
    assert await settle_locks(store) == LockRun(locked=1)
    assert {name for name, is_locked in versions(s3, store) if is_locked} == {key, peaks_key(key)}
    assert await noted(store) == [key]


async def test_another_bucket_is_locked_at_the_first_start(
    store: Store, pbx: Pbx, section: StoreSection, s3: S3Server, tmp_path: Path
) -> None:
    await take(store, pbx, FIRST)
    (key,) = await keys_of(store)
    await hold(store, FIRST)
    await settle_locks(store)
    there = await Store.open(s3.section(section.database, s3.new_bucket(object_lock=True), tmp_path / "objects"))
    await move(store, store.objects, there.objects, tmp_path / "journal")
    assert versions(s3, there) == of(key, locked=False)
    await ObjectLocks(there, unlocked=lambda _: None).settle()
    assert versions(s3, there) == of(key, locked=True)
    await there.close()


async def test_an_object_with_a_new_key_is_locked_before_the_old_one_is_unlocked(store: Store, pbx: Pbx, s3: S3Server) -> None:
    await take(store, pbx, FIRST)
    (key,) = await keys_of(store)
    await hold(store, FIRST)
    await settle_locks(store)
    await store.objects.put_bytes(f"other/{key}", b"moved", data_key=None)
    async with store.writing() as connection:
        await connection.execute(update(segments).values(object_key=f"other/{key}"))
    assert await settle_locks(store) == LockRun(locked=1, released=1)
    assert versions(s3, store) == [("other/" + key, True), *of(key, locked=False)]
    assert await noted(store) == [f"other/{key}"]


@pytest.mark.parametrize("has_versions", [False, True])
async def test_a_bucket_without_object_lock_works_as_before(
    store: Store, pbx: Pbx, section: StoreSection, s3: S3Server, tmp_path: Path, has_versions: bool
) -> None:
    name = s3.new_bucket()
    if has_versions:
        s3.client().set_bucket_versioning(name, VersioningConfig("Enabled"))
    with capture_logs() as lines:
        plain = await Store.open(s3.section(section.database, name, tmp_path / "objects"))
        await take(plain, pbx, FIRST)
        await hold(plain, FIRST)
        await ObjectLocks(plain, unlocked=lambda _: None).settle()
        assert not await plain.objects.can_lock() and await noted(plain) == []
        await plain.objects.lock("nothing")
        await plain.objects.unlock("nothing")
        await retain(plain)
        assert len(object_keys(plain)) == 2
        await release(plain, FIRST)
        await retain(plain)
    assert list(s3.client().list_objects(name, recursive=True, include_version=True)) == []
    assert [line["event"] for line in lines if line["log_level"] in ("warning", "error")] == []
    await plain.close()


@pytest.mark.parametrize("section", ["folder"], indirect=True)
async def test_a_folder_locks_nothing(store: Store, pbx: Pbx) -> None:
    await take(store, pbx, FIRST)
    await hold(store, FIRST)
    await ObjectLocks(store, unlocked=lambda _: None).settle()
    assert await noted(store) == []


async def test_what_the_server_does_not_lock_is_counted_and_locked_later(
    store: Store, pbx: Pbx, section: StoreSection, s3: S3Server
) -> None:
    calls = [seed.a_call(number, BEGIN + timedelta(minutes=number)) for number in range(5)]
    for call in calls:
        await take(store, pbx, call)
        await hold(store, call)
    counted = list[int]()
    async with faulty_link(s3.port) as link:
        behind = await Store.open(section.model_copy(update={"objects": section.objects.replace(str(s3.port), str(link.port))}))
        locks = ObjectLocks(behind, unlocked=counted.append)
        link.cut_at = 0
        with capture_logs() as lines:
            await locks.settle()
            await locks.settle()
            link.cut_at = None
            await locks.settle()
            await locks.settle()
        await behind.close()
    assert counted == [5, 5, 0, 0]
    assert [(line["event"], line.get("recordings")) for line in lines] == [("objects.not_locked", 5)]
    assert "the connection broke" in lines[0]["reason"]
    assert all(is_locked for _, is_locked in versions(s3, store)) and len(await noted(store)) == 5


@pytest.mark.parametrize("section", ["sqlite", "folder"], indirect=True)
async def test_the_bucket_of_a_domain(store: Store, pbx: Pbx, section: StoreSection, s3: S3Server) -> None:
    """It locks whether `store.objects` does or not; while it is away others are locked."""
    await take(store, pbx, FIRST)
    await hold(store, FIRST)
    own = s3.new_bucket(object_lock=True)
    with_own = await Store.open(with_keys(section))
    async with faulty_link(s3.port) as link:
        await put_into(with_own, f"s3://{own}?endpoint=http://127.0.0.1:{link.port}")
        calls = [seed.a_call(number, BEGIN + timedelta(minutes=number)) for number in range(3, 8)]
        for call in calls:
            await take(with_own, pbx, call)
            await hold(with_own, call)
        assert await with_own.objects.can_lock()
        link.cut_at = 0
        done = await settle_locks(with_own)
        assert (done.locked, done.unlocked) == (1, 5)
        link.cut_at = None
        (place,) = [await with_own.objects.at(1)]
        place._refused_until = 0.0  # type: ignore[attr-defined]
        assert (await settle_locks(with_own)).locked == 5
        names = [(name, is_locked) for name, is_locked in versions_in(s3, own) if name != ".fonoteka-domain"]
        assert len(names) == 10 and all(is_locked for _, is_locked in names)
        for call in (FIRST, *calls):
            await release(with_own, call)
        await retain(with_own)
        assert [name for name, _ in versions_in(s3, own)] == [".fonoteka-domain"]
    await with_own.close()


async def test_a_domain_that_moves_to_a_bucket_of_its_own(store: Store, pbx: Pbx, s3: S3Server) -> None:
    await take(store, pbx, FIRST)
    (key,) = await keys_of(store)
    await hold(store, FIRST)
    await settle_locks(store)
    own = s3.new_bucket(object_lock=True)
    await put_into(store, f"s3://{own}?endpoint=http://127.0.0.1:{s3.port}")
    moved = await move_domain(store, "acme", old_objects_stay_s=0)
    assert (moved.moved, moved.deleted) == (1, 2)
    assert (versions(s3, store), versions_in(s3, own)[1:]) == ([], of(key, locked=True))
    assert len(await noted(store)) == 1


async def test_a_missing_recording_keeps_no_other_from_being_locked(
    store: Store, pbx: Pbx, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [seed.a_call(number, BEGIN + timedelta(minutes=number)) for number in range(5)]
    for call in calls:
        await take(store, pbx, call)
        await hold(store, call)
    *gone, last = await keys_of(store)
    await store.objects.delete_all(gone)
    locks = ObjectLocks(store, unlocked=lambda _: None)
    with capture_logs() as lines:
        await locks.settle()
    assert [line.get("recordings") for line in lines] == [4] and "does not exist" in lines[0]["reason"]
    assert (last, True) in versions(s3, store)
    asked = list[str]()
    monkeypatch.setattr(objects_bucket(store)._client.versions, "lock", asked.append)
    await locks.settle()
    assert [key for key in asked if key == last] == [], "what is locked is not asked for again"
    assert asked


async def test_a_key_without_the_right_is_told_once(store: Store, pbx: Pbx, section: StoreSection, s3: S3Server) -> None:
    await take(store, pbx, FIRST)
    await hold(store, FIRST)
    s3.deny(bucket_of(store), "s3:PutObjectLegalHold")
    locks = ObjectLocks(store, unlocked=lambda _: None)
    with capture_logs() as lines:
        await locks.settle()
        await locks.settle()
    assert [line["event"] for line in lines] == ["objects.not_locked"]
    assert "the key may not set legal holds: it lacks s3:PutObjectLegalHold" in lines[0]["reason"]
    s3.deny(bucket_of(store), "s3:GetBucketObjectLockConfiguration")
    with capture_logs() as lines:
        unsure = await Store.open(section)
        assert not await unsure.objects.can_lock()
    assert [line["event"] for line in lines] == ["objects.lock_unknown"]
    assert "lacks s3:GetBucketObjectLockConfiguration" in lines[0]["reason"]
    await unsure.close()
