"""Doing what somebody asks of the recording of a call that goes on; `rules.on_demand_rules` decides."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol
from weakref import WeakValueDictionary

import structlog

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, PendingDecision, Recording, RecordingStage
from agent.calls.events import Event, RecordingMuted
from agent.rules.directory import DomainIndex
from agent.rules.on_demand_rules import OnDemandPlan, RecordingStop, action_of_key, plan_request
from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action
from fonoteka.core.errors import AmiError

_log = structlog.get_logger()


class RecordingActions(Protocol):
    """What the agent can do (`agent.recording.coordinator`)."""

    async def begin(self, call: Call, needed: PendingDecision, at: datetime) -> str:
        """Record while the talk goes on; returns the recording's name, empty where there is none."""

    async def end(self, call: Call, ending: RecordingStop, at: datetime) -> None:
        """Stop a recording. Raises AmiError."""

    async def mute(self, call: Call, known: Recording, muted: bool) -> None:
        """Pause a recording, or let it go on. Raises AmiError."""

    def take(self, event: Event) -> None:
        """Fold an event."""

    def keep(self, call: Call) -> None:
        """Write down what is known of a call now: what somebody was told is done outlives the agent."""

    def domain_of(self, call: Call) -> DomainIndex | None:
        """Whose call it is."""


class OnDemandRequests:
    """Carries out one thing at a time for each call."""

    def __init__(self, calls: CallRegistry, doing: RecordingActions) -> None:
        self._calls, self._doing = calls, doing
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def by_command(self, linkedid: str, action: Action, login: str | None) -> Refusal | None:
        """Do what was asked over the API; returns why it was not done."""
        async with self._busy.setdefault(linkedid, asyncio.Lock()):
            call = self._calls.call(linkedid)
            domain = self._doing.domain_of(call) if call is not None else None
            if call is None or domain is None:
                return Refusal.CALL_IS_OVER
            return await self._do(call, domain, action, login)

    async def by_key(self, key: str, uniqueid: str) -> tuple[Action, Refusal | None] | None:
        """Do what a feature code means that was pressed on a channel; None if that is no user's."""
        call = self._calls.call_of_channel(uniqueid)
        domain = self._doing.domain_of(call) if call is not None else None
        user = domain.user(call.channels.get(uniqueid)) if call is not None and domain is not None else None
        if call is None or domain is None or user is None:
            return None
        async with self._busy.setdefault(call.linkedid, asyncio.Lock()):
            call = self._calls.call_of_channel(uniqueid) or call
            action = action_of_key(call, domain, key, user.login)
            return None if action is None else (action, await self._do(call, domain, action, user.login))

    async def _do(self, call: Call, domain: DomainIndex, action: Action, login: str | None) -> Refusal | None:
        plan = plan_request(call, domain, action, login)
        refusal = plan if isinstance(plan, Refusal) else await self._perform(call, plan)
        self._doing.keep(call)
        _log.info("recording.asked_for", linkedid=call.linkedid, action=action, user=login, refused=refusal)
        return refusal

    async def _perform(self, call: Call, plan: OnDemandPlan) -> Refusal | None:
        try:
            for needed in plan.begin:
                if not self._runs(await self._doing.begin(call, needed, datetime.now(UTC))):
                    return Refusal.PBX_FAILED
            for needed in plan.refuse:
                self._calls.decided(call, needed, datetime.now(UTC))
            for ending in plan.end:
                await self._doing.end(call, ending, datetime.now(UTC))
            for muted, recordings in ((True, plan.pause), (False, plan.resume)):
                for known in recordings:
                    await self._doing.mute(call, known, muted)
                    now = datetime.now(UTC)
                    self._doing.take(RecordingMuted(at=now, linkedid=call.linkedid, segment=known.segment, muted=muted))
        except AmiError as error:
            _log.error("recording.not_done", linkedid=call.linkedid, error=str(error))
            return Refusal.PBX_FAILED
        return None

    def _runs(self, segment: str) -> bool:
        call = self._calls.with_recording(segment)
        known = call.recording(segment) if call is not None else None
        return known is not None and known.stage is RecordingStage.RUNNING
