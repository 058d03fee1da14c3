"""The API deletes what is due at its start, each night, and after a change; agents follow."""

import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from agent.shipping.api_client import ApiClient
from agent.shipping.recording_shipper import RecordingShipper
from api.dependencies.metrics import Metrics
from api.quota_watch import QuotaWatch
from api.retention import RetentionWork
from fonoteka.cli.retention import expired
from fonoteka.core.clock import WallClock
from fonoteka.core.config import Configuration, MailSection
from fonoteka.core.manifest import read_mixed, write_manifest, write_mixed
from fonoteka.core.spool import ItemState, Spool
from store.database.store import Store
from store.people.accounts import pbx_of
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from store.retention.due import retained_domains
from store.retention.run import delete_due
from tests.api.conftest import Site, ship
from tests.data import seed
from tests.store.test_intake import AUDIO, BEGIN, take
from tests.store.test_retention import no_rest
from tests.support.mail_server import mail_server
from tests.support.stored_objects import object_keys, objects_folder

NOON = datetime.fromisoformat("2026-11-29T12:00:00+07:00")  # acme's clock: Krasnoyarsk
NIGHT = datetime.fromisoformat("2026-11-30T03:00:00+07:00")
SECOND = timedelta(seconds=1)


@pytest.fixture
async def store(seeded: Path, tmp_path: Path) -> AsyncIterator[Store]:
    """A store with two recordings, of the evenings of 22 and 21 November in Krasnoyarsk."""
    shutil.copytree(seeded, tmp_path, dirs_exist_ok=True)
    opened = await Store.open(seed.section(tmp_path))
    pbx = await pbx_of(opened, seed.PBX_TOKEN)
    assert pbx is not None
    for number, age in enumerate((timedelta(), timedelta(days=1))):
        await take(opened, pbx, seed.a_call(number, BEGIN - age))
    yield opened
    await opened.close()


async def test_it_works_at_the_start_at_night_and_after_a_change(store: Store) -> None:
    metrics, cleaned = Metrics(), []
    work = RetentionWork(
        store,
        delete=partial(delete_due, store, rest=no_rest),
        notify=metrics.count_deleted,
        overdue=metrics.set_overdue,
        clean=lambda: cleaned.append(1),
        quotas=QuotaWatch(store, MailSection(), metrics.set_quota),
    )
    with capture_logs() as lines:
        await work.work(NOON)
        assert (len(object_keys(store)), len(cleaned)) == (4, 1), "the start; nothing is due"
        await work.work(NOON + SECOND)
        assert len(cleaned) == 1, "nothing has changed"
        await apply(store, parse_directory(seed.DIRECTORY.replace("= 180", "= 7", 1), source="test"))
        await work.work(NOON + 2 * SECOND)
        assert (len(object_keys(store)), len(cleaned)) == (2, 2), "after the change"
        await work.work(NIGHT - SECOND)
        assert len(object_keys(store)) == 2, "due for three hours, but it is not yet night"
        await work.work(NIGHT)
        assert (object_keys(store), len(cleaned)) == ([], 3)
    assert [(line["event"], line["rule"], line["recordings"]) for line in lines] == [
        ("retention.deleted", "retention_days = 7", 1),
        ("retention.deleted", "retention_days = 7", 1),
    ]
    text = metrics.text().decode()
    assert "fonoteka_retention_recordings_total 2.0" in text and "fonoteka_retention_overdue_seconds 0.0" in text
    assert f"fonoteka_retention_bytes_total {float(2 * len(AUDIO))}" in text


async def test_what_is_beyond_a_quota_goes_each_hour_after_one_letter(store: Store, tmp_path: Path) -> None:
    metrics, noon = Metrics(), NOON
    with mail_server(tmp_path) as (server, section), capture_logs() as lines:
        mail = section.model_copy(update={"operator": ("operator@host.example",)})
        work = RetentionWork(
            store,
            delete=partial(delete_due, store, rest=no_rest),
            notify=metrics.count_deleted,
            overdue=metrics.set_overdue,
            clean=lambda: None,
            quotas=QuotaWatch(store, mail, metrics.set_quota),
        )
        await work.work(noon)
        assert "fonoteka_quota_used_ratio{" not in metrics.text().decode()
        directory = seed.DIRECTORY.replace('name = "acme"', 'name = "acme"\nquota_recordings = 2', 1)
        await apply(store, parse_directory(directory, source="test"))
        server.full = True
        await work.work(noon + SECOND)
        assert [line["event"] for line in lines] == ["quota.nearly_used", "quota.letter_not_sent"], "all is used, nothing beyond"
        server.full = False
        await work.work(noon + 2 * SECOND)
        assert server.taken == [], "not within the hour"
        pbx = await pbx_of(store, seed.PBX_TOKEN)
        assert pbx is not None
        await take(store, pbx, seed.a_call(7, BEGIN + SECOND))
        await work.work(noon + timedelta(hours=1, seconds=2))
        await work.work(noon + timedelta(hours=2, seconds=4))
    [letter] = server.taken
    assert letter.recipients == ("operator@host.example", "boss@acme.example")
    assert "acme: квота записей использована на 150 %" in letter.message["Subject"]
    assert len(object_keys(store)) == 4, "two recordings with their peaks"
    assert 'fonoteka_quota_used_ratio{domain="acme"} 1.0' in metrics.text().decode()
    deleted = [(line["rule"], line["recordings"]) for line in lines if line["event"] == "retention.deleted"]
    assert deleted == [("quota_recordings = 2", 1)]


async def test_administrators_see_that_a_quota_is_nearly_used(site: Site, agent: httpx.AsyncClient) -> None:
    """Until there is space again, or no quota."""
    store = site.services.store
    watch = QuotaWatch(store, MailSection(), lambda _name, _used: None)

    async def shown(line: str = "quota_recordings = 1") -> list[bool | None]:
        directory = seed.DIRECTORY.replace('name = "acme"', f'name = "acme"\n{line}', 1)
        await apply(store, parse_directory(directory, source="test"))
        await watch.look(await retained_domains(store), NOON)
        seen = []
        for login, domain in (("900", "acme"), ("152", "acme"), ("900", "other")):
            async with await site.log_in(login, domain) as client:
                seen.append((await client.get("/api/me")).json()["quota_nearly_used"])
        return seen

    assert await shown() == [False, None, False]
    await ship(agent, seed.a_call(7, BEGIN), 900)
    assert await shown() == [True, None, False]
    assert await shown("") == [False, None, False]
    assert await shown() == [True, None, False]
    assert await shown("quota_recordings = 5") == [False, None, False]


def test_a_clock_that_jumps_ahead_deletes_nothing_for_a_day() -> None:
    """Unless it jumps back: an operator or NTP has corrected it."""
    wall, steady = 1000.0, 0.0
    clock = WallClock(lambda: wall, lambda: steady)
    nothing: Any = None
    work = RetentionWork(nothing, delete=nothing, notify=nothing, overdue=nothing, clean=nothing, quotas=nothing, clock=clock)
    trusted = [work.trusts_clock()]
    for wall_s, steady_s in ((172_800, 0), (86_399, 86_399), (1, 1), (172_800, 0), (-172_800, 0), (60, 60)):
        wall, steady = wall + wall_s, steady + steady_s
        trusted.append(work.trusts_clock())
    assert trusted == [True, False, False, True, False, True, True]


async def test_the_command_says_what_and_how_much(store: Store) -> None:
    configuration = configuration_of(store)
    await apply(store, parse_directory(seed.DIRECTORY.replace("= 180", "= 1", 1), source="test"))
    both = f"2 recordings of 2 calls, {2 * len(AUDIO) / 1e6:.1f} MB,"
    assert await expired(configuration, dry_run=True) == [f"acme: retention_days = 1: {both} would be deleted"]
    assert len(object_keys(store)) == 4
    assert await expired(configuration, dry_run=False) == [f"acme: retention_days = 1: {both} deleted"]
    assert (await expired(configuration, dry_run=False), object_keys(store)) == (["nothing is due"], [])


def configuration_of(store: Store) -> Configuration:
    """The configuration of a store in a folder."""
    return Configuration(store=seed.section(objects_folder(store).root.parent))


async def test_an_agent_deletes_its_copy_of_a_deleted_recording(site: Site, tmp_path: Path) -> None:
    """The receipt of the first upload was lost; meanwhile the recording expired."""
    store = site.services.store
    pbx = await pbx_of(store, seed.PBX_TOKEN)
    assert pbx is not None
    call = seed.a_call(1, BEGIN)
    await take(store, pbx, call)
    await apply(store, parse_directory(seed.DIRECTORY.replace("= 180", "= 1", 1), source="test"))
    await delete_due(store, NOON, rest=no_rest)
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    folder = spool.folder(ItemState.MIXED) / call.segments[0].name
    folder.mkdir()
    mixed = seed.mixed_of(AUDIO, 5000)
    write_manifest(folder, seed.manifest_of(call, call.segments[0]))
    (folder / mixed.audio_file).write_bytes(AUDIO)
    (folder / mixed.peaks_file).write_bytes(seed.peaks(5000))
    write_mixed(folder, mixed)
    assert read_mixed(folder) == mixed
    done: list[str] = []
    api = ApiClient(site.address, seed.PBX_TOKEN)
    shipper = RecordingShipper(api, spool, shipped=lambda _, linkedid: done.append(linkedid), rejected=lambda *_: None)
    await shipper._ship(folder)
    await api.close()
    assert done == [call.linkedid] and not folder.exists()
    assert list(spool.items(ItemState.REJECTED)) == []
