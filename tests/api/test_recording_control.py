"""Calls in progress and the control of their recording: rights, and the answers of the agent."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from fonoteka.core.agent_protocol import Command, CommandOutcome, Commands, Refusal
from fonoteka.core.call_report import Action, CallReport, LiveReport, Party, PathStep, Reason, RecorderState, UserRecordingStatus
from fonoteka.core.naming import call_id
from store import recorder_commands as commands
from store.database.store import Store
from store.people.accounts import ensure_pbx
from tests.api.conftest import Site, report
from tests.api.test_audit import entries
from tests.data import seed
from tests.support.eventually import eventually

ON, PAUSED, OFF = RecorderState
START, STOP, PAUSE, RESUME = Action
BEGIN = datetime.now(UTC).replace(microsecond=123000) - timedelta(minutes=5)


def side(
    user: str, recorder: RecorderState, reason: Reason | None = None, *, start: bool = False, stop: bool = False
) -> UserRecordingStatus:
    return UserRecordingStatus(user=user, recorder=recorder, reason=reason, may_start=start, may_stop=stop)


BY_RULE = side("152", ON)
NOT_ASKED = side("777", OFF, Reason.ON_DEMAND_NOT_ASKED, start=True)
IS_OFF = side("130", OFF, Reason.USER_OFF)


def going_on(number: int, *sides: UserRecordingStatus, began: datetime = BEGIN, **fields: Any) -> CallReport:
    """Return a call from outside in which these users talk."""
    call = seed.a_call(number, began)
    parties = (Party(who=call.src, login=None), *(Party(who=side.user, login=side.user) for side in sides))
    live = LiveReport(parties=parties, talking_since=call.answered_at if sides else None, sides=sides)
    logins = tuple(side.user for side in sides)
    return seed.but(call, ended_at=None, path=call.path[:3], live=live, participants=logins, segments=(), **fields)


def public_id(call: CallReport) -> str:
    return call_id(call.pbx, call.linkedid)


async def live_of(client: httpx.AsyncClient) -> dict[str, Any]:
    items = (await client.get("/api/live/calls")).raise_for_status().json()["items"]
    return {item["id"]: item["live"] for item in items}


VIEWS: list[tuple[tuple[UserRecordingStatus, ...], str, tuple[RecorderState, Reason | None, list[Action]]]] = [
    ((BY_RULE,), "152", (ON, None, [PAUSE])),
    ((BY_RULE,), "900", (ON, None, [STOP, PAUSE])),
    ((side("152", PAUSED),), "152", (PAUSED, None, [RESUME])),
    ((NOT_ASKED,), "777", (OFF, Reason.ON_DEMAND_NOT_ASKED, [START])),
    ((NOT_ASKED,), "900", (OFF, Reason.ON_DEMAND_NOT_ASKED, [START])),
    ((side("777", ON, stop=True),), "777", (ON, None, [STOP, PAUSE])),
    ((IS_OFF,), "130", (OFF, Reason.USER_OFF, [])),
    ((IS_OFF,), "900", (OFF, Reason.USER_OFF, [])),
    ((BY_RULE, IS_OFF), "130", (OFF, Reason.USER_OFF, [])),
    ((IS_OFF, BY_RULE), "900", (ON, None, [STOP, PAUSE])),
    ((side("152", PAUSED), NOT_ASKED), "900", (PAUSED, None, [START, STOP, RESUME])),
    ((), "900", (OFF, None, [])),
]


async def test_each_viewer_is_offered_the_allowed_actions(site: Site, agent: httpx.AsyncClient) -> None:
    calls = [going_on(number, *sides) for number, (sides, _, _) in enumerate(VIEWS)]
    await report(agent, *calls)
    for call, (_, login, (recorder, reason, actions)) in zip(calls, VIEWS, strict=True):
        async with await site.log_in(login) as client:
            live = (await live_of(client))[public_id(call)]
            assert (live["recorder"], live["reason"], live["actions"]) == (recorder, reason, actions)
            row = (await client.get(f"/api/calls/{public_id(call)}")).json()
            assert row["live"] == live


async def test_parties_and_talk_time_are_listed_until_the_end(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    call = going_on(1, BY_RULE)
    await report(agent, call)
    (live,) = (await live_of(admin)).values()
    assert live["parties"] == [{"who": "89131234567", "name": None}, {"who": "152", "name": "Петров П.П."}]
    assert datetime.fromisoformat(live["talking_since"]) == call.answered_at
    ended = seed.but(call, ended_at=BEGIN + timedelta(minutes=1), revision=call.revision + 1)
    await report(agent, ended)  # although its sides still talk
    assert await live_of(admin) == {}
    assert (await admin.get(f"/api/calls/{public_id(call)}")).json()["live"] is None


async def test_a_user_sees_only_their_own_calls_and_no_lost_ones(site: Site, agent: httpx.AsyncClient) -> None:
    own, of_colleague = going_on(1, BY_RULE), going_on(2, NOT_ASKED)
    foreign = going_on(3, side("900", ON), domain="other")
    lost = going_on(4, BY_RULE, began=BEGIN - timedelta(days=1, minutes=1))
    await report(agent, own, of_colleague, foreign, lost)
    newest_first = [public_id(of_colleague), public_id(own)]
    expected = {"152": [public_id(own)], "777": [public_id(of_colleague)], "421": [], "900": newest_first}
    for login, ids in expected.items():
        async with await site.log_in(login) as client:
            assert list(await live_of(client)) == ids
    async with await site.log_in("900", "other") as stranger:
        assert list(await live_of(stranger)) == [public_id(foreign)]
    async with site.client() as nobody:
        assert (await nobody.get("/api/live/calls")).status_code == 401
        assert (await ask(nobody, own)).status_code == 401


async def ask(client: httpx.AsyncClient, call: CallReport, action: str = "pause") -> httpx.Response:
    return await client.post(f"/api/live/{public_id(call)}/recording", json={"action": action})


async def asked_of(agent: httpx.AsyncClient, after: int = 0, wait_s: float = 50) -> list[Command]:
    answer = await agent.get("/agent/v1/commands", params={"after": after, "wait_s": wait_s})
    return list(TypeAdapter(Commands).validate_json(answer.raise_for_status().content).commands)


async def answered(agent: httpx.AsyncClient, command: int, refusal: Refusal | None = None, after: CallReport | None = None) -> None:
    body = TypeAdapter(CommandOutcome).dump_json(CommandOutcome(refusal=refusal, report=after))
    headers = {"Content-Type": "application/json"}
    assert (await agent.post(f"/agent/v1/commands/{command}", content=body, headers=headers)).status_code == 204


async def test_a_command_reaches_the_agent_and_its_outcome_the_client(site: Site, agent: httpx.AsyncClient) -> None:
    call = going_on(1, BY_RULE)
    await report(agent, call)
    assert call.live is not None
    paused = seed.but(call, revision=call.revision + 1, live=replace(call.live, sides=(side("152", PAUSED),)))
    for login, meant in (("152", "152"), ("900", None)):
        async with await site.log_in(login) as client:
            waiting = asyncio.create_task(asked_of(agent))
            asking = asyncio.create_task(ask(client, call))
            (command,) = await waiting
            assert (command.linkedid, command.action, command.login) == (call.linkedid, PAUSE, meant)
            assert await asked_of(agent, command.id, wait_s=0) == []
            await answered(agent, command.id, None, paused)
            answer = await asking
            assert answer.status_code == 200, answer.text
            assert (answer.json()["live"]["recorder"], answer.json()["path"][0]["what"]) == ("paused", "arrive")


async def test_commands_and_outcomes_do_not_wait_for_the_regular_poll(
    agent: httpx.AsyncClient, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without being woken, the requests would last longer than the client waits."""
    monkeypatch.setattr("api.live.change_watch._POLL_S", 3600)
    for patience in ("_TAKEN_WITHIN_S", "_DONE_WITHIN_S"):
        monkeypatch.setattr(f"api.routes.live.{patience}", 3600)
    call = going_on(1, BY_RULE)
    await report(agent, call)
    waiting = asyncio.create_task(asked_of(agent, wait_s=50))
    asking = asyncio.create_task(ask(admin, call))
    (command,) = await waiting
    await answered(agent, command.id)
    assert (await asking).status_code == 200


async def test_a_command_of_another_replica_reaches_the_agent(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    call = going_on(1, BY_RULE)
    await report(agent, call)
    waiting = asyncio.create_task(asked_of(agent))
    asking = asyncio.create_task(ask(admin, call))
    (command,) = await waiting
    await answered(agent, command.id)
    assert (await asking).status_code == 200
    store = await Store.open(site.configuration.store)
    try:
        waiting = asyncio.create_task(asked_of(agent, command.id, wait_s=50))
        elsewhere = await commands.ask(
            store, pbx="pbx1", linkedid=call.linkedid, domain_id=1, action=STOP, login=None, now=datetime.now(UTC)
        )
        assert [command.id for command in await waiting] == [elsewhere]
    finally:
        await store.close()


@pytest.mark.parametrize("refusal", Refusal)
async def test_a_refusal_is_answered_with_its_reason(agent: httpx.AsyncClient, admin: httpx.AsyncClient, refusal: Refusal) -> None:
    call = going_on(1, BY_RULE)
    await report(agent, call)
    asking = asyncio.create_task(ask(admin, call))
    (command,) = await asked_of(agent)
    await answered(agent, command.id, refusal)
    answer = await asking
    problem = answer.json()
    assert (answer.status_code, problem["type"], answer.headers["content-type"]) == (
        409,
        f"/problems/{refusal}",
        "application/problem+json",
    )
    assert problem["detail"]


async def test_a_command_that_no_agent_takes_is_withdrawn(
    agent: httpx.AsyncClient, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.live._TAKEN_WITHIN_S", 0.2)
    call = going_on(1, BY_RULE)
    await report(agent, call)
    answer = await ask(admin, call)
    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/pbx-does-not-answer")
    assert await asked_of(agent, wait_s=0) == []


async def test_a_command_that_the_pbx_took_is_never_answered_as_withdrawn(
    agent: httpx.AsyncClient, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent takes the command at the last moment, when the API is about to withdraw it."""
    withdraw, taken, kept = commands.withdraw, asyncio.Event(), asyncio.Event()

    async def late(store: Store, command: int) -> str:
        await taken.wait()
        answer = await withdraw(store, command)
        kept.set()
        return answer

    monkeypatch.setattr(commands, "withdraw", late)
    monkeypatch.setattr("api.routes.live._TAKEN_WITHIN_S", 0.05)
    monkeypatch.setattr("api.routes.live._DONE_WITHIN_S", 3600.0)
    call = going_on(1, BY_RULE)
    await report(agent, call)
    asking = asyncio.create_task(ask(admin, call))
    (command,) = await asked_of(agent, wait_s=50)
    taken.set()
    await kept.wait()
    assert not asking.done()
    await answered(agent, command.id)
    assert (await asking).status_code == 200
    monkeypatch.setattr("api.routes.live._DONE_WITHIN_S", 0.05)
    taken.clear()
    asking = asyncio.create_task(ask(admin, call))
    assert len(await asked_of(agent, after=command.id, wait_s=50)) == 1
    taken.set()
    answer = await asking
    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/pbx-did-not-say")


async def test_calls_of_others_and_ended_calls_get_no_command(site: Site, agent: httpx.AsyncClient) -> None:
    call, ended = going_on(1, BY_RULE), seed.a_call(2, BEGIN)
    await report(agent, call, ended)
    async with await site.log_in("421") as colleague, await site.log_in("900", "other") as stranger:
        for client in (colleague, stranger):
            for asked_call in (call, ended):
                assert (await ask(client, asked_call)).status_code == 404
    async with await site.log_in("152") as mine:
        over = await ask(mine, ended)
        assert (over.status_code, over.json()["type"]) == (409, "/problems/call-is-over")
        assert (await ask(mine, call, "explode")).status_code == 422
        token = mine.headers["authorization"].removeprefix("Bearer ")
    async with site.client(Cookie=f"fonoteka_session={token}", Origin="https://evil.example") as lured:
        assert (await ask(lured, call)).status_code == 403
    assert await asked_of(agent, wait_s=0) == []


async def test_another_pbx_neither_gets_nor_answers_a_command(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    call = going_on(1, BY_RULE)
    await report(agent, call)
    store = await Store.open(site.configuration.store)
    try:
        await ensure_pbx(store, "pbx2", "token-of-pbx2")
    finally:
        await store.close()
    asking = asyncio.create_task(ask(admin, call))
    (command,) = await asked_of(agent)
    async with site.client("token-of-pbx2") as other, site.client("wrong") as nobody:
        assert await asked_of(other, wait_s=0) == []
        await answered(other, command.id, Refusal.NOT_TALKING)
        for client in (nobody, admin):
            assert (await client.get("/agent/v1/commands")).status_code == 401
            assert (
                await client.post(f"/agent/v1/commands/{command.id}", json={"refusal": None, "report": None})
            ).status_code == 401
    assert not asking.done()
    await answered(agent, command.id)
    assert (await asking).status_code == 200


async def test_every_command_is_audited(site: Site, agent: httpx.AsyncClient) -> None:
    call = going_on(1, BY_RULE)
    await report(agent, call)
    async with await site.log_in("152") as client:
        for refusal in (None, Refusal.RECORDED_BY_RULE):
            asking = asyncio.create_task(ask(client, call, "stop"))
            for command in await asked_of(agent):
                await answered(agent, command.id, refusal)
            await asking

    async with await site.log_in("900") as admin:

        async def both() -> list[dict[str, Any]] | None:
            rows = await entries(admin, action="recording_asked")
            return rows if all("answer" in row["detail"] for row in rows) else None

        rows: list[dict[str, Any]] | None = await eventually(both)
    assert rows is not None
    assert [(row["login"], row["subject"], row["detail"]) for row in rows] == [
        ("152", public_id(call), {"action": "stop", "answer": answer}) for answer in ("done", "recorded-by-rule")
    ]


async def test_the_outcome_of_a_call_with_a_long_path_is_accepted(
    site: Site, agent: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """A long path of the call must not make the outcome too large for the API."""
    steps = tuple(PathStep(at=BEGIN, what="ring", who="152" * 5, by="") for _ in range(1000))
    call = replace(going_on(1, BY_RULE), path=steps)
    await report(agent, call)
    asking = asyncio.create_task(ask(admin, call))
    (command,) = await asked_of(agent)
    outcome = TypeAdapter(CommandOutcome).dump_json(CommandOutcome(refusal=None, report=replace(call, revision=call.revision + 1)))
    assert len(outcome) > 65536
    assert (await agent.post(f"/agent/v1/commands/{command.id}", content=outcome)).status_code == 204
    assert (await asking).status_code == 200
    assert (await agent.post(f"/agent/v1/commands/{command.id}", content=b"{}")).status_code == 422


async def test_concurrent_commands_are_limited_by_account(
    site: Site, agent: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdraw, finish = commands.withdraw, asyncio.Event()

    async def late(store: Store, command: int) -> str:
        await finish.wait()
        return await withdraw(store, command)

    monkeypatch.setattr(commands, "withdraw", late)
    monkeypatch.setattr("api.routes.live._TAKEN_WITHIN_S", 0.05)
    call = going_on(1, BY_RULE, NOT_ASKED)
    await report(agent, call)
    async with await site.log_in("152") as client, await site.log_in("777") as colleague:
        requests = [asyncio.create_task(ask(client, call)) for _ in range(12)]
        request_of_colleague = asyncio.create_task(ask(colleague, call))
        await eventually(lambda: sum(task.done() for task in requests) == 4)
        await eventually(lambda: site.services.recording_commands.in_use == 9)
        finish.set()
        answers, answer_of_colleague = await asyncio.gather(*requests), await request_of_colleague
        refused = [answer for answer in answers if answer.status_code == 429]
        assert (len(refused), {answer.status_code for answer in answers}) == (4, {504, 429})
        assert {(answer.json()["type"], answer.headers["retry-after"]) for answer in refused} == {("/problems/too-many-asked", "5")}
        assert answer_of_colleague.status_code == 504, "asked, though nobody answers here"
        assert (await ask(client, call)).status_code == 504, "the places are free again"
