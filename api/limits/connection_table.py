"""Decide which connection makes room for a new one. Pure."""

from collections import Counter
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, Generic, TypeVar

C = TypeVar("C")


class Yields(IntEnum):
    """When a connection is closed for the sake of a new one."""

    FIRST = 0  # no request is on it
    SECOND = 1  # the server waits for its client: for a body, or until the client reads
    NEVER = 2  # the server works on a request; a live socket


_LEVELS: Final = (Yields.FIRST, Yields.SECOND)


class ConnectionsFull(Exception):
    """No connection can make room."""


class ConnectionTable(Generic[C]):
    """The open connections by client, at most `limit`, and `limit_of_a_client` of each client.

    A new connection takes the place of one that waits: of the same client if the client has its
    most, else of the client that has the most connections. Idle connections, however many there
    are, therefore keep nobody out.
    """

    def __init__(self, *, limit: int, limit_of_a_client: int) -> None:
        self._limit, self._limit_of_a_client = limit, limit_of_a_client
        self._clients: dict[C, str | None] = {}
        self._levels: dict[C, Yields] = {}
        self._counts = Counter[str | None]()
        # By level and client, in the order in which the connections began to wait.
        self._waiting: dict[Yields, dict[str | None, dict[C, None]]] = {level: {} for level in _LEVELS}

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[C]:
        return iter(tuple(self._clients))

    def add(self, connection: C, client: str | None) -> C | None:
        """Add a connection without a request; return the one to close for it, if any.

        `client` None is exempt from the limit of a client: a trusted proxy. Raises ConnectionsFull.
        """
        displaced = None
        if client is not None and self._counts[client] >= self._limit_of_a_client:
            displaced = self._longest_waiting(client)
        elif len(self._clients) >= self._limit:
            displaced = self._longest_waiting_of_the_largest()
        if displaced is not None:
            self.discard(displaced)
        self._clients[connection] = client
        self._counts[client] += 1
        self._wait(connection, Yields.FIRST)
        return displaced

    def set(self, connection: C, level: Yields) -> None:
        """Set when a connection makes room. A connection that was discarded is ignored."""
        if connection in self._clients and self._levels[connection] is not level:
            self._stop_waiting(connection)
            self._wait(connection, level)

    def discard(self, connection: C) -> None:
        """Remove a connection, if it is there."""
        if connection in self._clients:
            self._stop_waiting(connection)
            client = self._clients.pop(connection)
            del self._levels[connection]
            self._counts[client] -= 1
            if not self._counts[client]:
                del self._counts[client]

    def _wait(self, connection: C, level: Yields) -> None:
        self._levels[connection] = level
        if level is not Yields.NEVER:
            self._waiting[level].setdefault(self._clients[connection], {})[connection] = None

    def _stop_waiting(self, connection: C) -> None:
        level, client = self._levels[connection], self._clients[connection]
        if level is not Yields.NEVER:
            waiting = self._waiting[level][client]
            del waiting[connection]
            if not waiting:
                del self._waiting[level][client]

    def _longest_waiting(self, client: str | None) -> C:
        for level in _LEVELS:
            if client in self._waiting[level]:
                return next(iter(self._waiting[level][client]))
        raise ConnectionsFull

    def _longest_waiting_of_the_largest(self) -> C:
        for level in _LEVELS:
            if clients := self._waiting[level]:
                return next(iter(clients[max(clients, key=self._counts.__getitem__)]))
        raise ConnectionsFull
