"""A TCP proxy before a server of the tests, which breaks what passes on request."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_BLOCK: Final = 65536


class FaultyLink:
    """The connections to a server, and what is to happen to them.

    `sent` and `received` count bytes to and from the server. Each connection is cut after `cut_at`
    bytes to the server. One of each `corrupt_each` bytes of a connection is altered, `corrupted`
    times in all. With `hangs` no answer comes back.
    """

    def __init__(self, server_port: int, server: str = "127.0.0.1") -> None:
        self._server, self._server_port = server, server_port
        self.port = 0
        self.sent = self.received = 0
        self.cut_at: int | None = None
        self.corrupt_each: int | None = None
        self.corrupted = 0
        self.hangs = False

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a connection on."""
        try:
            with suppress(ConnectionError):
                server_reader, server_writer = await asyncio.open_connection(self._server, self._server_port)
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._send(reader, server_writer))
                        group.create_task(self._receive(server_reader, writer))
                except* ConnectionError:
                    pass
                finally:
                    server_writer.close()
        finally:
            writer.close()

    async def _send(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        passed = 0
        while block := await reader.read(_BLOCK):
            passed, before = passed + len(block), passed
            self.sent += len(block)
            if self.cut_at is not None and passed > self.cut_at:
                raise ConnectionResetError
            if self.corrupted and self.corrupt_each is not None and passed // self.corrupt_each > before // self.corrupt_each:
                place = passed // self.corrupt_each * self.corrupt_each - before - 1
                block = block[:place] + bytes([block[place] ^ 1]) + block[place + 1 :]
                self.corrupted -= 1
            server.write(block)
            await server.drain()
        server.write_eof()

    async def _receive(self, server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while block := await server.read(_BLOCK):
            self.received += len(block)
            if not self.hangs:
                writer.write(block)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def faulty_link(
    server_port: int, *, server: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[FaultyLink]:
    """Run a proxy before a port of a server; with `tls` it speaks TLS to its clients."""
    link = FaultyLink(server_port, server)
    tasks = set[asyncio.Task[None]]()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(task := asyncio.ensure_future(link.connect(reader, writer)))
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    link.port = listening.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
