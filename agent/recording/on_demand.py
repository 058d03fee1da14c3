"""Requests about the recording of a call in progress, by the API or by a feature code.

`agent.rules.on_demand_rules` decides, this module carries the plan out.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from weakref import WeakValueDictionary

import structlog

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, PendingDecision, Recording, RecordingStage
from agent.rules.directory import DomainIndex
from agent.rules.on_demand_rules import OnDemandPlan, RecordingStop, action_of_key, plan_request
from fonoteka.core.agent_protocol import Refusal
from fonoteka.core.call_report import Action
from fonoteka.core.errors import AmiError

_log = structlog.get_logger()


class RecordingActions(Protocol):
    """The actions of `agent.recording.coordinator.RecordingCoordinator` that requests need."""

    async def start(self, call: Call, pending: PendingDecision, at: datetime) -> str:
        """Start a recording during the talk. Returns its name, empty if preparation failed."""

    async def stop(self, call: Call, stop: RecordingStop, at: datetime) -> None:
        """Stop a recording during the talk. Raises AmiError."""

    async def mute(self, call: Call, recording: Recording, muted: bool) -> None:
        """Pause or resume a recording. Raises AmiError."""

    def refuse(self, call: Call, pending: PendingDecision, at: datetime) -> None:
        """Note that a channel is not recorded."""

    def keep(self, call: Call) -> None:
        """Write the call to the journal now."""

    def concerned(self, call: Call, name: str | None = None) -> DomainIndex | None:
        """Return the domain with a name if the call concerns it; without one the first."""

    def domain_at(self, call: Call, uniqueid: str) -> DomainIndex | None:
        """Return the domain of the user of a channel, None if it is no user's."""

    def part(self, call: Call, domain: DomainIndex) -> Call:
        """Return a call with the recordings of one of its domains."""


class OnDemandRequests:
    """Carries out the requests, one at a time for each call."""

    def __init__(self, registry: CallRegistry, actions: RecordingActions) -> None:
        self._registry, self._actions = registry, actions
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def by_command(self, linkedid: str, action: Action, login: str | None, domain_name: str | None = None) -> Refusal | None:
        """Carry out a request of the API, of a domain. Returns the refusal, None if it was done."""
        async with self._busy.setdefault(linkedid, asyncio.Lock()):
            call = self._registry.call(linkedid)
            domain = self._actions.concerned(call, domain_name) if call is not None else None
            if call is None or domain is None:
                return Refusal.CALL_IS_OVER
            return await self._carry_out(call, domain, action, login)

    async def by_key(self, key: str, uniqueid: str) -> tuple[Action, Refusal | None] | None:
        """Carry out a feature code. Returns None if the channel belongs to no user."""
        call = self._registry.call_of_channel(uniqueid)
        domain = self._actions.domain_at(call, uniqueid) if call is not None else None
        user = domain.user(call.channels.get(uniqueid)) if call is not None and domain is not None else None
        if call is None or domain is None or user is None:
            return None
        async with self._busy.setdefault(call.linkedid, asyncio.Lock()):
            call = self._registry.call_of_channel(uniqueid) or call
            action = action_of_key(self._actions.part(call, domain), domain, key, user.login)
            return None if action is None else (action, await self._carry_out(call, domain, action, user.login))

    async def _carry_out(self, call: Call, domain: DomainIndex, action: Action, login: str | None) -> Refusal | None:
        plan = plan_request(self._actions.part(call, domain), domain, action, login)
        refusal = plan if isinstance(plan, Refusal) else await self._perform(call, plan, domain.settings.name)
        self._actions.keep(call)
        _log.info("request.handled", linkedid=call.linkedid, action=action, user=login, reason=refusal)
        return refusal

    async def _perform(self, call: Call, plan: OnDemandPlan, domain: str) -> Refusal | None:
        try:
            for pending in plan.start:
                if not self._is_running(await self._actions.start(call, replace(pending, domain=domain), datetime.now(UTC))):
                    return Refusal.PBX_FAILED
            for pending in plan.refuse:
                self._actions.refuse(call, replace(pending, domain=domain), datetime.now(UTC))
            for stop in plan.stop:
                await self._actions.stop(call, stop, datetime.now(UTC))
            for muted, recordings in ((True, plan.pause), (False, plan.resume)):
                for recording in recordings:
                    await self._actions.mute(call, recording, muted)
        except AmiError as error:
            _log.error("request.failed", linkedid=call.linkedid, error=str(error))
            return Refusal.PBX_FAILED
        return None

    def _is_running(self, segment: str) -> bool:
        call = self._registry.with_recording(segment)
        recording = call.recording(segment) if call is not None else None
        return recording is not None and recording.stage is RecordingStage.RUNNING
