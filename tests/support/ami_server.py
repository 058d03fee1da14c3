"""An AMI server that misbehaves on request. tests/pbx/test_ami.py tests a real Asterisk."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from agent.ami.client import AmiClient, AmiEvent, Garbled, LinkDown, LinkUp

SECRET: Final = "top-Secret-42"
CHALLENGE: Final = "149611608"
LIMIT_S: Final = 30.0  # long, so that a stalled machine fails no test
EVENTS: Final = frozenset({"Newchannel", "Hangup", "FullyBooted"})


class AmiServer:
    """Answers Challenge, Login and Ping as Asterisk does, and the actions in `answers`.

    `{id}` in an answer becomes the ActionID. A `frozen` server answers nothing.
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
        self._received = asyncio.Condition()

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()

    async def stop(self) -> None:
        """Close the port and every connection."""
        self._server.close()
        self.disconnect()
        await self._server.wait_closed()

    def send(self, text: bytes) -> None:
        """Send to the newest connection."""
        self.connections[-1].write(text)

    def disconnect(self) -> None:
        for connection in self.connections:
            connection.close()

    async def wait_received(self, action: str, times: int = 1) -> dict[str, str]:
        """Wait until an action was received so many times. Return the last one."""
        async with asyncio.timeout(LIMIT_S), self._received:
            await self._received.wait_for(lambda: len(self.sent(action)) >= times)
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
                async with self._received:
                    self.received.append(message)
                    self._received.notify_all()
        writer.close()

    def _answer(self, message: dict[str, str]) -> bytes:
        action_id = message["ActionID"].encode()
        match message["Action"]:
            case name if name in self.answers:
                return self.answers[name].replace(b"{id}", action_id)
            case "Challenge":
                return b"Response: Success\r\nActionID: %s\r\nChallenge: %s\r\n\r\n" % (action_id, CHALLENGE.encode())
            case "Login":
                key = hashlib.md5((CHALLENGE + self.secret).encode(), usedforsecurity=False).hexdigest()
                if message.get("Key") != key:
                    return b"Response: Error\r\nActionID: %s\r\nMessage: Authentication failed\r\n\r\n" % action_id
                self.logins += 1
                accepted = b"Response: Success\r\nActionID: %s\r\nMessage: Authentication accepted\r\n\r\n" % action_id
                return self.before_login + accepted + self.with_login
            case _:
                return b""


def event(name: str, number: int = 0) -> bytes:
    """Return the bytes of an event."""
    return f"Event: {name}\r\nPrivilege: call,all\r\nUniqueid: {number}\r\n\r\n".encode()


def make_client(server: AmiServer, **options: Any) -> AmiClient:
    """Return a client with short retries and long deadlines; `options` are those of AmiClient."""
    fast = {"connect_timeout_s": LIMIT_S, "login_timeout_s": LIMIT_S, "first_retry_s": 0.01, "most_retry_s": 0.05}
    return AmiClient(server.address, "fonoteka", SECRET, events=EVENTS, **{**fast, **options})


@asynccontextmanager
async def running(client: AmiClient) -> AsyncIterator[asyncio.Task[None]]:
    """Run a client in a task, which is cancelled at the end. A failure of the task is raised."""
    task = asyncio.create_task(client.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def connected_client(**options: Any) -> AsyncIterator[tuple[AmiServer, AmiClient]]:
    """A server, and a client that has logged in and whose LinkUp was taken."""
    server = AmiServer()
    await server.start()
    client = make_client(server, **options)
    try:
        async with running(client):
            assert isinstance(await next_item(client), LinkUp)
            yield server, client
    finally:
        await server.stop()


async def next_item(client: AmiClient) -> AmiEvent | LinkUp | LinkDown | Garbled:
    """Return the next item of the client."""
    async with asyncio.timeout(LIMIT_S):
        return await client.next()


async def next_link_down(client: AmiClient) -> str:
    """Return the reason of the LinkDown that must be the next item."""
    item = await next_item(client)
    assert isinstance(item, LinkDown), item
    return item.reason


async def next_event(client: AmiClient) -> AmiEvent:
    """Return the event that must be the next item."""
    item = await next_item(client)
    assert isinstance(item, AmiEvent), item
    return item
