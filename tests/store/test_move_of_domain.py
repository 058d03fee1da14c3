"""`fonoteka objects move --domain`: a domain's recordings come to where its setting says."""

import hashlib
from datetime import timedelta
from functools import partial
from io import BufferedReader
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from fonoteka.cli import objects as commands
from fonoteka.cli.commands.objects import app
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.errors import ConfigurationError, IntakeDeferred, StoreError
from fonoteka.core.naming import peaks_key, placed_key
from store.database.schema import object_places, segments
from store.database.store import Store
from store.intake import intake
from store.integrity.verification import verified
from store.people.accounts import Pbx
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from store.retention.expiry import delete_marked
from store.transfer.domain_objects import DomainMoved, move_domain
from tests.data import seed
from tests.store.test_intake import AUDIO, BEGIN, NOW, take
from tests.store.test_own_buckets import ACME, MARK, OTHER, address, main_keys, with_peaks
from tests.store.test_store_in_bucket import keys_of
from tests.support.own_buckets import keys_at, put_into
from tests.support.radosgw import S3Server
from tests.support.stored_objects import stored_bytes

pytestmark = pytest.mark.parametrize("section", ["folder-s3", "s3"], indirect=True)

FURTHER = [seed.a_call(number, BEGIN + timedelta(minutes=number)) for number in range(20, 23)]


@pytest.fixture
async def recorded(store: Store, pbx: Pbx) -> list[str]:
    """The keys of three recordings of acme, and of one of another domain."""
    for call in (*ACME[:3], OTHER[0]):
        await take(store, pbx, call)
    return await keys_of(store)


async def moved(store: Store) -> DomainMoved:
    return await move_domain(store, "acme", old_objects_stay_s=0)


def journals(store: Store) -> list[Path]:
    return list(store.objects.workspace.parent.glob("*move-domain*"))


async def test_into_the_bucket_and_into_another_and_back(
    store: Store,
    pbx: Pbx,
    recorded: list[str],
    s3: S3Server,
) -> None:
    before = {key: await stored_bytes(store, key) for key in recorded}
    await put_into(store, address(s3))
    await take(store, pbx, ACME[3])
    done = await moved(store)
    assert (done.moved, done.deleted, done.lost, done.emptied) == (3, 6, [], [])
    keys = await keys_of(store)
    assert keys[:4] == [*(placed_key(1, key) for key in recorded[:3]), recorded[3]]
    assert main_keys(store) == with_peaks(recorded[3])
    assert {key: await stored_bytes(store, placed_key(1, key)) for key in recorded[:3]} | {
        recorded[3]: before[recorded[3]]
    } == before, "encrypted as before"
    second = address(s3)
    await put_into(store, second)
    done = await moved(store)
    assert (done.moved, done.deleted, len(done.emptied)) == (4, 8, 1)
    assert await keys_at(store, 2) == [MARK, *with_peaks(*recorded[:3], keys[4].removeprefix("~1/"))]
    async with store.reading() as connection:
        assert list((await connection.execute(select(object_places.c.id))).scalars()) == [2]
    await apply(store, parse_directory(seed.DIRECTORY, source="test"))
    done = await moved(store)
    assert (done.moved, done.lost, done.emptied) == (4, [], [second])
    assert await keys_of(store) == [*recorded, keys[4].removeprefix("~1/")]
    assert [await store.objects.read(key) for key in await keys_of(store)] == [AUDIO] * 5
    assert (await verified(store)).found == () and journals(store) == []
    await put_into(store, second)
    assert (await moved(store)).moved == 4, "a bucket that was forgotten may be claimed again"


async def test_a_run_that_ends_anywhere_goes_on_and_leaves_nothing(
    store: Store,
    recorded: list[str],
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await put_into(store, address(s3))
    left = 0

    def failing(name: str) -> None:
        work = getattr(store.objects, name)

        async def fail(*given: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise StoreError("the server is away")
            await work(*given)

        monkeypatch.setattr(store.objects, name, fail)

    failing("publish")
    failing("delete_all")
    for failures in count():
        left = failures
        try:
            done = await moved(store)
        except StoreError:
            assert journals(store) and [await store.objects.read(key) for key in await keys_of(store)] == [AUDIO] * 4
        else:
            break
    assert failures > 2 and done.lost == []
    assert main_keys(store) == with_peaks(recorded[3]) and await keys_at(store, 1) == [MARK, *with_peaks(*recorded[:3])]
    assert (await verified(store)).found == () and journals(store) == []


async def test_what_is_damaged_stays_where_it_is(store: Store, recorded: list[str], s3: S3Server) -> None:
    altered = bytearray(await stored_bytes(store, recorded[0]))
    altered[-1] ^= 1
    await store.objects.put_bytes(recorded[0], bytes(altered), data_key=None)
    await store.objects.delete_all([peaks_key(recorded[1])])
    await put_into(store, address(s3))
    done = await moved(store)
    assert (done.moved, len(done.lost)) == (1, 2)
    assert await keys_of(store) == [*recorded[:2], placed_key(1, recorded[2]), recorded[3]]
    assert await keys_at(store, 1) == [MARK, *with_peaks(recorded[2])]
    assert set(with_peaks(*recorded[:2])) - set(main_keys(store)) == {peaks_key(recorded[1])}


async def test_what_expires_meanwhile_does_not_come_back(
    store: Store,
    recorded: list[str],
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await put_into(store, address(s3))
    publish = store.objects.publish

    async def expiring(*drafts: object) -> None:
        await publish(*drafts)  # type: ignore[arg-type]
        async with store.writing() as connection:
            of_first = update(segments).where(segments.c.object_key == recorded[0])
            await connection.execute(of_first.values(expired_at=NOW, reason="retention"))
        await delete_marked(store)

    monkeypatch.setattr(store.objects, "publish", expiring)
    assert (await moved(store)).lost == []
    assert await keys_of(store) == [None, *(placed_key(1, key) for key in recorded[1:3]), recorded[3]]
    assert await keys_at(store, 1) == [MARK, *with_peaks(*recorded[1:3])] and main_keys(store) == with_peaks(recorded[3])


async def test_peaks_that_are_made_again_meanwhile_are_moved_by_the_next_run(
    store: Store, recorded: list[str], s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_into(store, address(s3))
    opened, remade = store.objects.open_stored, b'{"duration_ms": 5000}'
    of_first = segments.c.object_key == recorded[0]

    async def remaking(key: str) -> BufferedReader:
        file = await opened(key)
        if key == peaks_key(recorded[0]):
            await store.objects.put_bytes(key, remade, data_key=None)
            async with store.writing() as connection:
                values = {"peaks_sha256": hashlib.sha256(remade).hexdigest()}
                await connection.execute(update(segments).where(of_first).values(values))
        return file

    with monkeypatch.context() as patch:
        patch.setattr(store.objects, "open_stored", remaking)
        assert (await moved(store)).moved == 2
    assert (await keys_of(store))[0] == recorded[0] and await store.objects.read(peaks_key(recorded[0])) == remade


async def test_a_recording_that_is_stored_while_the_setting_changes_is_sent_again(
    store: Store,
    pbx: Pbx,
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it could come into a bucket that was just found empty, and forgotten."""
    await put_into(store, address(s3))

    async def of_before(*_: object) -> None:
        return None

    with monkeypatch.context() as patch:
        patch.setattr(intake, "place_for", of_before)
        with pytest.raises(IntakeDeferred, match="another place"):
            await take(store, pbx, FURTHER[0])
    assert main_keys(store) == []
    await take(store, pbx, FURTHER[0])
    assert (await keys_of(store))[0].startswith("~1/")


async def test_the_command_says_what_was_done(
    store: Store,
    section: StoreSection,
    recorded: list[str],
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(commands, "move_domain", partial(move_domain, old_objects_stay_s=0))
    configuration, first = Configuration(store=section), address(s3)
    await put_into(store, first)
    assert await commands.move_domain_objects(configuration, "acme") == 0
    said = capsys.readouterr()
    assert "moved: 3 recordings" in said.out and "deleted where they were: 6 objects" in said.out
    await store.objects.delete_all([placed_key(1, recorded[0])])
    await put_into(store, None)
    assert await commands.move_domain_objects(configuration, "acme") == 1
    said = capsys.readouterr()
    assert "moved: 2 recordings" in said.out and "recordings that cannot be moved: 1" in said.err and "empty" not in said.out


async def test_wrong_usage(store: Store, pbx: Pbx) -> None:
    with pytest.raises(ConfigurationError, match="--domain = 'nobody': there is no such domain"):
        await move_domain(store, "nobody")
    with store.objects.replacing(), pytest.raises(ConfigurationError, match="wait for its end"):
        await moved(store)
    for arguments in (["move"], ["move", "--to", "s3://x", "--domain", "acme"]):
        assert isinstance(CliRunner().invoke(app, arguments).exception, ConfigurationError)
