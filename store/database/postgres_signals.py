"""Signals of a PostgreSQL index: NOTIFY, and a connection that listens."""

import asyncio
import socket
from collections.abc import Sequence
from secrets import token_hex
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from fonoteka.core.errors import StoreError
from store.database import dialect
from store.database.signals import Signal, Signals, parsed

_CHANNEL: Final = "fonoteka"
_CONNECTED_WITHIN_S: Final = 10.0
_HEARD_WITHIN_S: Final = 10.0
_RETRIED_AFTER_S: Final = 1.0
_KEEPALIVE: Final = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 15,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
}

_log = structlog.get_logger()


class PostgresSignals(Signals):
    """Signals of a PostgreSQL index: sent by NOTIFY, heard on a connection of its own.

    LISTEN needs a connection to the server itself: a pooler in transaction mode drops what it
    hears. `address` is therefore not always that of the engine.
    """

    def __init__(self, engine: AsyncEngine, address: str) -> None:
        super().__init__()
        self._engine, self._address = engine, address
        self._test, self._test_heard = "", asyncio.Event()
        self._failed = False
        self._unsent: list[Signal] = []
        self._sending = asyncio.Lock()

    async def send(self, signals: Sequence[Signal]) -> None:
        """Send signals to all processes; this one hears its own too, if it hears any.

        PostgreSQL commits one transaction with NOTIFY at a time: those that write must not wait for
        each other's disk, so the signals are sent by one of their own, together.
        """
        if signals:
            self._unsent += signals
            await asyncio.shield(asyncio.ensure_future(self._send_all()))

    async def _send_all(self) -> None:
        async with self._sending:
            signals, self._unsent = self._unsent, []
            if not self.hears_others:
                self.deliver(signals)
            if signals:
                await self._notify([str(signal) for signal in signals])

    async def _notify(self, texts: Sequence[str]) -> None:
        """Notify all processes; if it fails, only log, as the change itself is committed."""
        try:
            async with self._engine.begin() as connection:
                await dialect.notify(connection, _CHANNEL, texts)
        except (SQLAlchemyError, OSError) as error:
            _log.error("signals.not_sent", reason=str(error), number=len(texts))

    async def run(self) -> None:
        """Listen until cancelled; connect again whenever the connection is lost."""
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError, StoreError) as error:
                if not self._failed:
                    _log.warning("signals.lost", reason=str(error) or type(error).__name__)
                self._failed = True
            await asyncio.sleep(_RETRIED_AFTER_S)

    async def _listen(self) -> None:
        """Deliver signals until the connection is lost. Raises StoreError and errors of asyncpg."""
        lost = asyncio.Event()
        async with asyncio.timeout(_CONNECTED_WITHIN_S):
            connection = await _connected(self._address)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(_CHANNEL, self._hear)
            await self._check_hearing()
            self._begin_hearing()
            await lost.wait()
            raise StoreError("the connection to store.listen_database ended")
        finally:
            self.hears_others = False
            connection.terminate()
            for subscriber in self.subscribers:
                subscriber.unheard()

    def _begin_hearing(self) -> None:
        self.hears_others = True
        _log.info("signals.heard")
        self._failed = False
        for subscriber in self.subscribers:
            subscriber.missed()

    async def _check_hearing(self) -> None:
        """Check that what the pool sends is heard. Raises StoreError."""
        self._test = f"test {token_hex(8)}"
        self._test_heard.clear()
        await self._notify([self._test])
        try:
            async with asyncio.timeout(_HEARD_WITHIN_S):
                await self._test_heard.wait()
        except TimeoutError:
            raise StoreError(
                "NOTIFY is not heard: set store.listen_database to the address of PostgreSQL itself, not of a pooler"
            ) from None

    def _hear(self, _connection: Any, _process: int, _channel: str, text: str) -> None:
        if text == self._test:
            self._test_heard.set()
        elif (signal := parsed(text)) is not None:
            self.deliver([signal])


async def _connected(address: str) -> Any:
    """Open a connection outside of the pool. Raises OSError and errors of asyncpg."""
    connection = await asyncpg.connect(**dialect.driver_options(address), server_settings={"application_name": "fonoteka"})
    # Without it, an idle connection to a machine that is gone looks alive for ever.
    transport_socket = connection._transport.get_extra_info("socket")
    if transport_socket.family != socket.AF_UNIX:
        for option, value in _KEEPALIVE.items():
            transport_socket.setsockopt(*option, value)
    return connection
