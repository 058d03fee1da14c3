"""Recordings that are not what was stored are not sent: a problem, the audit, the log, a metric."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from starlette.requests import Request

from api.dependencies.listening import listening_event
from api.dependencies.services import Services
from api.http.problems import Problem
from fonoteka.core.errors import ObjectDamaged, ObjectMissing
from store.integrity.intact import damage_reason
from store.people.accounts import Account
from store.queries.audio import StoredAudio

_DETAIL = "the recording on the disk is missing, or is not the one that was stored; the operator can see it by `fonoteka verify`"

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class DamageReports:
    """Reports what a request finds damaged."""

    request: Request
    account: Account
    services: Services

    async def report(self, call: str, error: ObjectMissing | ObjectDamaged) -> None:
        """Count and log damage, and write it to the audit. Raises StoreError."""
        reason = damage_reason(error)
        self.services.metrics.count_damaged(reason)
        log.error("recording.damaged", call=call, reason=reason.value, error=str(error))
        # One entry for a session and call, however often a player asks.
        detail = {"problem": reason.value}
        event = listening_event(self.request, self.account, call, action="recording_damaged", detail=detail, now=datetime.now(UTC))
        await self.services.audit.record(event)

    @asynccontextmanager
    async def refusing(self, call: str) -> AsyncIterator[None]:
        """Report damage that is found in the block. Raises Problem 502 for it."""
        try:
            yield
        except (ObjectMissing, ObjectDamaged) as error:
            await self.report(call, error)
            raise Problem(502, "recording-damaged", _DETAIL) from error

    async def check(self, call: str, parts: Sequence[StoredAudio]) -> None:
        """Check that the audio of a call is what was stored. Raises Problem 502."""
        async with self.refusing(call):
            for part in parts:
                await self.services.intact.check(part)
