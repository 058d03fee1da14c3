"""A manager interface that can be made to misbehave.

The real one is tried in tests/pbx/test_ami.py.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from agent.ami.client import AmiClient, AmiEvent, Garbled, LinkDown, LinkUp

SECRET: Final = "top-Secret-42"
CHALLENGE: Final = "149611608"
EVENTS: Final = frozenset({"Newchannel", "Hangup", "FullyBooted"})


class AmiServer:
    """Answers Challenge, Login and Ping as Asterisk does, and everything in `answers`.

    `{id}` in one becomes the ActionID.
    """

    def __init__(self) -> None:
        self.greeting = b"Asterisk Call Manager/11.0.0\r\n"
        self.secret = SECRET
        self.frozen = False
        self.before_login = b""
        self.with_login = b""
        self.answers: dict[str, bytes] = {"Ping": b"Response: Success\r\nActionID: {id}\r\nPing: Pong\r\n\r\n"}
        self.received: list[dict[str, str]] = []
        self.bytes_received = b""
        self.logins = 0
        self.connections: list[asyncio.StreamWriter] = []
        self._news = asyncio.Condition()

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()

    async def stop(self) -> None:
        """Close the port and every connection."""
        self._server.close()
        self.hang_up()
        await self._server.wait_closed()

    def say(self, text: bytes) -> None:
        """Send to the newest connection."""
        self.connections[-1].write(text)

    def hang_up(self) -> None:
        for connection in self.connections:
            connection.close()

    async def until_received(self, action: str, times: int = 1) -> dict[str, str]:
        """Wait until this action has come so often; the newest of them."""
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: len(self.sent(action)) >= times)
        return self.sent(action)[-1]

    def sent(self, action: str) -> list[dict[str, str]]:
        return [message for message in self.received if message["Action"] == action]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        writer.write(self.greeting)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                raw = await reader.readuntil(b"\r\n\r\n")
                self.bytes_received += raw
                lines = [line.partition(": ") for line in raw.decode().split("\r\n") if line]
                message = {key: value for key, _, value in lines}
                if not self.frozen:
                    writer.write(self._answer(message))
                async with self._news:
                    self.received.append(message)
                    self._news.notify_all()
        writer.close()

    def _answer(self, message: dict[str, str]) -> bytes:
        action_id = message["ActionID"].encode()
        match message["Action"]:
            case "Challenge":
                return b"Response: Success\r\nActionID: %s\r\nChallenge: %s\r\n\r\n" % (action_id, CHALLENGE.encode())
            case "Login":
                key = hashlib.md5((CHALLENGE + self.secret).encode(), usedforsecurity=False).hexdigest()
                if message.get("Key") != key:
                    return b"Response: Error\r\nActionID: %s\r\nMessage: Authentication failed\r\n\r\n" % action_id
                self.logins += 1
                accepted = b"Response: Success\r\nActionID: %s\r\nMessage: Authentication accepted\r\n\r\n" % action_id
                return self.before_login + accepted + self.with_login
            case name:
                return self.answers.get(name, b"").replace(b"{id}", action_id)


def event(name: str, number: int = 0) -> bytes:
    """An event as Asterisk sends it."""
    return f"Event: {name}\r\nPrivilege: call,all\r\nUniqueid: {number}\r\n\r\n".encode()


def client_of(server: AmiServer, **options: Any) -> AmiClient:
    """A client with deadlines fit for tests; `options` as AmiClient takes them."""
    fast = {"connect_timeout_s": 2.0, "login_timeout_s": 2.0, "first_retry_s": 0.01, "most_retry_s": 0.05}
    return AmiClient(server.address, "fonoteka", SECRET, events=EVENTS, **{**fast, **options})


@asynccontextmanager
async def running(client: AmiClient) -> AsyncIterator[asyncio.Task[None]]:
    """`run()` in its own task, which is ended and whose failure is not swallowed."""
    task = asyncio.create_task(client.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def linked(**options: Any) -> AsyncIterator[tuple[AmiServer, AmiClient]]:
    """A server and a client that has logged in to it; its LinkUp is taken."""
    server = AmiServer()
    await server.start()
    client = client_of(server, **options)
    try:
        async with running(client):
            assert isinstance(await following(client), LinkUp)
            yield server, client
    finally:
        await server.stop()


async def following(client: AmiClient) -> AmiEvent | LinkUp | LinkDown | Garbled:
    """The next item, which must come soon."""
    async with asyncio.timeout(5):
        return await client.next()


async def following_down(client: AmiClient) -> str:
    """The reason of the LinkDown that must come next."""
    item = await following(client)
    assert isinstance(item, LinkDown), item
    return item.reason


async def following_event(client: AmiClient) -> AmiEvent:
    """The event that must come next."""
    item = await following(client)
    assert isinstance(item, AmiEvent), item
    return item
