"""Tests of the store once more, with its objects in S3; and what only a bucket needs."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from fonoteka.cli.evidence import export, verify
from fonoteka.cli.verify import peaks_of
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from fonoteka.core.naming import call_id, peaks_key
from store import rekeying
from store.audit.signing import AuditKey
from store.backup.backup import make_backup
from store.database.schema import calls, domains, segments
from store.database.store import Store
from store.evidence.verification import Verdict
from store.intake.intake import store_recording, upsert_calls
from store.integrity.findings import Kind
from store.integrity.verification import verified
from store.people.accounts import Pbx
from store.retention.set_aside import expire_set_aside
from tests.data import seed
from tests.store.test_encryption import (  # noqa: F401 (these run here once more)
    older,
    test_a_recording_that_comes_late_keeps_its_key_and_the_rotation_is_run_again,
    test_a_removed_domain_has_no_key,
    test_an_existing_store_is_encrypted_when_somebody_asks_for_it,
    test_an_upload_does_not_replace_what_was_stored_and_encrypted_meanwhile,
    test_keys_are_rotated_while_the_service_runs,
)
from tests.store.test_intake import (  # noqa: F401
    AUDIO,
    BEGIN,
    NOW,
    chunks,
    take,
    test_a_missing_object_is_stored_again,
    test_a_recording_beyond_the_limits_leaves_nothing_behind,
    test_a_recording_damaged_in_transfer_leaves_no_file,
    test_a_recording_makes_its_call_ready,
    test_a_segment_cannot_be_taken_from_its_call,
    test_the_same_recording_twice_is_one,
)
from tests.store.test_retention import (  # noqa: F401
    test_an_erased_call_leaves_nothing_and_counters_as_without_it,
    test_an_upload_during_the_deletion_leaves_no_object,
    test_marked_audio_is_not_seen_and_then_deleted_with_its_copies,
    test_what_is_held_is_neither_expired_nor_erased,
)
from tests.store.test_subjects import filled, test_the_calls_of_the_party_are_erased_and_nothing_else  # noqa: F401
from tests.support.stored_objects import object_keys, objects_bucket, stored_bytes

pytestmark = pytest.mark.parametrize("section", ["s3"], indirect=True)

CALLS = [seed.a_call(number, BEGIN + timedelta(minutes=number)) for number in range(4)]


@pytest.fixture
def nothing_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no object be one of a present upload: the time of an object cannot be set."""
    for module in ("store.objects.bucket", "store.objects.folder_files", "store.integrity.orphan_check"):
        monkeypatch.setattr(f"{module}.UPLOADED_WITHIN_S", -60.0)


async def keys_of(store: Store) -> list[str]:
    async with store.reading() as connection:
        return list((await connection.execute(select(segments.c.object_key).order_by(segments.c.id))).scalars())


async def overwrite(store: Store, key: str, content: bytes) -> None:
    await store.objects.put_bytes(key, content, data_key=None)


async def test_verify_finds_what_differs_and_mends_it(store: Store, pbx: Pbx, nothing_is_young: None) -> None:
    for call in CALLS:
        await take(store, pbx, call)
    keys = await keys_of(store)
    assert (await verified(store)).found == ()
    altered = bytearray(await stored_bytes(store, keys[0]))
    altered[-1] ^= 1
    await overwrite(store, keys[0], bytes(altered))
    await store.objects.delete_all([keys[1], peaks_key(keys[2])])
    await overwrite(store, peaks_key(keys[3]), b"{}")
    await overwrite(store, "pbx1/stray", b"x")
    expected = {Kind.ALTERED, Kind.MISSING, Kind.PEAKS_MISSING, Kind.PEAKS_ALTERED, Kind.ORPHANED}
    report = await verified(store)
    assert {finding.kind for finding in report.found} == expected and len(report.found) == 5
    assert report.looked_at["files"] == 7
    mended = await verified(store, make_peaks=peaks_of)
    assert {finding.kind for finding in mended.found if finding.mended is None} == {Kind.ALTERED}
    left = (await verified(store)).found
    assert [finding.kind for finding in left] == [Kind.ALTERED]
    assert await store.objects.all_set_aside() == sorted([peaks_key(keys[1]), "pbx1/stray"])
    await take(store, pbx, CALLS[1])
    assert len((await verified(store)).found) == 1, "the lost one was sent again"


async def test_what_was_set_aside_does_not_outlive_its_period(store: Store, pbx: Pbx) -> None:
    await take(store, pbx, CALLS[0])
    (key,) = await keys_of(store)
    content = await stored_bytes(store, key)
    await overwrite(store, ".orphaned/pbx1/2026/11/22/encrypted.opus", content)
    await overwrite(store, ".orphaned/pbx1/2026/11/22/plain.opus", b"plain")
    await overwrite(store, ".orphaned/x", b"of no day")
    async with store.writing() as connection:
        await connection.execute(update(domains).where(domains.c.id == 1).values(retention_days=3))
    await expire_set_aside(store, NOW + timedelta(days=5))
    assert await store.objects.all_set_aside() == ["pbx1/2026/11/22/plain.opus", "x"]


@pytest.mark.parametrize("deletion", [{"expired_at": NOW}, {"expired_at": NOW, "object_key": None}], ids=["begun", "ended"])
async def test_a_recording_that_is_deleted_while_it_is_encrypted_does_not_come_back(
    older: Store,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    deletion: dict[str, object],
) -> None:
    encrypt = older.objects.encrypt

    async def deleted_before(key: str, *args: object, **options: object) -> None:
        async with older.writing() as connection:
            await connection.execute(update(segments).values(deletion))
        await encrypt(key, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(older.objects, "encrypt", deleted_before)
    await rekeying.encrypt_existing(older, lambda _: None)
    first = seed.a_call(0, BEGIN).segments[0].name
    assert [key for key in object_keys(older) if first in key] == []


async def test_evidence_is_exported_with_the_key_of_the_working_folder(
    store: Store, pbx: Pbx, section: StoreSection, tmp_path: Path
) -> None:
    await upsert_calls(store, pbx, [CALLS[0]])
    await take(store, pbx, CALLS[0])
    file = tmp_path / "call.zip"
    await export(Configuration(store=section), call_id("pbx1", CALLS[0].linkedid), file)
    key = AuditKey.load(tmp_path / "objects-audit.key")
    assert Verdict.DIFFERS not in {line.verdict for line in verify(file, key.public)}


async def test_backups_are_refused_and_nothing_is_written(store: Store, section: StoreSection, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with pytest.raises(ConfigurationError, match=r"store\.objects is in S3"):
        await asyncio.to_thread(make_backup, section, target)
    assert not target.exists()


async def test_the_index_has_no_row_of_what_the_server_did_not_take(
    store: Store, pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server goes away between the upload and the copy to the name."""
    large = AUDIO + bytes(400_000)
    manifest, mixed = seed.manifest_of(CALLS[0], CALLS[0].segments[0]), seed.mixed_of(large, 5000)

    def gone(*_: object, **__: object) -> None:
        raise StoreError("the server is out of reach")

    with monkeypatch.context() as patch:
        patch.setattr(objects_bucket(store)._client, "copy", gone)
        with pytest.raises(StoreError, match="out of reach"):
            await store_recording(store, pbx, manifest, mixed, seed.peaks(5000), chunks(large), NOW)
    assert (await keys_of(store), object_keys(store)) == ([], [])
    async with store.reading() as connection:
        assert (await connection.execute(select(calls.c.id))).all() == []
    taken = await store_recording(store, pbx, manifest, mixed, seed.peaks(5000), chunks(large), NOW)
    (key,) = await keys_of(store)
    assert taken.receipt.sha256 == mixed.sha256 and object_keys(store) == [key, peaks_key(key)]
    assert await store.objects.read(key) == large
