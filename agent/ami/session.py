"""One connection to AMI, from the greeting to the end: sort the messages, send the actions.

A session ends once, for one reason (`error`). After that it puts nothing into the queue, and every
pending action fails.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, cast

from agent.ami.action import encode_action
from agent.ami.event_layout import EventLayout
from agent.ami.event_queue import EventQueue
from agent.ami.event_repair import EventRepair, RepairedMessage, headers_of
from agent.ami.framing import Framing
from agent.ami.message import AmiEvent, AmiMessage, Garbled, LinkDown, LinkUp, event_name, parse_message
from agent.ami.pending_actions import PendingActions
from fonoteka.core.errors import AmiError, AmiTimeout, AmiUnreachable

_MOST_UNSENT_BYTES: Final = 64 * 1024
_MOST_EARLY_EVENTS: Final = 1000
# The kernel notices a peer whose machine is gone after 30 s; only the ping notices a frozen peer.
_SOCKET_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)


class AmiSession(asyncio.Protocol):
    """Put wanted events into `queue`. `closed` resolves when the connection is gone."""

    def __init__(self, queue: EventQueue, wanted: Iterable[str], layouts: Mapping[str, EventLayout]) -> None:
        self.up = self.has_been_up = False
        self.error: AmiError | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue = queue
        self._wanted = {name.encode(): name for name in wanted}
        self._only_with = {name: layout.only_with for name, layout in layouts.items() if layout.only_with}
        self._framing = Framing()
        self._pending = PendingActions()
        self._repair = EventRepair(layouts, self._pending.is_answer)
        self._early: list[tuple[AmiEvent, int]] = []

    @property
    def greeted(self) -> bool:
        """Whether the greeting of AMI has come."""
        return self._framing.version is not None

    @property
    def certificate_ends_at(self) -> datetime | None:
        """The end of the validity of the peer's certificate; None without TLS."""
        certificate = self._transport.get_extra_info("peercert")
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC) if certificate else None

    async def ask(
        self, name: str, headers: Mapping[str, str | Sequence[str]], timeout_s: float, *, wants_list: bool = False
    ) -> list[AmiMessage]:
        """Send an action once. Return a list of its response alone, or the items of its list.

        Raises AmiActionFailed, AmiTimeout, AmiUnreachable if the link breaks first, AmiUnsafe
        before sending.
        """
        if self.error is not None:
            raise AmiUnreachable(str(self.error))
        action_id, pending = self._pending.add(name, wants_list=wants_list)
        try:
            sent = encode_action(name, action_id, headers)
            if self._transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
                raise AmiUnreachable("Asterisk does not read what is sent to it")
            self._transport.write(sent)
            # Not wait_for: an answer that came while this process was stalled still counts.
            await asyncio.wait((pending.done,), timeout=timeout_s)
            if not pending.done.done():
                raise AmiTimeout(f"{name}: no {'complete list' if wants_list else 'answer'} from Asterisk within {timeout_s:g} s")
            return pending.done.result()
        finally:
            self._pending.discard(action_id)

    def drop(self, error: AmiError, *, closed: bool = False) -> None:
        """End the connection. The first error is the one that is reported."""
        if self.error is not None:
            return
        self.error = error
        self._pending.fail_all(str(error))
        self._early.clear()
        if self.up:
            self.up = False
            self._queue.put_link(LinkDown(reason=str(error), closed=closed))
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport does not inherit from it
        for level, option, value in _SOCKET_OPTIONS:
            transport.get_extra_info("socket").setsockopt(level, option, value)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        if self.error is not None:
            return
        received_at, garbled = datetime.now(UTC), self._repair.garbled
        try:
            for message in self._repair.feed(self._framing.feed(data)):
                self._take(message, received_at)
                if self.error is not None:
                    return
        except AmiError as error:
            self.drop(error)
        else:
            if self.up and self._repair.garbled != garbled:
                self._queue.put_link(Garbled())

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self.drop(AmiUnreachable(f"the connection broke ({exc})" if exc else "Asterisk closed the connection"), closed=True)
        if not self.closed.done():
            self.closed.set_result(None)

    def _take(self, message: RepairedMessage, received_at: datetime) -> None:
        """Process a message. Shutdown and Goodbye mean nothing here.

        Callers can forge both, and the closing socket is proof enough.
        """
        raw = message.raw
        name = event_name(raw)
        if name is None:
            if raw.startswith(b"Response: "):
                self._take_response(parse_message(raw))
            return
        wanted = self._wanted.get(name)
        if wanted in self._only_with and self._only_with[wanted] not in raw:
            return
        if wanted is None and not self._pending.may_be_list_item(raw):
            return
        headers = headers_of(message)
        if not self._pending.take_list_item(headers) and wanted is not None:
            self._put(AmiEvent(name=wanted, headers=headers, received_at=received_at), len(raw))

    def _take_response(self, message: AmiMessage) -> None:
        if self._pending.take_response(message) == "Login":
            self._go_up()

    def _go_up(self) -> None:
        """Report the link as up, and queue the events that came before the login was answered.

        Not where the login is awaited: events may come in the same segment as its answer.
        """
        self.up = self.has_been_up = True
        self._queue.put_link(LinkUp(version=self._framing.version or ""))
        early, self._early = self._early, []
        for event, size_bytes in early:
            self._put(event, size_bytes)

    def _put(self, event: AmiEvent, size_bytes: int) -> None:
        if self.up:
            if not self._queue.put_event(event, size_bytes):
                self.drop(AmiUnreachable("overflow: events came faster than they were processed"))
        elif len(self._early) < _MOST_EARLY_EVENTS:
            self._early.append((event, size_bytes))
        else:
            self.drop(AmiUnreachable(f"more than {_MOST_EARLY_EVENTS} events came before the answer to the login"))
