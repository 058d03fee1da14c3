"""Signals: what a transaction changed, for every API process of the index.

A transaction publishes signals, which are delivered once it is committed, before its writer goes
on: what an agent has a receipt for was told. SQLite has one API: they are delivered in this
process. PostgreSQL delivers them to each process that listens (LISTEN). They hold ids only: a
listener reads what it may see.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

_PUBLISHED: Final = "fonoteka_signals"  # key of what the transaction of a connection published


class SignalKind(StrEnum):
    """What changed; in brackets what `of` and `what` are."""

    CALL = "call"  # (domain, public id)
    RECORDING = "recording"  # only the recording of a call (domain, public id)
    SESSIONS = "sessions"  # some ended (domain)
    SETTINGS = "settings"
    COMMANDS = "commands"  # one was asked, or answered
    LINK = "link"  # what an agent says of its Asterisk (PBX, PbxLink)
    CLOCK = "clock"  # by how many seconds the clock of a PBX is ahead (PBX, whole seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """A change; `of` is the key of a domain or PBX."""

    kind: SignalKind
    of: int = 0
    what: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.of} {self.what}"


def parsed(text: str) -> Signal | None:
    """Return the signal of a text; None for one of another version."""
    try:
        kind, of, what = text.split(" ")
        return Signal(kind=SignalKind(kind), of=int(of), what=what)
    except ValueError:
        return None


def publish(connection: AsyncConnection, *signals: Signal) -> None:
    """Have signals delivered when the transaction, begun by `Store.writing`, is committed."""
    connection.info[_PUBLISHED].extend(signals)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscriber:
    """Who waits for changes.

    `unheard` is called when changes by other processes are no longer heard, `missed` when they are
    heard again: some may have been lost.
    """

    take: Callable[[Signal], None]
    unheard: Callable[[], None]
    missed: Callable[[], None]


class Signals:
    """Signals of an SQLite index: delivered to the subscribers in this process."""

    hears_others = False
    """Whether changes by all processes are delivered here; if not, subscribers have to look."""

    def __init__(self) -> None:
        self.subscribers: list[Subscriber] = []

    @contextmanager
    def collecting(self, connection: AsyncConnection) -> Iterator[list[Signal]]:
        """Collect what is published on a connection while the block runs."""
        signals: list[Signal] = []
        connection.info[_PUBLISHED] = signals
        try:
            yield signals
        finally:
            del connection.info[_PUBLISHED]

    async def send(self, signals: Sequence[Signal]) -> None:
        """Send the signals of a committed transaction to all processes."""
        self.deliver(signals)

    async def run(self) -> None:
        """Listen to other processes until cancelled."""
        await asyncio.Event().wait()

    def deliver(self, signals: Sequence[Signal]) -> None:
        """Call the subscribers with each signal."""
        for signal in signals:
            for subscriber in self.subscribers:
                subscriber.take(signal)
