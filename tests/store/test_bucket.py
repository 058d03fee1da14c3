"""Objects in a bucket of a real S3 server, and what goes wrong with one."""

import asyncio
import hashlib
import os
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
import trustme
from minio.commonconfig import Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from pydantic import SecretStr
from structlog.testing import capture_logs
from urllib3 import Timeout

from fonoteka.cli.doctor import bucket as doctor
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.errors import ConfigurationError, ObjectDamaged, ObjectMissing, StoreError
from store.encryption.data_key import DataKey, MemoryKey
from store.objects import s3_client
from store.objects.bucket import ObjectBucket
from store.objects.bucket_place import bucket_place
from store.objects.drafts import once
from store.objects.object_store import ObjectStore
from tests.support.faulty_link import FaultyLink, faulty_link
from tests.support.radosgw import SECRET_KEY, S3Server

KEY = "pbx1/2026/11/22/a_b_1.0123.opus"
LARGE = os.urandom(11 * 1024**2 + 17)  # three parts


@pytest.fixture
async def link(s3: S3Server) -> AsyncIterator[FaultyLink]:
    """A link to the server that can be broken."""
    async with faulty_link(s3.port) as running:
        yield running


@pytest.fixture
def section(s3: S3Server, link: FaultyLink, tmp_path: Path) -> StoreSection:
    """The settings of a new bucket behind the link."""
    return s3.section("sqlite:///unused.db", s3.new_bucket(), tmp_path / "objects", port=link.port)


def bucket(section: StoreSection, keys: MemoryKey) -> ObjectBucket:
    assert section.workspace is not None
    return ObjectBucket(bucket_place(section.objects, section), section.workspace, keys)


@pytest.fixture
async def keys() -> MemoryKey:
    return MemoryKey()


@pytest.fixture
async def objects(section: StoreSection, keys: MemoryKey) -> AsyncIterator[ObjectBucket]:
    """A bucket that is ready."""
    made = bucket(section, keys)
    await asyncio.to_thread(made.prepare, sweep=True)
    yield made
    made.close()


async def put(objects: ObjectStore, content: bytes, data_key: DataKey | None = None) -> None:
    digest = hashlib.sha256(content).hexdigest()
    await objects.put(KEY, once(content), sha256=digest, size_bytes=len(content), data_key=data_key)


def names(s3: S3Server, section: StoreSection) -> list[str]:
    """The keys of all objects, and of unfinished uploads."""
    name = section.objects.removeprefix("s3://").partition("?")[0]
    unfinished = s3.client()._list_multipart_uploads(name).uploads
    found = s3.client().list_objects(name, recursive=True)
    return [str(each.object_name) for each in found] + [f"unfinished {each.object_name}" for each in unfinished]


@pytest.mark.parametrize("content", [b"", b"x", bytes(300_000), LARGE], ids=len)
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_what_is_stored_is_read(
    s3: S3Server, section: StoreSection, objects: ObjectBucket, keys: MemoryKey, content: bytes, encrypted: bool
) -> None:
    await put(objects, content, keys.key if encrypted else None)
    assert await objects.read(KEY) == content
    assert names(s3, section) == [KEY]
    assert [path.name for path in (objects.workspace / ".incoming").iterdir()] == []
    with await objects.open_stored(KEY) as stored:
        assert (await asyncio.to_thread(stored.read) == content) is not encrypted
    await objects.delete(KEY)
    with pytest.raises(ObjectMissing):
        await objects.read(KEY)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_a_player_that_seeks_fetches_little(
    objects: ObjectBucket, link: FaultyLink, keys: MemoryKey, encrypted: bool
) -> None:
    await put(objects, LARGE, keys.key if encrypted else None)
    before = link.received
    with await objects.open(KEY) as file:
        for place in (9_000_000, 5_000_001, len(LARGE) - 10, 0):
            file.seek(place)
            assert await asyncio.to_thread(file.read, 1000) == LARGE[place : place + 1000]
    assert link.received - before < 1_000_000


async def test_a_draft_that_is_not_published_leaves_nothing(s3: S3Server, section: StoreSection, objects: ObjectBucket) -> None:
    digest = hashlib.sha256(LARGE).hexdigest()
    async with objects.draft(KEY, once(LARGE), sha256=digest, size_bytes=len(LARGE), data_key=None):
        assert len(names(s3, section)) == 1
    assert names(s3, section) == []


async def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(objects: ObjectBucket) -> None:
    await put(objects, LARGE)
    with await objects.open(KEY) as file:
        await put(objects, LARGE[::-1])
        with pytest.raises(StoreError, match="replaced while it was read"):
            await asyncio.to_thread(file.read)


async def test_an_encrypted_object_that_is_altered_in_the_bucket_is_refused(
    s3: S3Server, section: StoreSection, objects: ObjectBucket, keys: MemoryKey
) -> None:
    await put(objects, LARGE, keys.key)
    with await objects.open_stored(KEY) as stored:
        altered = bytearray(await asyncio.to_thread(stored.read))
    altered[9_000_000] ^= 1
    async with objects.draft(
        KEY, once(bytes(altered)), sha256=hashlib.sha256(altered).hexdigest(), size_bytes=len(altered), data_key=None
    ) as draft:
        await objects.publish(draft)
    with await objects.open(KEY) as file, pytest.raises(ObjectDamaged, match="was altered"):
        await asyncio.to_thread(file.read)


async def test_encrypting_replaces_the_plain_object(objects: ObjectBucket, keys: MemoryKey) -> None:
    await put(objects, LARGE)
    with pytest.raises(ObjectDamaged, match="SHA-256 differs"):
        await objects.encrypt(KEY, keys.key, sha256="0" * 64)
    assert not await objects.is_under(KEY, keys.key)
    await objects.encrypt(KEY, keys.key, sha256=hashlib.sha256(LARGE).hexdigest())
    assert await objects.is_under(KEY, keys.key) and await objects.read(KEY) == LARGE
    with pytest.raises(ObjectMissing):
        await objects.encrypt("pbx1/2026/11/22/other.opus", keys.key, sha256=None)


async def test_listing_goes_on_after_a_position_and_leaves_out_what_is_young(
    objects: ObjectBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.objects.bucket._LISTED_AT_A_TIME", 2)
    for number in range(5):
        await objects.put_bytes(f"pbx1/2026/11/2{number}/x.opus", b"x", data_key=None)
    assert [keys async for _, keys in objects.listing("")] == [[], [], []]
    monkeypatch.setattr("store.objects.bucket.UPLOADED_WITHIN_S", -60.0)
    steps = [step async for step in objects.listing("")]
    assert [len(keys) for _, keys in steps] == [2, 2, 1]
    assert [step async for step in objects.listing(steps[0][0])] == steps[1:]


async def test_what_is_set_aside_is_found_by_its_segment(objects: ObjectBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    stem = KEY.partition(".")[0]
    for _ in range(2):
        await put(objects, b"x")
        assert await objects.set_aside(KEY) == "moved to .orphaned/"
    await put(objects, b"in place")
    assert await objects.all_set_aside() == [KEY, f"{KEY}~"]
    aside = [f".orphaned/{KEY}", f".orphaned/{KEY}~"]
    assert await objects.strays([stem], also_in_place=True) == aside
    monkeypatch.setattr("store.objects.bucket.UPLOADED_WITHIN_S", -60.0)
    assert await objects.strays([stem], also_in_place=True) == [*aside, KEY]
    assert await objects.strays([f"{stem}0"], also_in_place=True) == []


async def test_a_bucket_that_keeps_versions_forgets_what_is_deleted_and_replaced(
    s3: S3Server, section: StoreSection, keys: MemoryKey
) -> None:
    name = s3.new_bucket(object_lock=True)
    versioned = bucket(section.model_copy(update={"objects": section.objects.replace(section.objects[5:42], name[:37])}), keys)
    await asyncio.to_thread(versioned.prepare, sweep=True)
    await put(versioned, LARGE)
    await versioned.encrypt(KEY, keys.key, sha256=None)
    found = list(s3.client().list_objects(name, recursive=True, include_version=True))
    assert [each.object_name for each in found] == [KEY], "the plain version is gone, and the drafts"
    await versioned.delete_all([KEY])
    assert list(s3.client().list_objects(name, recursive=True, include_version=True)) == []
    versioned.close()


async def test_unfinished_drafts_are_swept_when_they_are_old(
    s3: S3Server, section: StoreSection, objects: ObjectBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    await objects.put_bytes(".incoming/of-a-killed-process", b"x", data_key=None)
    await asyncio.to_thread(objects.prepare, sweep=True)
    assert names(s3, section) == [".incoming/of-a-killed-process"]
    monkeypatch.setattr("store.objects.bucket.ORPHANED_AFTER_S", -60)
    await asyncio.to_thread(objects.prepare, sweep=True)
    assert names(s3, section) == []


WRONG = {
    "unknown access key": ({"s3_access_key": SecretStr("somebody")}, "does not know store.s3_access_key"),
    "wrong secret": ({"s3_secret_key": SecretStr("guessed")}, "s3_secret_key does not belong to store.s3_access_key"),
    "no such bucket": ({"objects": "s3://nowhere?endpoint=http://127.0.0.1:{port}"}, "the bucket does not exist: create it"),
    "not S3": ({"objects": "s3://nowhere?endpoint=https://127.0.0.1:{port}"}, "certificate is not accepted"),
}


@pytest.mark.parametrize(("changed", "words"), WRONG.values(), ids=WRONG)
async def test_a_store_that_cannot_be_used_says_why_in_one_line(
    section: StoreSection, link: FaultyLink, keys: MemoryKey, changed: dict[str, object], words: str
) -> None:
    changed = {name: value.format(port=link.port) if isinstance(value, str) else value for name, value in changed.items()}
    wrong = bucket(section.model_copy(update=changed), keys)
    with pytest.raises(ConfigurationError, match=r"store\.objects cannot be used") as error:
        await asyncio.to_thread(wrong.prepare, sweep=True)
    message = str(error.value)
    assert words in message and "\n" not in message and "guessed" not in message and SECRET_KEY not in message
    wrong.close()


async def test_a_server_that_is_away_at_the_start_may_come_back(section: StoreSection, keys: MemoryKey, link: FaultyLink) -> None:
    """The agent of the same machine must record meanwhile."""
    nobody = section.model_copy(update={"objects": section.objects.replace(str(link.port), "1")})
    for changed, words in ((nobody, "out of reach: Connection refused"), (section, "the connection broke")):
        link.cut_at = 0
        away = bucket(changed, keys)
        with capture_logs() as lines:
            await asyncio.to_thread(away.prepare, sweep=True)
        assert [line["event"] for line in lines] == ["objects.out_of_reach"] and words in lines[0]["reason"]
        with pytest.raises(StoreError, match=words):
            await put(away, b"x")
        link.cut_at = None
        if changed is section:
            await put(away, b"x")
        away.close()


async def test_over_tls(
    section: StoreSection, keys: MemoryKey, link: FaultyLink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with faulty_link(link.port, tls=context) as door:
        objects = section.objects.replace(f"http://127.0.0.1:{link.port}", f"https://127.0.0.1:{door.port}")
        safe = bucket(section.model_copy(update={"objects": objects}), keys)
        await asyncio.to_thread(safe.prepare, sweep=True)
        await put(safe, LARGE, keys.key)
        assert await safe.read(KEY) == LARGE
        link.corrupt_each, link.corrupted = 3_000_000, 100  # behind the door, where it is plain
        with pytest.raises(StoreError, match="what arrived is not what was sent"):
            await put(safe, LARGE[::-1], keys.key)
        assert await safe.read(KEY) == LARGE
        safe.close()


async def test_clocks_that_differ(objects: ObjectBucket) -> None:
    await put(objects, b"stored")
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=True):
        for work in (put(objects, b"other"), objects.read(KEY), objects.delete(KEY)):
            with pytest.raises(StoreError, match="the clocks of this machine and of the server differ"):
                await work
    assert await objects.read(KEY) == b"stored"


async def test_a_connection_that_breaks_during_an_upload_loses_nothing(
    s3: S3Server, section: StoreSection, objects: ObjectBucket, link: FaultyLink
) -> None:
    await put(objects, b"before")
    link.cut_at = 2_000_000
    with pytest.raises(StoreError, match=f"{KEY.rpartition('/')[2]}|.incoming/.*: bucket .* the connection broke"):
        await put(objects, LARGE)
    assert await objects.read(KEY) == b"before"
    link.cut_at = None
    await put(objects, LARGE)
    assert await objects.read(KEY) == LARGE


@pytest.mark.parametrize("times", [1, 100])
async def test_bytes_that_are_altered_on_their_way_are_not_stored(objects: ObjectBucket, link: FaultyLink, times: int) -> None:
    """Once is repaired by sending them again."""
    await put(objects, b"before")
    link.corrupt_each, link.corrupted = 3_000_000, times
    if times == 1:
        await put(objects, LARGE)
        assert link.corrupted == 0 and await objects.read(KEY) == LARGE
    else:
        with pytest.raises(StoreError, match="what arrived is not what was sent"):
            await put(objects, LARGE)
        assert await objects.read(KEY) == b"before"


async def test_a_server_that_is_too_slow(
    section: StoreSection, keys: MemoryKey, link: FaultyLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_PATIENT", "_HASTY"):
        monkeypatch.setattr(s3_client, name, Timeout(connect=0.5, read=0.5))
    slow = bucket(section, keys)
    await asyncio.to_thread(slow.prepare, sweep=False)
    await put(slow, b"before")
    link.hangs = True
    for work in (put(slow, LARGE), slow.read(KEY), slow.delete("pbx1/other")):
        with pytest.raises(StoreError, match="the server is too slow: no answer in time"):
            await work
    link.hangs = False
    assert await slow.read(KEY) == b"before"
    slow.close()


@pytest.mark.parametrize(
    ("changed", "ok", "words"),
    [
        ({}, True, "takes recordings"),
        ({"s3_secret_key": SecretStr("guessed")}, False, "does not belong to store.s3_access_key"),
        ({"s3_secret_key": None}, False, "store.s3_secret_key is missing"),
    ],
)
async def test_the_doctor(section: StoreSection, changed: dict[str, object], ok: bool, words: str) -> None:
    *_, finding = [each async for each in doctor.check(Configuration(store=section.model_copy(update=changed)))]
    assert (finding.part, finding.check, finding.ok) == ("store", "bucket", ok)
    assert words in finding.detail and "guessed" not in str(finding)
    assert [each async for each in doctor.check(Configuration())] == []


@pytest.mark.parametrize(
    ("has_lock", "denied", "ok", "words"),
    [
        (False, None, True, "none: legal holds are kept by Fonoteka alone"),
        (True, None, True, "the server keeps what is under legal hold"),
        (True, "s3:PutObjectLegalHold", False, "it lacks s3:PutObjectLegalHold"),
        (True, "s3:GetBucketObjectLockConfiguration", False, "the key lacks s3:GetBucketObjectLockConfiguration"),
    ],
)
async def test_the_doctor_says_whether_the_bucket_locks(
    s3: S3Server, tmp_path: Path, has_lock: bool, denied: str | None, ok: bool, words: str
) -> None:
    name = s3.new_bucket(object_lock=has_lock)
    if denied is not None:
        s3.deny(name, denied)
    section = s3.section("sqlite:///unused.db", name, tmp_path / "objects")
    found = {each.check: each async for each in doctor.check(Configuration(store=section))}
    finding = found["object lock of the bucket"]
    assert finding.ok is ok and words in finding.detail
    assert list(s3.client().list_objects(name, recursive=True, include_version=True)) == []


@pytest.mark.parametrize(
    ("prefixes", "ok", "words"),
    [
        ([], True, "no rule lets drafts below .incoming/ expire"),
        ([".incoming/"], True, "drafts below .incoming/ expire"),
        ([".incoming/", "pbx1/"], False, "a rule deletes recordings below 'pbx1/'"),
    ],
)
async def test_the_doctor_on_rules_of_the_server(
    s3: S3Server, section: StoreSection, prefixes: list[str], ok: bool, words: str
) -> None:
    name = bucket_place(section.objects, section).bucket
    rules = [
        Rule("Enabled", rule_filter=Filter(prefix=prefix), rule_id=prefix, expiration=Expiration(days=2)) for prefix in prefixes
    ]
    if rules:
        s3.client().set_bucket_lifecycle(name, LifecycleConfig(rules))
    finding, *_ = [each async for each in doctor.check(Configuration(store=section))]
    assert (finding.check, finding.ok) == ("lifecycle of the bucket", ok) and words in finding.detail
