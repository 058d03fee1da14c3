"""The AMI client: connect, log in, stay connected, and deliver one ordered stream of events.

The hazards it guards against, each with its test, are in docs/decisions/0003-ami-client.md. In
reading order: `framing` (bytes to messages), `event_layout` and `event_repair` (events that callers
cut in pieces), `message` (values), `action` (encoding), `pending_actions` (answers), `event_queue`
(events to the consumer), `session` (one connection).
"""

import asyncio
import hashlib
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog
from pydantic import SecretStr

from agent.ami.event_layout import EventLayout
from agent.ami.event_queue import EventQueue
from agent.ami.message import AmiEvent, AmiMessage, Garbled, LinkDown, LinkUp
from agent.ami.session import AmiSession
from fonoteka.core.backoff import Backoff
from fonoteka.core.errors import AmiActionFailed, AmiError, AmiRefused, AmiTimeout, AmiUnreachable

__all__ = ["AmiClient", "AmiEvent", "AmiMessage", "Garbled", "LinkDown", "LinkUp"]

NO_TLS: Final = "no TLS there; is it the port of tlsbindaddr in manager.conf, and not that of bindaddr?"
_log = structlog.get_logger()


class AmiClient:
    """One account on one Asterisk. Run `run()` in a task of its own.

    Only the events named in `events` are delivered. No caller can forge an event or an item of a
    list that has a layout in `layouts`. `queue_size` events or `queue_bytes` bytes may wait for the
    consumer. When more come, LinkDown is delivered, and the client connects again once half of them
    is consumed: no event is lost without a LinkDown. `tls` is the context of a connection by TLS
    (`agent.ami.tls`), whose certificate must name the host of `address`. While `may_act` returns
    False, no action is sent.
    """

    def __init__(
        self,
        address: tuple[str, int],
        user: str,
        secret: str,
        *,
        events: frozenset[str],
        layouts: Mapping[str, EventLayout] | None = None,
        tls: ssl.SSLContext | None = None,
        may_act: Callable[[], bool] = lambda: True,
        queue_size: int = 10_000,
        queue_bytes: int = 64 * 1024 * 1024,
        connect_timeout_s: float = 5.0,
        login_timeout_s: float = 5.0,
        ping_every_s: float = 5.0,
        ping_timeout_s: float = 5.0,
        first_retry_s: float = 0.5,
        most_retry_s: float = 10.0,
    ) -> None:
        self._host, self._port = address
        self._user, self._secret = user, SecretStr(secret)  # masked in tracebacks that show variables, too
        self._events, self._layouts, self._tls = events, layouts or {}, tls
        self._may_act = may_act
        self._queue = EventQueue(queue_size, queue_bytes)
        self._connect_timeout_s, self._login_timeout_s = connect_timeout_s, login_timeout_s
        self._ping_every_s, self._ping_timeout_s = ping_every_s, ping_timeout_s
        self._backoff = Backoff(first_retry_s, most_retry_s)
        self._session: AmiSession | None = None
        self._has_been_up = False
        self._down_reason: str | None = None
        self._down_since = time.monotonic()

    def __repr__(self) -> str:
        return f"AmiClient({self._user!r} at {self._where}, {'up' if self.connected else 'down'})"

    @property
    def connected(self) -> bool:
        """Whether the client is logged in."""
        return self._session is not None and self._session.up

    @property
    def certificate_ends_at(self) -> datetime | None:
        """The end of the validity of Asterisk's certificate; None without TLS or connection."""
        return self._session.certificate_ends_at if self._session is not None else None

    @property
    def events_heard(self) -> int:
        """The number of wanted events that have come so far."""
        return self._queue.events

    @property
    def down_for_s(self) -> float:
        """The seconds without a connection; 0 while it is there."""
        return 0.0 if self.connected else time.monotonic() - self._down_since

    @property
    def behind(self) -> int:
        """The number of events that wait for the consumer."""
        return len(self._queue)

    async def next(self) -> AmiEvent | LinkUp | LinkDown | Garbled:
        """Wait for the next item: LinkUp, the events of a session in order, LinkDown.

        If the first attempt to connect fails, one LinkDown is delivered; later failures are only
        logged.
        """
        return await self._queue.next()

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str | Sequence[str]) -> AmiMessage:
        """Send an action once and return its response; a sequence repeats its header.

        Raises AmiActionFailed (Asterisk answered an error), AmiTimeout (Asterisk may have carried
        it out), AmiUnreachable (not connected, or the link broke before the answer), AmiUnsafe (not
        sent).
        """
        return (await self._connected().ask(name, headers, timeout_s))[0]

    async def listing(self, name: str, /, timeout_s: float = 10, **headers: str | Sequence[str]) -> list[AmiMessage]:
        """Send an action that answers with a list, such as CoreShowChannels, and return the list.

        Raises as `action` does. An incomplete list raises AmiTimeout or AmiUnreachable.
        """
        return await self._connected().ask(name, headers, timeout_s, wants_list=True)

    def renew(self, reason: str) -> None:
        """Drop the connection and log in again."""
        if self._session is not None:
            self._session.drop(AmiUnreachable(reason))

    async def run(self) -> None:
        """Stay connected until cancelled. Raises AmiRefused if Asterisk refuses the first login."""
        while True:
            try:
                await self._connect_and_stay()
            except AmiUnreachable as error:
                self._report_down(error)
            except AmiRefused as error:
                if not self._has_been_up:
                    raise
                self._report_down(error)
            await self._queue.room()
            retry_in_s = self._backoff.next_s()
            _log.warning("ami.retry", reason=self._down_reason, retry_in_s=round(retry_in_s, 2))
            await asyncio.sleep(retry_in_s)

    def _report_down(self, error: AmiError) -> None:
        if not self._has_been_up and self._down_reason is None:
            self._queue.put_link(LinkDown(reason=str(error)))
        self._down_reason = str(error)

    def _connected(self) -> AmiSession:
        if self._session is None or not self._session.up:
            raise AmiUnreachable(f"not connected to Asterisk at {self._where}: {self._down_reason or 'not tried yet'}")
        if not self._may_act():
            raise AmiUnreachable("this agent may not act on Asterisk any more")
        return self._session

    async def _connect_and_stay(self) -> None:
        """Run one session to its end, which always raises an error."""
        session = self._session = await self._connect()
        try:
            await self._log_in(session)
            self._has_been_up = True
            await self._watch(session)
        except AmiError as error:
            session.drop(error)
            raise
        finally:
            self._down_since = time.monotonic() if session.has_been_up else self._down_since
            session.drop(AmiUnreachable("the client was stopped"))
            await session.closed

    async def _connect(self) -> AmiSession:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, session = await loop.create_connection(
                    lambda: AmiSession(self._queue, self._events, self._layouts), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise self._unreachable(f"no connection within {self._connect_timeout_s:g} s; is a firewall between?") from error
        except socket.gaierror as error:
            raise self._unreachable(f"no such host ({error.strerror})") from error
        except ConnectionRefusedError as error:
            option = "enabled = yes" if self._tls is None else "tlsenable = yes and tlsbindaddr"
            raise self._unreachable(f"nobody listens there; is Asterisk running, with {option} in manager.conf?") from error
        except ssl.SSLCertVerificationError as error:
            raise AmiRefused(
                f"pbx.ami = {self._where}: the certificate of Asterisk is refused: {error.verify_message}; "
                "check pbx.ami_ca, the host of pbx.ami, and tlscertfile in manager.conf"
            ) from error
        except ssl.SSLError as error:
            raise self._unreachable(f"{NO_TLS} ({error.reason or error})") from error
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from error
        return session

    async def _log_in(self, session: AmiSession) -> None:
        """Log in by MD5 challenge, which every Asterisk offers, so the secret is never sent."""
        try:
            challenge = (await session.ask("Challenge", {"AuthType": "MD5"}, self._login_timeout_s))[0].get("Challenge", "")
            key = hashlib.md5((challenge + self._secret.get_secret_value()).encode(), usedforsecurity=False).hexdigest()
            login = {"AuthType": "MD5", "Username": self._user, "Key": key, "Events": "on" if self._events else "off"}
            await session.ask("Login", login, self._login_timeout_s)
        except AmiActionFailed as error:
            raise AmiRefused(
                f"pbx.ami = {self._where}: Asterisk turned the user {self._user!r} down ({error}); "
                "check pbx.ami_user and pbx.ami_secret, and the user's permit and deny in manager.conf"
            ) from error
        except AmiTimeout as error:
            raise self._unreachable(
                f"connected, but no answer ({error}); is it Asterisk's manager port, and Asterisk well?"
            ) from error
        except AmiUnreachable as error:
            if isinstance(session.error, AmiRefused):
                raise AmiRefused(f"pbx.ami = {self._where}: {session.error}; check pbx.ami") from error
            hint = "" if self._tls or session.greeted else "; if it is the port of tlsbindaddr, set pbx.ami_tls = true"
            raise self._unreachable(f"{error} before the login was done{hint}") from error

    async def _watch(self, session: AmiSession) -> None:
        """Ping until the link is lost, and raise the reason.

        A frozen Asterisk keeps its sockets open; only the ping detects it.
        """
        while True:
            await asyncio.wait((session.closed,), timeout=self._ping_every_s)
            if session.error is not None:
                raise AmiUnreachable(str(session.error))
            try:
                with suppress(AmiActionFailed):  # an error is an answer, too
                    await session.ask("Ping", {}, self._ping_timeout_s)
            except AmiTimeout:
                session.drop(AmiUnreachable(f"Asterisk did not answer a ping within {self._ping_timeout_s:g} s"))
            else:
                self._backoff.reset()

    def _unreachable(self, reason: str) -> AmiUnreachable:
        return AmiUnreachable(f"pbx.ami = {self._where}: {reason}")

    @property
    def _where(self) -> str:
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
