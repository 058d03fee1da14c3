"""*3 and *4 in a call: Asterisk runs AGI against a socket of ours, we do what was asked for and confirm it by a beep.

Whoever can reach the loopback can connect. So before anything is believed the other side must set a variable of the channel on
which it says that the key was pressed, to a value made for this press: over the manager interface we see whether it is there.
Each press has a thread of its own while it lasts (pyst2 waits).
"""

import asyncio
import hmac
import io
import secrets
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import structlog
from asterisk.agi import AGI, AGIException

from agent.ami.protocol import Ami
from agent.recording.on_demand import OnDemandRequests
from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action
from fonoteka.core.config import split_address
from fonoteka.core.errors import AmiError

PROOF: Final = "FONOTEKA_PRESSED"
MOST_AT_ONCE: Final = 16
SAYS_WITHIN_S: Final = 3.0  # all that comes before the proof, however slowly it trickles
DONE_WITHIN_S: Final = 4.0
AGAIN_AFTER_S: Final = 10.0
MOST_LINES: Final = 200  # Asterisk begins with about twenty
MOST_LINE_BYTES: Final = 2048
BEEPS: Final = {Action.START: 1, Action.RESUME: 1, Action.STOP: 2, Action.PAUSE: 2}
_log = structlog.get_logger()


class FeatureCodes:
    """Listens at `address` (empty: nowhere) while `run` goes on."""

    def __init__(self, address: str, ami: Ami, asked: OnDemandRequests) -> None:
        self._address, self._ami, self._asked = address, ami, asked
        self._unproved: dict[socket.socket, asyncio.TimerHandle] = {}  # the oldest first

    async def run(self) -> None:
        """Take connections until cancelled. An address that cannot be had is told of and tried again."""
        if not self._address:
            await asyncio.Event().wait()
        host, port = split_address(self._address)
        loop = asyncio.get_running_loop()
        try:
            listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            _log.error("feature_codes.no_address", address=self._address, error=str(error), retry_in_s=AGAIN_AFTER_S)
            await asyncio.sleep(AGAIN_AFTER_S)
            return
        listening.setblocking(False)
        threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="agi")
        talking: set[asyncio.Future[None]] = set()
        try:
            with listening:
                _log.info("feature_codes.listen", address=self._address)
                while True:
                    connection, _ = await loop.sock_accept(listening)
                    if len(talking) >= MOST_AT_ONCE:
                        _log.warning("feature_codes.too_many")
                        if not self._unproved:
                            connection.close()  # the call goes on without a beep
                            continue
                        self._hang_up(next(iter(self._unproved)))  # Asterisk proves itself at once, so it is hardly that one
                    self._unproved[connection] = loop.call_later(SAYS_WITHIN_S, self._hang_up, connection)
                    talk = loop.run_in_executor(threads, self._talk, connection, loop)
                    talking.add(talk)
                    talk.add_done_callback(talking.discard)
        finally:
            for connection in list(self._unproved):
                self._hang_up(connection)
            threads.shutdown(wait=False, cancel_futures=True)

    def _hang_up(self, connection: socket.socket) -> None:
        """Whoever has not proved itself in time; its thread then reads an end."""
        if (timer := self._unproved.pop(connection, None)) is not None:
            timer.cancel()
            with suppress(OSError):  # it may be gone already
                connection.shutdown(socket.SHUT_RDWR)

    async def _pressed(self, connection: socket.socket, agi: "_Agi", proof: str) -> tuple[Action, Refusal | None] | None:
        """Do what the key means, if it was pressed on that channel."""
        try:
            answer = await self._ami.action("Getvar", Channel=agi.uniqueid, Variable=PROOF)
        except AmiError:  # there is no such channel
            answer = {}
        if not hmac.compare_digest(answer.get("Value", "").encode(), proof.encode()):
            _log.warning("feature_codes.stranger", hint="somebody on this machine who is not this PBX talks to pbx.agi")
            return None
        if (timer := self._unproved.pop(connection, None)) is not None:
            timer.cancel()
        return await self._asked.by_key(agi.script, agi.uniqueid)

    def _talk(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """One press, in its thread."""
        try:
            with connection:
                connection.settimeout(SAYS_WITHIN_S)
                agi = _Agi(connection)
                proof = secrets.token_hex(16)
                agi.set_variable(PROOF, proof)
                pressed = asyncio.run_coroutine_threadsafe(self._pressed(connection, agi, proof), loop)
                told = pressed.result(DONE_WITHIN_S)
                if told is not None:
                    action, refusal = told
                    agi.play(*(["beep"] * BEEPS[action] if refusal is None else ["beeperr"]))
        except (AGIException, OSError, ValueError, TimeoutError) as error:
            _log.warning("feature_codes.broken_off", error=f"{type(error).__name__}: {error}")
        except Exception:
            _log.exception("feature_codes.failed")
        finally:
            with suppress(RuntimeError):  # the loop may have ended
                loop.call_soon_threadsafe(self._hang_up, connection)


class _Agi(AGI):  # type: ignore[misc]
    """pyst2's AGI over a connection. Its own constructor takes the process's SIGHUP, which is not ours to give in a thread."""

    def __init__(self, connection: socket.socket) -> None:
        self.stdin: Any = _Lines(connection)
        self.stdout: Any = connection.makefile("w", encoding="utf-8", newline="\n")
        self.stderr: Any = io.StringIO()
        self._got_sighup = False
        self.env: dict[str, str] = {}
        self._get_agi_env()

    @property
    def script(self) -> str:
        """The path of the address that Asterisk was told: `record` or `pause`."""
        return self.env.get("agi_network_script", "")

    @property
    def uniqueid(self) -> str:
        """The channel on which the key was pressed."""
        return self.env.get("agi_uniqueid", "")

    def play(self, *sounds: str) -> None:
        """Let the one who pressed the key hear these."""
        for sound in sounds:
            self.stream_file(sound)


class _Lines:
    """Lines of a connection, so many and so long at most. pyst2 would read without end, and at the end turn for ever."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rb")
        self._left = MOST_LINES

    def readline(self) -> str:
        """The next line. Raises ConnectionError where there is none, or one too many."""
        line = self._file.readline(MOST_LINE_BYTES)
        self._left -= 1
        if not line.endswith(b"\n") or self._left < 0:
            raise ConnectionError("the other side hung up, or says too much")
        return line.decode(errors="replace")
