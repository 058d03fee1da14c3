"""The AMI client: connects, logs in, stays connected, and gives one ordered stream of events.

The hazards it is built against, each with its test, are in docs/decisions/0003-ami-client.md. In reading order:
`ami_framing` (bytes → messages), `ami_mending` and `ami_shape` (what callers cut in pieces), `ami_message` (values),
`ami_action` (what is sent), `ami_answers` (who waits for what), `ami_stream` (towards the consumer), `ami_session` (one
connection).
"""

import asyncio
import hashlib
import socket
from collections.abc import Mapping, Sequence

import structlog
from pydantic import SecretStr

from agent.ami.event_layout import Shape
from agent.ami.event_queue import AmiStream
from agent.ami.message import AmiEvent, AmiMessage, Garbled, LinkDown, LinkUp
from agent.ami.session import AmiSession
from fonoteka.core.backoff import Backoff
from fonoteka.core.errors import AmiActionFailed, AmiError, AmiRefused, AmiTimeout, AmiUnreachable

__all__ = ["AmiClient", "AmiEvent", "AmiMessage", "Garbled", "LinkDown", "LinkUp"]

_log = structlog.get_logger()


class AmiClient:
    """One account on one Asterisk. `run()` in a task of its own; `next()`, `action()` and `listing()` from anywhere in its loop.

    Only events named in `events` are delivered; events and items of lists that have one of `shapes` are read so that no caller can
    forge them. `queue_size` events or `queue_bytes` may wait for the consumer; when more come
    the link is declared down and made anew once half is worked off, so nothing is lost without a LinkDown that says so.
    """

    def __init__(
        self,
        address: tuple[str, int],
        user: str,
        secret: str,
        *,
        events: frozenset[str],
        shapes: Mapping[str, Shape] | None = None,
        queue_size: int = 10_000,
        queue_bytes: int = 64 * 1024 * 1024,
        connect_timeout_s: float = 5.0,
        login_timeout_s: float = 5.0,
        ping_every_s: float = 10.0,
        ping_timeout_s: float = 5.0,
        first_retry_s: float = 0.5,
        most_retry_s: float = 30.0,
    ) -> None:
        self._host, self._port = address
        self._user, self._secret = user, SecretStr(secret)  # masked in tracebacks that show variables, too
        self._events, self._shapes = events, shapes or {}
        self._stream = AmiStream(queue_size, queue_bytes)
        self._connect_timeout_s, self._login_timeout_s = connect_timeout_s, login_timeout_s
        self._ping_every_s, self._ping_timeout_s = ping_every_s, ping_timeout_s
        self._backoff = Backoff(first_retry_s, most_retry_s)
        self._session: AmiSession | None = None
        self._ever_up = False
        self._why_down: str | None = None

    def __repr__(self) -> str:
        return f"AmiClient({self._user!r} at {self._where}, {'up' if self.connected else 'down'})"

    @property
    def connected(self) -> bool:
        """Whether a login stands right now."""
        return self._session is not None and self._session.up

    @property
    def behind(self) -> int:
        """How many events wait for the consumer."""
        return len(self._stream)

    async def next(self) -> AmiEvent | LinkUp | LinkDown | Garbled:
        """The next item, in the order Asterisk sent them: LinkUp before the events of a session, LinkDown after them.

        A LinkDown also comes once if the very first attempt to connect fails; later failures are only logged.
        """
        return await self._stream.next()

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str | Sequence[str]) -> AmiMessage:
        """Send an action and return its response; a sequence sends its header repeatedly. It is never sent a second time.

        Raises AmiActionFailed (Asterisk said no), AmiTimeout (it may have been carried out), AmiUnreachable (not connected, or
        the link broke before the answer), AmiUnsafe (nothing was sent).
        """
        return (await self._linked().ask(name, headers, timeout_s))[0]

    async def listing(self, name: str, /, timeout_s: float = 10, **headers: str | Sequence[str]) -> list[AmiMessage]:
        """Send an action that answers with a list, such as CoreShowChannels, and return its whole list.

        Raises as `action` does; a list that breaks off is an AmiTimeout or AmiUnreachable, never half a list.
        """
        return await self._linked().ask(name, headers, timeout_s, wants_list=True)

    async def run(self) -> None:
        """Keep connected until cancelled. Raises AmiRefused if Asterisk turns the login down before any has succeeded."""
        while True:
            try:
                await self._connect_and_stay()
            except AmiUnreachable as error:
                self._tell_down(error)
            except AmiRefused as error:
                if not self._ever_up:
                    raise
                self._tell_down(error)
            await self._stream.room()
            retry_in_s = self._backoff.next_s()
            _log.warning("ami.retry", reason=self._why_down, retry_in_s=round(retry_in_s, 2))
            await asyncio.sleep(retry_in_s)

    def _tell_down(self, error: AmiError) -> None:
        if not self._ever_up and self._why_down is None:
            self._stream.put_link(LinkDown(reason=str(error)))
        self._why_down = str(error)

    def _linked(self) -> AmiSession:
        if self._session is None or not self._session.up:
            raise AmiUnreachable(f"not connected to Asterisk at {self._where}: {self._why_down or 'not tried yet'}")
        return self._session

    async def _connect_and_stay(self) -> None:
        """One session from connecting to its end, which is always an error raised."""
        session = self._session = await self._connect()
        try:
            await self._log_in(session)
            self._ever_up = True
            await self._watch(session)
        finally:
            session.drop(AmiUnreachable("the client was stopped"))
            await session.closed

    async def _connect(self) -> AmiSession:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, session = await loop.create_connection(
                    lambda: AmiSession(self._stream, self._events, self._shapes), self._host, self._port
                )
        except TimeoutError as error:
            raise self._unreachable(f"no connection within {self._connect_timeout_s:g} s; is a firewall between?") from error
        except socket.gaierror as error:
            raise self._unreachable(f"no such host ({error.strerror})") from error
        except ConnectionRefusedError as error:
            raise self._unreachable("nobody listens there; is Asterisk running, with enabled = yes in manager.conf?") from error
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from error
        return session

    async def _log_in(self, session: AmiSession) -> None:
        """By MD5 challenge, which every Asterisk offers: the secret does not travel, not even when the server asks for it."""
        try:
            challenge = (await session.ask("Challenge", {"AuthType": "MD5"}, self._login_timeout_s))[0].get("Challenge", "")
            key = hashlib.md5((challenge + self._secret.get_secret_value()).encode(), usedforsecurity=False).hexdigest()
            login = {"AuthType": "MD5", "Username": self._user, "Key": key, "Events": "on"}
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
            raise self._unreachable(f"{error} before the login was done") from error

    async def _watch(self, session: AmiSession) -> None:
        """Ping until the link is lost; raises why it was. A frozen Asterisk keeps its sockets open and is found only so."""
        while True:
            await asyncio.wait((session.closed,), timeout=self._ping_every_s)
            if session.error is not None:
                raise AmiUnreachable(str(session.error))
            try:
                await session.ask("Ping", {}, self._ping_timeout_s)
            except AmiTimeout:
                session.drop(AmiUnreachable(f"Asterisk did not answer a ping within {self._ping_timeout_s:g} s"))
            else:
                self._backoff.reset()

    def _unreachable(self, why: str) -> AmiUnreachable:
        return AmiUnreachable(f"pbx.ami = {self._where}: {why}")

    @property
    def _where(self) -> str:
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
