"""Domains with a bucket of their own: their recordings are there, and nobody else's."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from fonoteka.cli.doctor import bucket as doctor
from fonoteka.cli.verify import peaks_of
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.errors import BucketAway, ConfigurationError
from fonoteka.core.manifest import AudioFormat
from fonoteka.core.naming import peaks_key, placed_key, recording_key
from store import rekeying
from store.audit.write import SYSTEM, NewEntry
from store.backup.backup import make_backup
from store.database.schema import audit, calls, domains, segments
from store.database.store import Store
from store.integrity.findings import Kind
from store.integrity.verification import verified
from store.objects import own_bucket
from store.objects.bucket import ObjectBucket
from store.objects.folder import ObjectFolder
from store.objects.object_store import ObjectStore
from store.objects.routed import RoutedObjects
from store.people.accounts import Pbx
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from store.retention.expiry import delete_marked
from store.retention.removal import erase_calls
from store.retention.set_aside import expire_set_aside
from store.transfer.objects import move
from tests.data import seed
from tests.store.test_intake import AUDIO, BEGIN, NOW, take
from tests.store.test_store_in_bucket import keys_of, nothing_is_young  # noqa: F401
from tests.support.faulty_link import FaultyLink, faulty_link
from tests.support.own_buckets import directory, keys_at, put_into
from tests.support.radosgw import S3Server
from tests.support.stored_objects import object_keys, stored_bytes

ACME = [seed.a_call(number, BEGIN + timedelta(minutes=number)) for number in range(4)]
OTHER = [replace(seed.a_call(number, BEGIN), domain="other") for number in (10, 11)]
MARK = ".fonoteka-domain"

pytestmark = pytest.mark.parametrize("section", ["folder-s3", "s3"], indirect=True)


@pytest.fixture
async def link(s3: S3Server) -> AsyncIterator[FaultyLink]:
    """The link between the store and the domain's bucket."""
    async with faulty_link(s3.port) as running:
        yield running


@pytest.fixture
def bucket(s3: S3Server, link: FaultyLink) -> str:
    """A new bucket, for a domain."""
    return address(s3, link.port)


def address(s3: S3Server, port: int | None = None, *, name: str = "") -> str:
    return f"s3://{name or s3.new_bucket()}?endpoint=http://127.0.0.1:{port or s3.port}"


@pytest.fixture
async def both(store: Store, pbx: Pbx, bucket: str) -> list[str]:
    """The keys of a recording of acme from before the bucket, two in it, and one of another."""
    await take(store, pbx, ACME[0])
    await put_into(store, bucket)
    for call in (ACME[1], ACME[2], OTHER[0]):
        await take(store, pbx, call)
    return await keys_of(store)


def main_keys(store: Store) -> list[str]:
    return [key for key in object_keys(store) if not key.startswith(".incoming/")]


def with_peaks(*keys: str) -> list[str]:
    return sorted(name for key in keys for name in (key, peaks_key(key)))


async def test_each_has_its_own_and_nothing_else(store: Store, both: list[str]) -> None:
    before, second, third, other = both
    assert second.startswith("~1/pbx1/2026/11/22/") and not before.startswith("~")
    assert main_keys(store) == with_peaks(before, other)
    assert await keys_at(store, 1) == [MARK, *with_peaks(second.removeprefix("~1/"), third.removeprefix("~1/"))]
    for key in both:
        assert await store.objects.read(key) == AUDIO and await stored_bytes(store, key) != AUDIO
    assert (await verified(store)).found == ()


async def test_whatever_the_store_of_objects_does_is_done_at_the_place(store: Store) -> None:
    """A method that a bucket or a folder has of its own must not end at the router."""
    own = {name for kind in (ObjectBucket, ObjectFolder) for name in vars(kind) if hasattr(ObjectStore, name)}
    assert {name for name in own if not name.startswith("_")} - set(vars(RoutedObjects)) == set()


async def test_where_a_domain_was_before_is_remembered(store: Store, pbx: Pbx, both: list[str], s3: S3Server) -> None:
    await put_into(store, address(s3))
    await take(store, pbx, ACME[3])
    assert (await keys_of(store))[-1].startswith("~2/")
    await apply(store, parse_directory(directory(None), source="test"))
    assert await store.objects.read(both[1]) == AUDIO
    assert (await verified(store)).found == ()


async def test_the_bucket_at_another_address_is_the_same_place(
    store: Store, both: list[str], s3: S3Server, bucket: str, section: StoreSection
) -> None:
    await put_into(store, bucket.replace("127.0.0.1", "localhost"))
    async with store.reading() as connection:
        assert "localhost" in (await connection.execute(select(domains.c.objects).where(domains.c.name == "acme"))).scalar_one()
    again = await Store.open(section)
    try:
        assert await again.objects.read(both[1]) == AUDIO and await keys_at(again, 1) == await keys_at(store, 1)
    finally:
        await again.close()


async def test_the_audit_does_not_say_where(store: Store, pbx: Pbx, bucket: str) -> None:
    (change,) = await put_into(store, bucket)
    assert str(change) == f"~ domain acme: objects None → {bucket}"
    async with store.reading() as connection:
        rows = (await connection.execute(select(audit.c.action, audit.c.detail).order_by(audit.c.id.desc()).limit(1))).all()
    assert [tuple(row) for row in rows] == [("domain_changed", {"objects": "changed"})]


async def test_a_bucket_is_of_one_domain_alone(store: Store, pbx: Pbx, s3: S3Server, section: StoreSection, bucket: str) -> None:
    await put_into(store, bucket)
    taken = bucket.replace("127.0.0.1", "localhost")
    both = directory(bucket).replace('name = "other"\n', f'name = "other"\nobjects = "{taken}"\n')
    with pytest.raises(ConfigurationError, match=r'domain "other", objects = .* the bucket is of domain "acme"'):
        await apply(store, parse_directory(both, source="domains.toml"))
    fresh = address(s3)
    twice = both.replace(bucket, fresh).replace(taken, fresh)
    with pytest.raises(ConfigurationError, match='is of domains "acme" and "other"'):
        parse_directory(twice, source="domains.toml")
    other_words = both.replace(bucket, fresh).replace(taken, f"{fresh}&region=us-east-1")
    with pytest.raises(ConfigurationError, match='the bucket is of domain "acme"'):
        await apply(store, parse_directory(other_words, source="domains.toml"))
    strange = s3.new_bucket()
    s3.client().put_object(strange, "a-file", BytesIO(b"x"), 1)
    refused = {address(s3, name=strange): "is not empty", address(s3, name="no-such-bucket"): "the bucket does not exist"}
    if section.objects.startswith("s3"):
        refused[section.objects] = "the bucket of store.objects"
    for objects, words in refused.items():
        with pytest.raises(ConfigurationError, match=words) as error:
            await put_into(store, objects)
        assert "s3-secret" not in str(error.value) and "a-secret" not in str(error.value)
    async with store.reading() as connection:
        assert (await connection.execute(select(domains.c.objects).where(domains.c.name == "other"))).scalar() is None


async def test_verify_finds_what_differs_in_the_bucket_and_mends_it(
    store: Store,
    pbx: Pbx,
    both: list[str],
    nothing_is_young: None,  # noqa: F811
) -> None:
    await store.objects.put_bytes(placed_key(1, "pbx1/2026/11/22/stray.opus"), b"x", data_key=None)
    await store.objects.delete_all([both[1], peaks_key(both[2])])
    found = (await verified(store)).found
    assert {finding.kind for finding in found} == {Kind.ORPHANED, Kind.MISSING, Kind.PEAKS_MISSING}
    await verified(store, make_peaks=peaks_of)
    assert (await verified(store)).found == ()
    assert await store.objects.all_set_aside() == [peaks_key(both[1]), "~1/pbx1/2026/11/22/stray.opus"]
    assert not [key for key in object_keys(store) if key.startswith(".orphaned")], "they stay in the bucket"
    await expire_set_aside(store, NOW + timedelta(days=400))
    assert await store.objects.all_set_aside() == []
    await take(store, pbx, ACME[1])
    assert await keys_of(store) == both and (await verified(store)).found == ()


async def test_keys_are_rotated_at_all_places(store: Store, both: list[str]) -> None:
    before = {key: await stored_bytes(store, key) for key in both}
    assert await rekeying.rotate(store, lambda progress: None, old_keys_stay_s=0) == 0
    assert {key for key in both if await stored_bytes(store, key) == before[key]} == set()
    assert (await verified(store)).found == ()


async def test_what_expires_leaves_nothing_at_any_place(store: Store, both: list[str]) -> None:
    aside = f".orphaned/{peaks_key(both[1])}"
    for key in (f".orphaned/~1/{both[1].removeprefix('~1/')}", f".orphaned/{both[1].removeprefix('~1/')}", aside):
        await store.objects.put_bytes(key, b"of an earlier place too", data_key=None)
    async with store.writing() as connection:
        expired = update(segments).where(segments.c.object_key.in_(both[:2])).values(expired_at=NOW, reason="retention")
        await connection.execute(expired)
    await delete_marked(store)
    assert main_keys(store) == with_peaks(both[3])
    assert await keys_at(store, 1) == [MARK, *with_peaks(both[2].removeprefix("~1/"))]


async def test_an_erased_call_leaves_nothing_at_any_place(store: Store, both: list[str], nothing_is_young: None) -> None:  # noqa: F811
    """Also of a recording that was lost, and of one that was somewhere else before."""
    third = recording_key("pbx1", ACME[2].segments[0].name, ACME[2].segments[0].started_at, AudioFormat.OPUS)
    for key in (third, f".orphaned/{third}", placed_key(1, third), f".orphaned/~1/{third}"):
        await store.objects.put_bytes(key, b"left", data_key=None)
    async with store.writing() as connection:
        await connection.execute(update(segments).where(segments.c.object_key == both[2]).values(object_key=None))
        wanted = select(segments.c.call_id).where(segments.c.name.in_([call.segments[0].name for call in ACME[1:3]]))
        ids = list((await connection.execute(wanted)).scalars())
    await store.objects.delete_all(with_peaks(both[2]))

    def entry(public_ids: Any) -> NewEntry:
        return NewEntry(domain_id=1, at=NOW, by=SYSTEM, action="calls_erased", subject="", detail={"ids": list(public_ids)})

    await erase_calls(store, 1, ids, now=NOW, entry=entry)
    assert main_keys(store) == with_peaks(both[0], both[3]) and await keys_at(store, 1) == [MARK]


async def test_a_bucket_that_is_gone_hurts_its_domain_only(
    store: Store, pbx: Pbx, both: list[str], link: FaultyLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    link.cut_at = 0
    for _ in range(2):
        with pytest.raises(BucketAway):
            await take(store, pbx, ACME[3])
    with pytest.raises(BucketAway):
        await store.objects.read(both[1])
    await take(store, pbx, OTHER[1])
    assert await store.objects.read(both[0]) == AUDIO and await store.objects.read(both[3]) == AUDIO
    async with store.writing() as connection:
        marked = update(segments).where(segments.c.object_key.in_([both[0], both[1]]))
        await connection.execute(marked.values(expired_at=NOW, reason="retention"))
    await delete_marked(store)
    assert await keys_of(store) == [None, *both[1:], (await keys_of(store))[-1]], "what is gone keeps its key until it is deleted"
    link.cut_at = None
    monkeypatch.setattr(own_bucket, "_REFUSED_FOR_S", 0.0)
    (await store.objects.at(1))._refused_until = 0.0  # type: ignore[attr-defined]
    await delete_marked(store)
    await take(store, pbx, ACME[3])
    assert (await verified(store)).found == () and (await keys_of(store))[1] is None


async def test_no_other_writer_waits_for_the_server(
    store: Store, pbx: Pbx, both: list[str], link: FaultyLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent in a transaction but the copies, nor asked soon after no answer came."""

    def writing() -> None:
        raise AssertionError("a transaction was begun")

    monkeypatch.setattr(own_bucket, "_REFUSED_FOR_S", 3600.0)
    link.cut_at = 0
    with monkeypatch.context() as patch:
        patch.setattr(store, "writing", writing)
        with pytest.raises(BucketAway):
            await take(store, pbx, ACME[3])
        sent = link.sent
        with pytest.raises(BucketAway, match="a moment ago"):
            await take(store, pbx, ACME[3])
        assert link.sent == sent


async def test_the_doctor_looks_at_each_bucket(store: Store, both: list[str], section: StoreSection, link: FaultyLink) -> None:
    async def found() -> dict[str, bool | None]:
        return {finding.check: finding.ok async for finding in doctor.check(Configuration(store=section))}

    checks = ("bucket", "lifecycle of the bucket", "object lock of the bucket")
    main = dict.fromkeys(checks, True) if section.objects.startswith("s3") else {}
    assert await found() == main | {f"{check} of domain acme": True for check in checks}
    link.cut_at = 0
    assert await found() == main | {"bucket of domain acme": False}


async def test_other_commands_know_what_is_elsewhere(
    store: Store, both: list[str], section: StoreSection, s3: S3Server, tmp_path: Path
) -> None:
    """A move of `store.objects` leaves buckets of domains alone; a backup would lack them."""
    target = ObjectFolder(tmp_path / "new", store.keys)
    target.prepare(sweep=False)
    moved = await move(store, store.objects.main, target, tmp_path / "journal")
    assert (moved.copied, moved.lost) == (4, [])
    with pytest.raises(ConfigurationError, match=r"in buckets of their own|in S3"):
        make_backup(section, tmp_path / "backup")
    async with store.writing() as connection:
        await connection.execute(update(segments).where(segments.c.object_key.like("~%")).values(expired_at=NOW))
        assert (await connection.execute(select(calls.c.id))).all()
