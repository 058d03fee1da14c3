"""One call of two companies of a PBX: a row for each, and no way from one to the other."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations, product
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter
from sqlalchemy import select, update

from fonoteka.core.agent_protocol import Commands
from fonoteka.core.call_report import Action, CallReport, Direction, PathStep, Reason, RecordingState, SegmentReport
from fonoteka.core.naming import call_id
from store import recorder_commands
from store.audit.write import Actor
from store.database.schema import calls, domains, erased_calls
from store.database.store import Store
from store.intake.intake import CallsTaken, upsert_calls
from store.people.accounts import Pbx, add_pbx, pbx_of
from store.queries.audio import audio_of
from store.queries.calls import SeenCall, call_of, path_of
from store.retention.legal_hold import set_legal_hold
from store.retention.run import delete_due
from store.selection.scope import Scope
from store.subjects.erasure import erase_subject
from tests.api.conftest import Site, put_recording, report, ship
from tests.data import seed
from tests.store.test_intake import AUDIO, BEGIN, NOW, take

ACME, OTHER = Scope(domain_id=1, login=None), Scope(domain_id=2, login=None)
ASKED = "83912458888"  # acme's number, as the other company sees it
BOSS = Actor(login="900", address="127.0.0.1")


def began(number: int) -> datetime:
    """When a call began: what is said at the same moment is one sound."""
    return BEGIN + timedelta(seconds=10 * (number - 1))


def ours(number: int = 1, **fields: Any) -> CallReport:
    """The report of acme, whose user calls the other company."""
    call = seed.a_call(number, began(number))
    return seed.but(call, **{"direction": Direction.OUT, "src": "152", "dst": "74950000001", "answered_by": "74950000001"} | fields)


def theirs(number: int = 1, **fields: Any) -> CallReport:
    """The report of the other company about the same call."""
    call = seed.a_call(number, began(number))
    path = (PathStep(at=BEGIN, what="ring", who="901"), PathStep(at=BEGIN, what="answer", who="901"))
    own = SegmentReport(name=f"theirs-{number}-1", user="900", started_at=call.started_at)
    fields = {"src": ASKED, "dst": "74950000001", "employee": "900", "answered_by": "901", "segments": (own,)} | fields
    return seed.but(call, **{"domain": "other", "further": True, "participants": ("900",), "path": path} | fields)


def newer(call: CallReport, **fields: Any) -> CallReport:
    return seed.but(call, **{"revision": call.revision + 1000} | fields)


OUR_ID, THEIR_ID = call_id("pbx1", ours().linkedid), call_id("pbx1", theirs().linkedid, "other")


async def rows(store: Store) -> dict[str, int]:
    """The domain of each row, by public id."""
    async with store.reading() as connection:
        found = await connection.execute(select(calls.c.public_id, calls.c.domain_id))
        return {row.public_id: row.domain_id for row in found}


def refused(taken: CallsTaken) -> list[str]:
    return [refusal.counted_as for refusal in taken.refusals]


async def seen(store: Store, scope: Scope, public_id: str) -> SeenCall | None:
    return await call_of(store, scope, public_id, NOW)


REPORTS = {
    "ours": ours(),
    "theirs": theirs(),
    "ours later": newer(ours()),
    "theirs later": newer(theirs()),
    "ours as if further": newer(ours(), further=True),
    "theirs as if first": newer(theirs(), revision=theirs().revision + 2000, further=False),
}
ORDERS = [
    *permutations(("ours", "theirs", "ours later", "theirs later")),
    *permutations(("ours", "theirs", "theirs later", "ours as if further", "theirs as if first")),
]


@pytest.mark.parametrize("at_once", [True, False], ids=["in one request", "one by one"])
async def test_each_company_has_one_row_in_any_order(store: Store, pbx: Pbx, at_once: bool) -> None:
    """The first report of a company decides which id its row has, and no later one doubles it."""
    sent = {
        f"{number}.9": [seed.but(REPORTS[name], linkedid=f"{number}.9", segments=(), reason=Reason.USER_OFF) for name in order]
        for number, order in enumerate(ORDERS, 1)
    }
    linkedids, steps = list(sent), [slice(None)] if at_once else [slice(place, place + 1) for place in range(5)]
    for first, step in product(range(0, len(sent), 36), steps):  # 36 calls, each in its own order, share a request
        await upsert_calls(store, pbx, [report for call in linkedids[first : first + 36] for report in sent[call][step]])
    async with store.reading() as connection:
        query = select(calls.c.linkedid, calls.c.public_id, calls.c.domain_id, calls.c.src).order_by(calls.c.domain_id)
        found = (await connection.execute(query)).all()
    for linkedid, order in zip(sent, ORDERS, strict=True):
        rows_of_call = [row for row in found if row.linkedid == linkedid]
        assert [row.domain_id for row in rows_of_call] == [1, 2], order
        assert [row.src for row in rows_of_call] == ["152", ASKED], order
        if not any("as if" in name for name in order):
            assert rows_of_call[0].public_id == call_id("pbx1", linkedid), order
            assert rows_of_call[1].public_id == call_id("pbx1", linkedid, "other"), order


async def test_a_company_sees_its_own_row_alone(store: Store, pbx: Pbx) -> None:
    await upsert_calls(store, pbx, [ours(), theirs()])
    await take(store, pbx, ours())
    await take(store, pbx, theirs(), audio=seed.tone(4000), length_ms=4000)
    assert await rows(store) == {OUR_ID: 1, THEIR_ID: 2}
    for scope, own, foreign, src, length_ms in ((ACME, OUR_ID, THEIR_ID, "152", 5000), (OTHER, THEIR_ID, OUR_ID, ASKED, 4000)):
        shown = await seen(store, scope, own)
        assert shown is not None and (shown.src, shown.recording.duration_ms) == (src, length_ms)
        assert await seen(store, scope, foreign) is None
        assert await audio_of(store, scope, foreign) in ((), [])
        assert not await path_of(store, scope, foreign)
        assert len(await audio_of(store, scope, own)) == 1


# What a PBX sends of the other company's row after both have arrived, and what is refused of it.
CROSSINGS: list[tuple[str, Sequence[CallReport], list[str]]] = [
    ("the other company's segment", [newer(theirs(), segments=ours().segments)], ["segment_of_other_call"]),
    ("a segment of both", [newer(ours(), segments=(*ours().segments, *theirs().segments))], ["segment_of_other_call"]),
    ("its row as the first company's", [newer(theirs(), further=False)], []),
    ("a third company's row", [newer(theirs(), domain="nobody")], []),
]


@pytest.mark.parametrize(("sent", "kinds"), [row[1:] for row in CROSSINGS], ids=[row[0] for row in CROSSINGS])
async def test_no_report_takes_anything_of_the_other_company(
    store: Store, pbx: Pbx, sent: Sequence[CallReport], kinds: list[str]
) -> None:
    await upsert_calls(store, pbx, [ours(), theirs()])
    await take(store, pbx, ours())
    await take(store, pbx, theirs())
    assert refused(await upsert_calls(store, pbx, sent)) == kinds
    assert await rows(store) == {OUR_ID: 1, THEIR_ID: 2}
    for scope, public_id, segment in ((ACME, OUR_ID, "pbx1-1-1"), (OTHER, THEIR_ID, "theirs-1-1")):
        assert [segment in audio.object_key for audio in await audio_of(store, scope, public_id)] == [True]


async def test_a_pbx_reports_further_companies_that_it_serves_only(store: Store, pbx: Pbx) -> None:
    east = await pbx_of(store, await add_pbx(store, "east", ["acme"]))
    assert east is not None
    await upsert_calls(store, east, [ours(pbx="east")])
    taken = await upsert_calls(store, east, [theirs(pbx="east")])
    assert refused(taken) == ["domain_not_served"]
    assert await rows(store) == {call_id("east", ours().linkedid): 1}


OUR_PART, THEIR_PART = (
    newer(call, segments=(), merged_into=ours(1).linkedid, reason=Reason.USER_OFF) for call in (ours(2), theirs(2))
)
OUR_WHOLE = newer(ours(1), segments=(*ours(1).segments, *ours(2).segments))
THEIR_WHOLE = newer(theirs(1), segments=(*theirs(1).segments, *theirs(2).segments))


@pytest.mark.parametrize("order", list(permutations((OUR_WHOLE, THEIR_WHOLE, OUR_PART, THEIR_PART)))[::3])
async def test_calls_are_merged_in_each_company_by_themselves(store: Store, pbx: Pbx, order: Sequence[CallReport]) -> None:
    """The first company of one call may be the second of the other one."""
    await upsert_calls(store, pbx, [ours(1), theirs(1), ours(2), theirs(2)])
    for call in (ours(1), ours(2), theirs(1), theirs(2)):
        await take(store, pbx, call)
    for sent in order:
        assert refused(await upsert_calls(store, pbx, [sent])) == []
    for scope, public_id in ((ACME, OUR_ID), (OTHER, THEIR_ID)):
        shown = await seen(store, scope, public_id)
        assert shown is not None and (shown.recording.state, shown.recording.duration_ms) == (RecordingState.READY, 10_000)
    visible = [
        public_id for public_id in await rows(store) if await seen(store, ACME, public_id) or await seen(store, OTHER, public_id)
    ]
    assert sorted(visible) == sorted([OUR_ID, THEIR_ID])


async def test_a_company_that_is_first_in_one_call_and_second_in_the_other_is_merged(store: Store, pbx: Pbx) -> None:
    first = seed.but(theirs(1), further=False)  # theirs is the first company of the call that goes on
    second = seed.but(ours(1), further=True)
    await upsert_calls(store, pbx, [first, second, ours(2), theirs(2)])
    await upsert_calls(store, pbx, [newer(first), newer(second), OUR_PART, THEIR_PART])
    async with store.reading() as connection:
        query = select(calls.c.public_id).where(calls.c.merged_into.is_(None))
        visible = set((await connection.execute(query)).scalars())
    assert visible == {call_id("pbx1", first.linkedid), call_id("pbx1", second.linkedid, "acme")}
    await take(store, pbx, ours(2))  # late audio of a part goes to the whole of its own company
    assert len(await audio_of(store, ACME, call_id("pbx1", second.linkedid, "acme"))) == 1
    assert not await audio_of(store, OTHER, call_id("pbx1", first.linkedid))


async def test_a_legal_hold_holds_one_company_s_row(store: Store, pbx: Pbx) -> None:
    await upsert_calls(store, pbx, [ours(), theirs()])
    assert not await set_legal_hold(store, ACME, THEIR_ID, legal_hold=True, why="", by=BOSS, now=NOW)
    assert await set_legal_hold(store, ACME, OUR_ID, legal_hold=True, why="", by=BOSS, now=NOW)
    taken = await upsert_calls(store, pbx, [newer(ours(), dst="x"), newer(theirs(), dst="y")])
    assert refused(taken) == ["legal_hold"]
    held, free = await seen(store, ACME, OUR_ID), await seen(store, OTHER, THEIR_ID)
    assert held is not None and free is not None
    assert (held.legal_hold, free.legal_hold, held.dst, free.dst) == (True, False, ours().dst, "y")


async def test_an_erasure_erases_one_company_s_row_and_it_stays_erased(store: Store, pbx: Pbx) -> None:
    await upsert_calls(store, pbx, [ours(), theirs()])
    await take(store, pbx, ours())
    await take(store, pbx, theirs())
    assert (await erase_subject(store, 1, ours().dst, by=BOSS, now=NOW))[1] == 1
    again = [newer(ours()), newer(ours(), further=True)]
    assert refused(await upsert_calls(store, pbx, again)) == ["retention"] * 2
    shown = await seen(store, OTHER, THEIR_ID)
    assert shown is not None and shown.recording.state is RecordingState.READY
    assert (await erase_subject(store, 2, ASKED, by=BOSS, now=NOW))[1] == 1
    again = [newer(theirs()), newer(theirs(), further=False), theirs(2, merged_into=ours().linkedid, segments=())]
    assert refused(await upsert_calls(store, pbx, again)) == ["retention"] * 3
    assert await rows(store) == {}
    async with store.reading() as connection:
        erased = set((await connection.execute(select(erased_calls.c.public_id))).scalars())
    assert erased == {OUR_ID, call_id("pbx1", ours().linkedid, "acme"), THEIR_ID}


async def test_retention_deletes_each_row_by_its_own_company_s_period(store: Store, pbx: Pbx) -> None:
    async def no_rest(_: float) -> None:
        """Go on at once."""

    await upsert_calls(store, pbx, [ours(), theirs()])
    for call in (ours(), theirs()):
        await take(store, pbx, call)
    async with store.writing() as connection:
        await connection.execute(update(domains).where(domains.c.id == 1).values(retention_days=1, calls_retention_days=1))
    await delete_due(store, BEGIN + timedelta(days=3), rest=no_rest)
    assert await rows(store) == {THEIR_ID: 2}
    assert len(await audio_of(store, OTHER, THEIR_ID)) == 1


async def test_a_missed_call_is_called_back_by_its_own_company_only(store: Store, pbx: Pbx) -> None:
    """The other company reaches the same number at the same time."""
    number = "74950000009"
    missed = seed.unanswered(seed.a_call(5, BEGIN - timedelta(minutes=5)))
    await upsert_calls(store, pbx, [seed.but(missed, src=number)])
    back = theirs(direction=Direction.OUT, dst=number, answered_by=number, answered_at=BEGIN)
    await upsert_calls(store, pbx, [back])
    shown = await seen(store, ACME, call_id("pbx1", missed.linkedid))
    assert shown is not None and shown.called_back_at is None
    await upsert_calls(store, pbx, [ours(dst=number, answered_at=BEGIN)])
    shown = await seen(store, ACME, call_id("pbx1", missed.linkedid))
    assert shown is not None and shown.called_back_at == BEGIN


async def test_a_command_is_for_the_company_of_its_sender(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    """Both have a user 900. Neither controls, or is told of, the recording of the other."""
    going_on = [replace(call, ended_at=None) for call in (ours(), theirs())]
    await report(agent, *going_on)
    path = "/api/live/{}/recording".format
    async with await site.log_in("900", "other") as other:
        assert (await admin.post(path(THEIR_ID), json={"action": "stop"})).status_code == 404
        assert (await other.post(path(OUR_ID), json={"action": "stop"})).status_code == 404
        after = 0
        for client, public_id, domain in ((admin, OUR_ID, "acme"), (other, THEIR_ID, "other")):
            asking = asyncio.create_task(client.post(path(public_id), json={"action": "stop"}))
            answer = await agent.get("/agent/v1/commands", params={"after": after, "wait_s": 50})
            (command,) = TypeAdapter(Commands).validate_json(answer.content).commands
            assert (command.linkedid, command.domain) == (ours().linkedid, domain)
            after = command.id
            await agent.post(f"/agent/v1/commands/{after}", json={"refusal": "not-talking", "report": None})
            assert (await asking).status_code == 409


async def test_a_command_of_a_company_that_the_pbx_serves_no_longer_is_not_handed_out(store: Store, pbx: Pbx) -> None:
    """As is one from before version 0012, which names no company."""
    east = await pbx_of(store, await add_pbx(store, "east", ["acme"]))
    assert east is not None
    asked = [
        await recorder_commands.ask(store, pbx="east", linkedid="1.1", domain_id=domain_id, action=Action.STOP, login=None, now=NOW)
        for domain_id in (1, 2)
    ]
    taken = await recorder_commands.take(store, east, 0, NOW)
    assert ([(command.id, command.domain) for command in taken.commands], taken.refused) == ([(asked[0], "acme")], 1)


async def test_pages_answer_each_company_from_its_own_row(site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await ship(agent, ours(), 5000)
    await ship(agent, theirs(), 5000)
    manifest = seed.manifest_of(theirs(), ours().segments[0])  # their row, our segment
    stolen = await put_recording(agent, manifest, seed.mixed_of(AUDIO, 5000), AUDIO)
    assert stolen.status_code in (200, 409)  # our audio stays where it is
    day = {"from": "2026-11-22", "to": "2026-11-24"}
    async with await site.log_in("900", "other") as other:
        for client, own, foreign, secret in ((admin, OUR_ID, THEIR_ID, "901"), (other, THEIR_ID, OUR_ID, "152")):
            listed = (await client.get("/api/calls", params=day)).json()["items"]
            assert [call["id"] for call in listed] == [own]
            shown = (await client.get(f"/api/calls/{own}")).json()
            assert secret not in str([shown[key] for key in ("src", "dst", "answered_by", "path", "employee")])
            for address in ("", "/audio", "/peaks", "/evidence"):
                assert (await client.get(f"/api/calls/{foreign}{address}")).status_code == 404
            hold = await client.put(f"/api/calls/{foreign}/hold", json={"hold": True, "note": "x"})
            assert hold.status_code == 404
            assert (await client.get(f"/api/calls/{own}/audio")).status_code == 200
