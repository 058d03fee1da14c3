"""Feature codes during a call (*3 and *4): Asterisk runs AGI against a socket of the agent.

The agent carries out the request and confirms it by a beep. Every process on the machine can
connect to the loopback address. So the other side must first set a variable on the channel of the
key press to a value made for this press, and the agent reads the variable over the manager
interface. Each press occupies a thread, because pyst2 blocks.
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
MAX_CONNECTIONS: Final = 16
PROOF_WITHIN_S: Final = 3.0  # for everything before the proof, however slowly it arrives
DONE_WITHIN_S: Final = 4.0
RETRY_AFTER_S: Final = 10.0
MAX_LINES: Final = 200  # Asterisk sends about twenty at first
MAX_LINE_BYTES: Final = 2048
BEEPS: Final = {Action.START: 1, Action.RESUME: 1, Action.STOP: 2, Action.PAUSE: 2}
_log = structlog.get_logger()


class FeatureCodes:
    """Listens on `address` while `run` is active; an empty address disables it."""

    def __init__(self, address: str, ami: Ami, requests: OnDemandRequests) -> None:
        self._address, self._ami, self._requests = address, ami, requests
        self._unproved: dict[socket.socket, asyncio.TimerHandle] = {}  # oldest first

    async def run(self) -> None:
        """Accept connections until cancelled. If the address is in use, log it and retry."""
        if not self._address:
            await asyncio.Event().wait()
        host, port = split_address(self._address)
        loop = asyncio.get_running_loop()
        try:
            listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            _log.error("feature_codes.not_listening", address=self._address, error=str(error), retry_in_s=RETRY_AFTER_S)
            await asyncio.sleep(RETRY_AFTER_S)
            return
        listening.setblocking(False)
        threads = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="agi")
        handling: set[asyncio.Future[None]] = set()
        try:
            with listening:
                _log.info("feature_codes.listening", address=self._address)
                while True:
                    connection, _ = await loop.sock_accept(listening)
                    if len(handling) >= MAX_CONNECTIONS:
                        _log.warning("feature_codes.limit_reached")
                        if not self._unproved:
                            connection.close()  # the call continues without a beep
                            continue
                        # Asterisk sends its proof at once, so the oldest one is hardly Asterisk.
                        self._hang_up(next(iter(self._unproved)))
                    self._unproved[connection] = loop.call_later(PROOF_WITHIN_S, self._hang_up, connection)
                    task = loop.run_in_executor(threads, self._handle, connection, loop)
                    handling.add(task)
                    task.add_done_callback(handling.discard)
        finally:
            for connection in list(self._unproved):
                self._hang_up(connection)
            threads.shutdown(wait=False, cancel_futures=True)

    def _hang_up(self, connection: socket.socket) -> None:
        """Shut a connection down that sent no proof in time; its thread then reads the end."""
        if (timer := self._unproved.pop(connection, None)) is not None:
            timer.cancel()
            with suppress(OSError):  # it may be closed already
                connection.shutdown(socket.SHUT_RDWR)

    async def _pressed(self, connection: socket.socket, agi: "_Agi", proof: str) -> tuple[Action, Refusal | None] | None:
        """Carry out the feature code, if the key was pressed on that channel."""
        try:
            answer = await self._ami.action("Getvar", Channel=agi.uniqueid, Variable=PROOF)
        except AmiError:  # no such channel
            answer = {}
        if not hmac.compare_digest(answer.get("Value", "").encode(), proof.encode()):
            _log.warning("feature_codes.stranger", hint="a process on this machine that is not this PBX connects to pbx.agi")
            return None
        if (timer := self._unproved.pop(connection, None)) is not None:
            timer.cancel()
        return await self._requests.by_key(agi.script, agi.uniqueid)

    def _handle(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Handle one key press, in its thread."""
        try:
            with connection:
                connection.settimeout(PROOF_WITHIN_S)
                agi = _Agi(connection)
                proof = secrets.token_hex(16)
                agi.set_variable(PROOF, proof)
                pressed = asyncio.run_coroutine_threadsafe(self._pressed(connection, agi, proof), loop)
                outcome = pressed.result(DONE_WITHIN_S)
                if outcome is not None:
                    action, refusal = outcome
                    agi.play(*(["beep"] * BEEPS[action] if refusal is None else ["beeperr"]))
        except (AGIException, OSError, ValueError, TimeoutError) as error:
            _log.warning("feature_codes.broken_off", error=f"{type(error).__name__}: {error}")
        except Exception:
            _log.exception("feature_codes.failed")
        finally:
            with suppress(RuntimeError):  # the loop may have ended
                loop.call_soon_threadsafe(self._hang_up, connection)


class _Agi(AGI):  # type: ignore[misc]
    """pyst2's AGI over a connection. Its own constructor handles SIGHUP, which a thread cannot."""

    def __init__(self, connection: socket.socket) -> None:
        self.stdin: Any = _Lines(connection)
        self.stdout: Any = connection.makefile("w", encoding="utf-8", newline="\n")
        self.stderr: Any = io.StringIO()
        self._got_sighup = False
        self.env: dict[str, str] = {}
        self._get_agi_env()

    @property
    def script(self) -> str:
        """The path of the AGI address in the dialplan: `record` or `pause`."""
        return self.env.get("agi_network_script", "")

    @property
    def uniqueid(self) -> str:
        """The channel on which the key was pressed."""
        return self.env.get("agi_uniqueid", "")

    def play(self, *sounds: str) -> None:
        """Play sounds on the channel of the key press."""
        for sound in sounds:
            self.stream_file(sound)


class _Lines:
    """The lines of a connection, limited in number and length; pyst2 alone has no limit."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rb")
        self._left = MAX_LINES

    def readline(self) -> str:
        """Return the next line. Raises ConnectionError at the end or above the limits."""
        line = self._file.readline(MAX_LINE_BYTES)
        self._left -= 1
        if not line.endswith(b"\n") or self._left < 0:
            raise ConnectionError("the other side closed the connection or sent too much")
        return line.decode(errors="replace")
