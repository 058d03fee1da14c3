"""Two API processes on one PostgreSQL behave as one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosedError

from fonoteka.core.config import StoreSection
from store.database.store import Store
from store.people.accounts import set_password
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.api.conftest import report, ship
from tests.api.test_live import BEGIN, listening, next_message
from tests.api.test_recording_control import BY_RULE, answered, ask, asked_of, going_on
from tests.data import seed
from tests.support.eventually import eventually
from tests.support.new_stores import create_database, drop_database
from tests.support.served import Replica, api_process

IDLE_S = 12.0  # longer than the period of any task that asked the index
module = pytest_asyncio.fixture(scope="module", loop_scope="session")


@module
async def section(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StoreSection]:
    """The store of both replicas."""
    name = f"test_{uuid4().hex}"
    await create_database(postgresql, name, "seeded")
    yield StoreSection(database=f"{postgresql}/{name}", objects=f"file://{tmp_path_factory.mktemp('replicas')}/objects")
    await drop_database(postgresql, name)


@module
async def replicas(section: StoreSection) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two API processes."""
    folder = Path(section.objects.removeprefix("file://")).parent
    async with api_process(section, folder) as one, api_process(section, folder) as other:
        await eventually(lambda: all("event=signals.heard" in replica.log.read_text() for replica in (one, other)))
        yield one, other


@pytest.fixture
async def store(section: StoreSection) -> AsyncIterator[Store]:
    """The store, as a command opens it."""
    opened = await Store.open(section)
    yield opened
    await opened.close()


async def test_a_change_is_told_to_the_tabs_of_every_replica(replicas: tuple[Replica, Replica]) -> None:
    call = seed.a_call(1, BEGIN)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(await replica.log_in("900")) for replica in replicas]
        sockets = [
            await stack.enter_async_context(listening(replica, client)) for replica, client in zip(replicas, clients, strict=True)
        ]
        agent = await stack.enter_async_context(replicas[0].client(seed.PBX_TOKEN))
        await ship(agent, call, 5000)
        for socket in sockets:
            called, recording = [await next_message(socket) for _ in range(2)]
            assert (called["type"], called["call"]["linkedid"]) == ("call", call.linkedid)
            assert (recording["type"], recording["id"]) == ("recording", called["call"]["id"])
        await clients[1].put(f"/api/calls/{recording['id']}/hold", json={"hold": True, "note": "a dispute"})
        assert [(await next_message(socket))["type"] for socket in sockets] == ["call", "call"]


async def test_a_session_that_ends_anywhere_closes_its_sockets(replicas: tuple[Replica, Replica], store: Store) -> None:
    one, other = replicas
    for end in ("log out", "password", "removed"):
        async with await one.log_in("421") as client, listening(other, client) as socket:
            if end == "log out":
                await client.post("/api/logout")
            elif end == "password":
                await set_password(store, "acme", "421", seed.PASSWORD)
            else:
                whole = parse_directory(seed.DIRECTORY, source="test")
                without = "\n".join(part for part in _parts(seed.DIRECTORY) if '"421"' not in part)
                await apply(store, parse_directory(without, source="test"), prune=True)
            with pytest.raises(ConnectionClosedError) as closed:
                await asyncio.wait_for(socket.recv(), 25)  # sooner than the regular look at the session
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
    await apply(store, whole)


def _parts(directory: str) -> list[str]:
    return directory.split("\n\n")


async def test_a_command_passes_from_one_replica_to_the_other(replicas: tuple[Replica, Replica]) -> None:
    call = going_on(5, BY_RULE)
    async with replicas[0].client(seed.PBX_TOKEN) as agent, await replicas[1].log_in("900") as admin:
        await report(agent, call)
        waiting = asyncio.create_task(asked_of(agent))
        asking = asyncio.create_task(ask(admin, call))
        (command,) = await waiting
        await answered(agent, command.id)
        assert (await asking).status_code == 200


async def test_changed_settings_reach_an_agent_that_waits_at_another_replica(
    replicas: tuple[Replica, Replica], store: Store
) -> None:
    async with replicas[0].client(seed.PBX_TOKEN) as agent, await replicas[1].log_in("900") as admin:
        for number, way in enumerate(("the portal", "fonoteka apply")):
            version = (await agent.get("/agent/v1/settings")).json()["version"]
            parameters = {"known": version, "wait_s": 50}
            waiting = asyncio.create_task(agent.get("/agent/v1/settings", params=parameters))
            if way == "the portal":
                assert (await admin.patch("/api/users/130", json={"name": f"Иванова {number}"})).status_code == 200
            else:
                await apply(store, parse_directory(seed.DIRECTORY, source="test"))
            assert (await waiting).json()["version"] == version + 1


async def test_what_an_agent_says_to_one_replica_the_other_says_too(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    async with one.client(seed.PBX_TOKEN) as agent, other.client() as monitor:

        async def readiness() -> str:
            return (await monitor.get("/readyz")).text

        for link, says in (("down", "pbx1: its agent has no connection to Asterisk"), ("up", "ready")):
            assert (await agent.get("/agent/v1/commands", params={"link": link})).status_code == 200

            async def is_said(says: str = says) -> bool:
                return says in await readiness()

            await eventually(is_said)


async def test_guesses_at_both_replicas_count_together(replicas: tuple[Replica, Replica]) -> None:
    guess = {"domain": "acme", "login": "777", "password": "a guess"}
    async with replicas[0].client() as one, replicas[1].client() as other:
        answers = [await (one, other)[number % 2].post("/api/login", json=guess) for number in range(20)]
    # Each replica by itself would take ten. The longer the requests take, the fewer must wait.
    statuses = [answer.status_code for answer in answers]
    assert statuses[:10] == [401] * 10 and 429 in statuses


async def test_an_idle_api_asks_the_index_for_nothing(
    replicas: tuple[Replica, Replica], section: StoreSection, postgresql: str
) -> None:
    """While a portal is open and an agent waits."""
    watching = await asyncpg.connect(f"{postgresql}/postgres")
    database = section.database.rpartition("/")[2]

    async def statements() -> list[tuple[Any, ...]]:
        """The last statement of each connection, and the number of connections so far."""
        last = "SELECT pid, query_start, query FROM pg_stat_activity WHERE datname = $1 ORDER BY pid"
        begun = "SELECT sessions FROM pg_stat_database WHERE datname = $1"
        return [tuple(row) for query in (last, begun) for row in await watching.fetch(query, database)]

    async with AsyncExitStack() as stack:
        stack.push_async_callback(watching.close)
        polls = []
        for replica in replicas:
            admin = await stack.enter_async_context(await replica.log_in("900"))
            socket = await stack.enter_async_context(listening(replica, admin))
            await socket.ping()
            agent = await stack.enter_async_context(replica.client(seed.PBX_TOKEN))
            version = (await agent.get("/agent/v1/settings")).json()["version"]
            for path, parameters in (("settings", {"known": version}), ("commands", {"after": 10**6})):
                polls.append(asyncio.create_task(_poll(agent, path, parameters)))
        stack.callback(lambda: [poll.cancel() for poll in polls])

        async def is_quiet() -> bool:
            before = await statements()
            assert len(before) > 2
            await asyncio.sleep(IDLE_S)
            return await statements() == before

        await eventually(is_quiet, within_s=10 * IDLE_S)
        assert not any(poll.done() for poll in polls)


async def _poll(agent: httpx.AsyncClient, path: str, parameters: dict[str, int]) -> None:
    await agent.get(f"/agent/v1/{path}", params=parameters | {"wait_s": 55})
