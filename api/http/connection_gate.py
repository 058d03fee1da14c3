"""Admit connections within limits, and close those whose client lets the server wait too long."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, Protocol

import structlog

from api.limits.connection_table import ConnectionsFull, ConnectionTable, Yields
from api.limits.network import network_of

_SWEEP_EVERY_S: Final = 0.5
_LOG_EVERY_S: Final = 60.0
log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLimits:
    """How many connections there may be, and how long each may let the server wait."""

    # Most connections are live sockets of open portals.
    connections: int = 2000
    of_a_client: int = 500  # an office of 400 portals behind one address, without a proxy
    head_s: float = 10  # from the connection, or the first byte of a later request, to the last header
    # From the head, and between two parts of the body; the body as a whole must come at this rate.
    body_s: float = 30
    body_bytes_per_s: float = 1024
    # Longer than nginx, our Caddyfile (60) and httpx (5) keep an idle connection: if the server
    # closes it first, a request that was just sent is lost.
    idle_s: float = 75
    unread_s: float = 300  # a browser stops reading while its player is paused


class GatedConnection(Protocol):
    """A connection with a deadline, in the time of the event loop."""

    deadline: float

    def give_way(self) -> None:
        """Close the connection at once."""

    def overdue(self, now: float) -> bool:
        """Return whether the client is to blame for the deadline that has passed."""


class ConnectionGate:
    """The connections of one server. Connections of `proxies` are limited only all together."""

    def __init__(self, limits: ConnectionLimits, proxies: Iterable[str]) -> None:
        self.limits = limits
        self._any_proxy = "*" in (trusted := tuple(proxies))
        self._proxies = tuple(ip_network(proxy, strict=False) for proxy in trusted if proxy != "*")
        self._table = ConnectionTable[GatedConnection](limit=limits.connections, limit_of_a_client=limits.of_a_client)
        self._closed = Counter[str]()
        self._clients = Counter[str | None]()  # of the connections in `_closed`

    def __len__(self) -> int:
        return len(self._table)

    def admit(self, connection: GatedConnection, address: str) -> bool:
        """Add a connection, closing another one for it if necessary; False: there is no room."""
        client = None if self._is_proxy(address) else network_of(address)
        try:
            displaced = self._table.add(connection, client)
        except ConnectionsFull:
            self._count("refused", client)
            return False
        if displaced is not None:
            self._count("displaced", client)
            displaced.give_way()
        return True

    def set(self, connection: GatedConnection, level: Yields) -> None:
        """Set when a connection makes room for others."""
        self._table.set(connection, level)

    def leave(self, connection: GatedConnection) -> None:
        """Remove a connection that was closed or has become a WebSocket."""
        self._table.discard(connection)

    async def run(self) -> None:
        """Close connections past their deadline, until cancelled."""
        clock = asyncio.get_running_loop().time
        logged_at = clock() - _LOG_EVERY_S
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            for connection in self._table:
                if connection.deadline <= clock() and connection.overdue(clock()):
                    self._table.discard(connection)
                    connection.give_way()
            if self._closed and clock() - logged_at >= _LOG_EVERY_S:
                logged_at = clock()
                self._log()

    def _log(self) -> None:
        (client, _), *_ = self._clients.most_common(1)
        closed = {"refused": self._closed["refused"], "displaced": self._closed["displaced"]}
        log.warning("connections.crowded", open=len(self._table), **closed, mostly_of=client or "a trusted proxy")
        self._closed.clear()
        self._clients.clear()

    def _count(self, what: str, client: str | None) -> None:
        self._closed[what] += 1
        if client in self._clients or len(self._clients) < self.limits.connections:
            self._clients[client] += 1

    def _is_proxy(self, address: str) -> bool:
        if self._any_proxy:
            return True
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)
