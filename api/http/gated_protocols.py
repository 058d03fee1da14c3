"""HTTP and WebSocket connections that pass a `ConnectionGate` and keep its deadlines.

uvicorn has no deadline before a head is complete or while a body comes, and answers 503 to every
request while its limit of connections is reached, by idle ones too.
"""

import asyncio
import math
from typing import Any, Final

import uvicorn
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from api.http.connection_gate import ConnectionGate
from api.http.head_limit import HeadLimitProtocol
from api.limits.connection_table import Yields

_REFUSAL: Final = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class GatedConfig(uvicorn.Config):
    """uvicorn's settings with the gate; protocols get nothing else from their server."""

    def __init__(self, app: Any, gate: ConnectionGate, **settings: Any) -> None:
        super().__init__(app, http=GatedHttp, ws=GatedWebSocket, **settings)
        self.gate = gate


class GatedHttp(HeadLimitProtocol):
    """A connection whose head, body and reader have deadlines."""

    def __init__(
        self,
        config: GatedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._gate, self._limits = config.gate, config.gate.limits
        self.deadline = self.loop.time() + self._limits.head_s
        self._head_begun = True  # the first head is expected at once
        self._receiving = False  # a body
        self._received, self._receiving_since = 0, 0.0
        self._unanswered = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection, or answer 503 and close it."""
        super().connection_made(transport)
        if not self._gate.admit(self, self.client[0] if self.client else ""):
            transport.write(_REFUSAL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the gate."""
        self._gate.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data; the first byte of a later head begins its deadline."""
        if not self._head_begun and not self._receiving and not self._unanswered:
            self._head_begun = True
            self.deadline = self.loop.time() + self._limits.head_s
        super().data_received(data)

    def handle_websocket_upgrade(self) -> None:
        """Pass the place in the gate on to the WebSocket."""
        self._gate.leave(self)
        super().handle_websocket_upgrade()

    def on_headers_complete(self) -> None:
        """Begin to wait for the body."""
        super().on_headers_complete()
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self._unanswered += 1
        self._receiving = True
        self._expect_body()
        self._gate.set(self, Yields.SECOND)

    def on_body(self, body: bytes) -> None:
        """Move the deadline of the body."""
        super().on_body(body)
        self._received += len(body)
        allowed_s = self._limits.body_s + self._received / self._limits.body_bytes_per_s
        self.deadline = min(self.loop.time() + self._limits.body_s, self._receiving_since + allowed_s)

    def on_message_complete(self) -> None:
        """Wait for the answer, or for the next request."""
        super().on_message_complete()
        self._receiving = False
        self._settle()

    def on_response_complete(self) -> None:
        """Wait for the rest of the body, or for the next request."""
        super().on_response_complete()
        self._unanswered -= 1
        self._settle()

    def pause_writing(self) -> None:
        """Begin to wait until the client reads."""
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._settle()

    def give_way(self) -> None:
        """Close the connection, also if the client does not read what was sent."""
        self.transport.abort()

    def overdue(self, now: float) -> bool:
        """Return True unless the server itself does not read: its disk is slow, say."""
        if self._receiving and self.flow.read_paused:
            self._expect_body()
            return False
        return True

    def _expect_body(self) -> None:
        self._received, self._receiving_since = 0, self.loop.time()
        self.deadline = self._receiving_since + self._limits.body_s

    def _settle(self) -> None:
        """Set the deadline and the level after a change, unless a body is being received."""
        if self._receiving:
            return
        if self.flow.write_paused or (not self._unanswered and self.transport.get_write_buffer_size()):
            self._wait_for(self._limits.unread_s, Yields.SECOND)
        elif self._unanswered:
            self._wait_for(math.inf, Yields.NEVER)
        else:
            self._head_begun = self._unfinished > 0
            self._wait_for(self._limits.head_s if self._head_begun else self._limits.idle_s, Yields.FIRST)

    def _wait_for(self, seconds: float, level: Yields) -> None:
        self.deadline = self.loop.time() + seconds
        self._gate.set(self, level)


class GatedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket; one that was not accepted has a deadline too."""

    def __init__(
        self,
        config: GatedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._gate, self._handshake_s = config.gate, config.gate.limits.head_s
        self.deadline = self.loop.time() + self._handshake_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the place in the gate that the HTTP connection has left."""
        super().connection_made(transport)
        self._gate.admit(self, self.client[0] if self.client else "")
        self._gate.set(self, Yields.SECOND)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the gate."""
        self._gate.leave(self)
        super().connection_lost(exc)

    async def send(self, message: ASGISendEvent) -> None:
        """Send; an accepted WebSocket never makes room, as pings find clients that are gone."""
        await super().send(message)
        if message["type"] == "websocket.accept":
            self._gate.set(self, Yields.NEVER)

    def give_way(self) -> None:
        """Close the connection."""
        self.transport.abort()

    def overdue(self, now: float) -> bool:
        """Return True for a WebSocket that was refused, or whose closing the client ignores."""
        if self.handshake_complete and not self.close_sent:
            self.deadline = now + self._handshake_s
            return False
        return True
