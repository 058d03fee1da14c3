"""Quotas of a domain: the oldest recordings go, and nothing else."""

from datetime import timedelta

import pytest

from fonoteka.core.call_report import Reason, RecordingState
from store.audit.read import page_of_audit
from store.database.store import Store
from store.people.accounts import Pbx
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from store.retention.quota import Quota, Usage, usage_of
from store.retention.run import Amount, Rule, delete_due
from store.selection.period import Period
from tests.data import seed
from tests.store.test_intake import AUDIO, BEGIN, scope_of, seen, take
from tests.store.test_retention import hold, no_rest, run
from tests.support.stored_objects import object_keys

CALLS = [seed.a_call(number, BEGIN + timedelta(minutes=number)) for number in range(4)]


async def with_quota(store: Store, line: str) -> None:
    directory = seed.DIRECTORY.replace('name = "acme"', f'name = "acme"\n{line}', 1)
    await apply(store, parse_directory(directory, source="test"))


async def states(store: Store) -> list[tuple[RecordingState, Reason | None]]:
    """The recordings of CALLS, oldest first."""
    shown = [await seen(store, call) for call in CALLS]
    return [(call.recording.state, call.recording.reason) for call in shown if call is not None]


READY = (RecordingState.READY, None)
DELETED = (RecordingState.EXPIRED, Reason.QUOTA)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [("quota_recordings = 2", "quota_recordings", 2), (f"quota_gb = {2.5 * len(AUDIO) / 1e9:.12f}", "quota_gb", None)],
)
async def test_the_oldest_recordings_beyond_the_quota_are_deleted(
    store: Store, pbx: Pbx, line: str, key: str, value: int | None
) -> None:
    for call in CALLS:
        await take(store, pbx, call)
    assert await run(store, BEGIN + timedelta(hours=1)) == {}, "there is no quota"
    await with_quota(store, line)
    deleted = await run(store, BEGIN + timedelta(hours=1))
    [(rule, amount)] = deleted.items()
    assert (rule.domain, rule.key, rule.user, amount) == (
        "acme",
        key,
        None,
        Amount(calls=2, recordings=2, size_bytes=2 * len(AUDIO)),
    )
    assert value is None or rule == Rule(domain="acme", key=key, value=value)
    assert await states(store) == [DELETED, DELETED, READY, READY]
    assert len(object_keys(store)) == 4, "audio and peaks of two recordings"
    days = Period(start=BEGIN, end=BEGIN + timedelta(days=1))
    page = await page_of_audit(store, (await scope_of(store)).domain_id, days, actions=(), login=None, after=None, limit=1)
    entry = page.items[0]
    assert (entry.action, entry.detail["recordings"], key in entry.detail) == ("recordings_expired", 2, True)


async def test_what_is_held_neither_counts_nor_goes(store: Store, pbx: Pbx) -> None:
    for call in CALLS:
        await take(store, pbx, call)
    await hold(store, CALLS[0])
    await with_quota(store, "quota_recordings = 1")
    domain_id = (await scope_of(store)).domain_id
    assert await usage_of(store, domain_id) == Usage(recordings=3, size_bytes=3 * len(AUDIO))
    await run(store, BEGIN + timedelta(hours=1))
    assert await states(store) == [READY, DELETED, DELETED, READY]
    assert await usage_of(store, domain_id) == Usage(recordings=1, size_bytes=len(AUDIO))


async def test_a_call_in_progress_keeps_its_recordings(store: Store, pbx: Pbx) -> None:
    await take(store, pbx, seed.but(CALLS[0], ended_at=None))
    await take(store, pbx, CALLS[1])
    await with_quota(store, "quota_recordings = 1")
    await delete_due(store, BEGIN + timedelta(hours=1), rest=no_rest)
    assert [await seen(store, call) is not None and len(object_keys(store)) for call in CALLS[:2]] == [2, 2]


@pytest.mark.parametrize(
    ("quota", "used", "exceeded"),
    [
        (Quota(), 0.0, None),
        (Quota(gb=2.0), 0.5, None),
        (Quota(gb=1.0), 1.0, None),
        (Quota(gb=0.5), 2.0, ("quota_gb", 0.5)),
        (Quota(recordings=4), 2.5, ("quota_recordings", 4)),
        (Quota(gb=0.1, recordings=4), 10.0, ("quota_gb", 0.1)),
        (Quota(gb=5.0, recordings=4), 2.5, ("quota_recordings", 4)),
    ],
)
def test_the_limit_that_is_exceeded_most(quota: Quota, used: float, exceeded: tuple[str, float] | None) -> None:
    usage = Usage(recordings=10, size_bytes=10**9)
    assert (quota.used(usage), quota.exceeded(usage)) == (used, exceeded)
    assert bool(quota) == (quota != Quota())
