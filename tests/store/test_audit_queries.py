"""Pages of the audit, legal hold, and changing a password."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from fonoteka.core.naming import call_id
from store.audit.read import AuditPage, AuditPlace, page_of_audit
from store.audit.write import Actor, AuditWriter, NewEntry, write_entry
from store.database import schema
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx, account_of, change_password, log_in
from store.provisioning.directory import domain_id_of, notify_email_of
from store.retention.legal_hold import set_legal_hold
from store.selection.period import Period
from store.selection.scope import Scope
from tests.data import seed

NOW = datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC)
ALWAYS = Period(start=NOW - timedelta(days=400), end=NOW + timedelta(days=4000))
BOSS = Actor(login="900", address="127.0.0.1")


async def scope_of(store: Store, domain: str = "acme") -> Scope:
    domain_id = await domain_id_of(store, domain)
    assert domain_id is not None
    return Scope(domain_id=domain_id, login=None)


async def page(store: Store, scope: Scope, *actions: str, after: AuditPlace | None = None, limit: int = 4) -> AuditPage:
    return await page_of_audit(store, scope.domain_id, ALWAYS, actions=actions, login=None, after=after, limit=limit)


async def test_pages_have_every_entry_once_also_of_one_moment(store: Store, pbx: Pbx) -> None:
    scope, other = await scope_of(store), await scope_of(store, "other")
    async with store.writing() as connection:
        for number in range(10):
            at = NOW + timedelta(seconds=number // 4)  # four of each moment
            await write_entry(connection, scope, BOSS, action="exported", subject=str(number), detail={"n": number}, now=at)
            await write_entry(connection, other, BOSS, action="exported", subject="other", detail={}, now=at)
    subjects, sizes, after = [], [], None
    while True:
        result = await page(store, scope, "exported", after=after)
        subjects += [entry.subject for entry in result.items]
        sizes.append(len(result.items))
        assert (result.total, result.total_is_exact) == (10, True)
        if (after := result.next) is None:
            break
    assert (subjects, sizes) == ([str(number) for number in range(9, -1, -1)], [4, 4, 2])
    assert (await page(store, scope, "exported", "held", limit=10)).next is None
    only = await page_of_audit(store, scope.domain_id, ALWAYS, actions=(), login="nobody", after=None, limit=10)
    assert (only.items, only.total) == ((), 0)
    short = Period(start=NOW + timedelta(seconds=1), end=NOW + timedelta(seconds=2))
    inside = await page_of_audit(store, scope.domain_id, short, actions=("exported",), login="900", after=None, limit=10)
    assert [(entry.subject, entry.name, dict(entry.detail)) for entry in inside.items] == [
        (str(number), "Директор Е.М.", {"n": number}) for number in (7, 6, 5, 4)
    ]


async def test_a_legal_hold_is_audited_with_its_reason(store: Store, pbx: Pbx) -> None:
    scope, call = await scope_of(store), seed.a_call(1, NOW)
    await upsert_calls(store, pbx, [call])
    public_id = call_id(pbx.name, call.linkedid)
    others = [await scope_of(store, "other"), Scope(domain_id=scope.domain_id, login="421")]
    for outside in others:
        assert not await set_legal_hold(store, outside, public_id, legal_hold=True, why="x", by=BOSS, now=NOW)
    assert await held(store, public_id) is False
    assert await set_legal_hold(store, scope, public_id, legal_hold=True, why="спор", by=BOSS, now=NOW)
    assert await held(store, public_id) is True
    await upsert_calls(store, pbx, [seed.but(call, revision=call.revision + 1)])  # a later report does not release it
    assert await held(store, public_id) is True
    (entry,) = (await page(store, scope, "held")).items
    assert entry.call is not None and (entry.call.src, entry.call.started_at) == (call.src, call.started_at)
    assert (entry.subject, entry.detail) == (public_id, {"note": "спор"})


async def held(store: Store, public_id: str) -> bool:
    async with store.reading() as connection:
        query = select(schema.calls.c.legal_hold).where(schema.calls.c.public_id == public_id)
        return bool((await connection.execute(query)).scalar_one())


async def test_changing_a_password_needs_the_current_one(store: Store, pbx: Pbx) -> None:
    here, account = await log_in(store, "acme", "152", seed.PASSWORD, NOW) or pytest.fail("cannot log in")
    there, _ = await log_in(store, "acme", "152", seed.PASSWORD, NOW) or pytest.fail("cannot log in")
    by = Actor(login="152", address="")
    assert not await change_password(store, account, "wrong", "a new one", token=here, by=by, now=NOW)
    assert await change_password(store, account, seed.PASSWORD, "a new one", token=here, by=by, now=NOW)
    assert not await change_password(store, account, seed.PASSWORD, "another", token=here, by=by, now=NOW)
    assert [await account_of(store, token, NOW) is not None for token in (here, there)] == [True, False]
    assert await log_in(store, "acme", "152", seed.PASSWORD, NOW) is None
    assert await log_in(store, "acme", "152", "a new one", NOW) is not None
    result = await page(store, await scope_of(store), "password_changed")
    assert [(entry.login, entry.subject) for entry in result.items] == [("152", "152")]


async def test_the_address_for_notifications(store: Store, pbx: Pbx) -> None:
    assert [await notify_email_of(store, name) for name in ("acme", "other", "nowhere", "acme\0")] == [
        "boss@acme.example", None, None, None,
    ]  # fmt: skip


async def test_a_call_is_found_in_the_deletion_of_many(store: Store, pbx: Pbx) -> None:
    """Its id is in the details, perhaps of a row that continues the entry."""
    by, at = Actor(login="system", address=""), NOW
    new = NewEntry(domain_id=1, at=at, by=by, action="recordings_expired", subject="", detail={"calls": 1, "ids": ["first"]})
    async with store.writing() as connection:
        writer = await AuditWriter.begin(connection, [1])
        seq = writer.append(new)
        writer.append(replace(new, detail={"calls": 2, "ids": ["second"]}, continues=seq))
        writer.append(replace(new, action="listened", subject="first", detail={}))
        writer.append(replace(new, action="exported", subject="calls", detail={"ids": ["first"]}))
        await writer.flush()
    for call, actions in (("first", ["listened", "recordings_expired"]), ("second", ["recordings_expired"]), ("fir%", [])):
        shown = await page_of_audit(store, 1, ALWAYS, actions=(), login=None, subject=call, after=None, limit=4)
        assert [entry.action for entry in shown.items] == actions
        assert shown.total == len(actions)
