"""A standby: an agent that waits until no other agent of its spool works, and then takes over.

The agent that works answers a question in AstDB as long as it has Asterisk and runs
(agent/recording/pbx_claim.py); neither the store nor a link between the agents is needed. On one
machine the free lock of the spool shows at once that it has ended (fonoteka/core/spool_lock.py).
"""

import asyncio
import time
from enum import Enum, auto
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

import structlog

from agent.ami.client import AmiClient
from agent.ami.tls import tls_context
from agent.monitoring import metrics
from agent.recording.mixmonitor import MixMonitor
from agent.recording.pbx_claim import Claims, PbxClaim, read_claims
from agent.shipping.api_address import api_address_problem
from fonoteka.core.background_tasks import again_and_again
from fonoteka.core.config import Configuration, require_secret, split_address
from fonoteka.core.errors import AmiError, AmiTimeout, ConfigurationError
from fonoteka.core.spool import Spool
from fonoteka.core.spool_lock import Holder, SpoolLock

LOOK_EVERY_S: Final = 0.5
LOOK_WITHIN_S: Final = 2.0
ASK_EVERY_S: Final = 0.5
# The agent that works looks every 1.5 s, and waits 2 s for Asterisk: it may miss one answer.
ANSWERS_WITHIN_S: Final = 6.0
_log = structlog.get_logger()


class Step(Enum):
    """What a standby does after a look at AstDB."""

    WAIT = auto()
    ASK = auto()
    TAKE_OVER = auto()


class Patience:
    """Decides from looks whether the other agent works; `now_s` is of a clock that never jumps."""

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._answered_at = float("-inf")

    def cut_off(self) -> None:
        """Start again: without Asterisk this agent could do no better than the other one."""
        self._asked_at = None

    def asked(self, now_s: float) -> None:
        """Note that the question was written."""
        self._asked_at = now_s

    def after(self, claims: Claims, *, of_other_spool: bool, now_s: float) -> Step:
        """Return what to do after a look.

        The claim of an agent with another spool is for the agent that takes over to find out.
        """
        if claims.claim is not None and (claims.claim.ended or of_other_spool):
            return Step.TAKE_OVER
        if self._asked_at is not None and not claims.asked:
            self._asked_at, self._answered_at = None, now_s
        if self._asked_at is None:
            return Step.ASK if now_s - self._answered_at >= ASK_EVERY_S else Step.WAIT
        return Step.TAKE_OVER if now_s - self._asked_at >= ANSWERS_WITHIN_S else Step.WAIT


class Standby:
    """Waits for the turn of this agent.

    Raises ConfigurationError at once for what would stop the agent only when it takes over.
    """

    def __init__(self, configuration: Configuration, source: Path | None) -> None:
        pbx = configuration.pbx
        if (problem := api_address_problem(configuration.agent)) is not None:
            raise ConfigurationError(f"{source or 'environment'}: {problem}")
        require_secret(configuration.agent.token, "agent.token", source)
        self._spool = Spool(pbx.spool.absolute())
        self._spool.prepare()
        secret, tls = require_secret(pbx.ami_secret, "pbx.ami_secret", source), tls_context(pbx, source)
        self._ami = AmiClient(split_address(pbx.ami), pbx.ami_user, secret, events=frozenset(), tls=tls)
        MixMonitor(self._ami, PurePosixPath(pbx.spool_in_asterisk or self._spool.root))
        self._claim = PbxClaim(self._ami, self._spool, pbx.ami)
        self._patience = Patience()

    async def turn(self) -> SpoolLock:
        """Return the lock of the spool once this agent is to work. Raises AmiRefused."""
        if (lock := self._free_lock()) is not None:
            return lock
        _log.info("standby.waiting", works=str(Holder.of(self._spool.lock_file)))
        metrics.STANDBY.set(1)
        measured = again_and_again("spool metrics", partial(metrics.follow_spool, self._spool))
        tasks = [asyncio.create_task(work) for work in (self._ami.run(), measured)]
        try:
            while not any(task.done() for task in tasks):
                lock = self._free_lock() or await self._look()
                metrics.AMI_CONNECTED.set(self._ami.connected)
                if lock is not None:
                    return lock
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await _ended(tasks)
            metrics.STANDBY.set(0)
        raise AssertionError("unreachable: a task that has ended has raised")

    def _free_lock(self) -> SpoolLock | None:
        """Take the lock of a process of this machine that has ended."""
        here = Holder.of(self._spool.lock_file).is_here
        return SpoolLock.take(self._spool.lock_file) if here else None

    async def _look(self) -> SpoolLock | None:
        """Look at AstDB, and replace the lock if the other agent does not answer."""
        if not self._ami.connected:
            self._patience.cut_off()
            return None
        try:
            claims = await read_claims(self._ami, LOOK_WITHIN_S)
            now_s = time.monotonic()
            of_other_spool = claims.claim is not None and self._claim.is_of_other_spool(claims.claim)
            step = self._patience.after(claims, of_other_spool=of_other_spool, now_s=now_s)
            if step is Step.ASK:
                await self._claim.ask()
                self._patience.asked(now_s)
        except AmiTimeout:
            return None
        except AmiError as error:
            _log.warning("standby.not_asked", reason=str(error))
            self._patience.cut_off()
            return None
        if step is not Step.TAKE_OVER:
            return None
        _log.warning("standby.takes_over", from_agent=str(Holder.of(self._spool.lock_file)))
        return SpoolLock.replace(self._spool.lock_file)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    """End tasks; raise the error of one that has ended by itself."""
    failed = [task.exception() for task in tasks if task.done() and not task.cancelled()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for error in failed:
        if error is not None:
            raise error
