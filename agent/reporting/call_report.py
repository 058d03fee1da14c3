"""Project a call to its report for the store: `report(call, …) → CallReport`, a pure function."""

from typing import Final

from agent.calls.call_result import result
from agent.calls.call_state import Call, RecordingStage
from agent.calls.talk_groups import talk_groups
from agent.reporting.timeline import path
from agent.reporting.waiting import queue, trunk, wait_ms
from agent.rules.directory import DomainIndex
from agent.rules.parties import parties_of, party_name
from agent.rules.recording_sides import recording_sides
from fonoteka.core.call_report import CallReport, LiveReport, Party, Reason, Result, SegmentReport


def report(call: Call, domain: DomainIndex, pbx: str) -> CallReport:
    """Return the report of a call of this domain at present. The call has at least one channel."""
    parties, call_result, steps = parties_of(call, domain), result(call), path(call, domain)
    segments = tuple(_segments(call))
    if all(segment.reason is Reason.AGENT_WAS_DOWN for segment in segments):
        segments = ()  # no recorder has run: the call has no recording, rather than a failed one
    return CallReport(
        pbx=pbx,
        linkedid=call.linkedid,
        revision=call.revision,
        domain=domain.settings.name,
        direction=parties.direction,
        result=call_result,
        employee=parties.employee,
        participants=parties.participants,
        src=parties.src,
        src_name=parties.src_name,
        dst=parties.dst,
        number=parties.number,
        answered_by=parties.answered_by,
        started_at=call.started_at,
        answered_at=call.taken_at,
        ended_at=call.ended_at,
        talk_ms=call.talk_ms_until(call.moments[-1].at if call.moments else call.started_at),
        segments=segments,
        reason=None if segments else missing_reason(call, call_result),
        path=steps,
        merged_into=call.merged_into or None,
        live=_live(call, domain) if call.ended_at is None and not call.merged_into else None,
        quality=next((step.quality for step in steps if step.quality is not None), None),  # the worst leg comes first
        trunk=trunk(call, domain),
        queue=queue(call, domain, parties.direction),
        wait_ms=wait_ms(call),
    )


def _live(call: Call, domain: DomainIndex) -> LiveReport:
    """Return the parties that talk now, and the status of each recording."""
    talking = frozenset().union(*talk_groups(call))
    parties = []
    for channel in call.channels.values():
        if channel.uniqueid in talking and not channel.is_local:
            user = domain.user(channel)
            parties.append(Party(who=party_name(call, channel, domain), login=user.login if user is not None else None))
    sides = tuple(side.status() for side in recording_sides(call, domain))
    return LiveReport(parties=tuple(parties), talking_since=call.talking_since if parties else None, sides=sides)


_BY_WEIGHT: Final = (
    Reason.DISK_FULL,
    Reason.ASTERISK_FAILED,
    Reason.NO_AUDIO,
    Reason.AGENT_WAS_DOWN,
    Reason.FORWARDED_INTERNATIONAL,
    Reason.FORWARDED_LONG_DISTANCE,
    Reason.STOPPED_BY_USER,
    Reason.ON_DEMAND_NOT_ASKED,
    Reason.DIRECTION_OFF,
    Reason.USER_OFF,
)


def missing_reason(call: Call, call_result: Result) -> Reason:
    """Return why a call has no recording: the gravest reason among the parties that talked."""
    if call_result is not Result.ANSWERED:
        return Reason.NOT_ANSWERED
    reasons = {recording.reason for recording in call.recordings if recording.started_at is not None}
    return next((reason for reason in _BY_WEIGHT if reason in reasons), Reason.USER_OFF)


def _segments(call: Call) -> list[SegmentReport]:
    """Return the recordings of parties that talked; a telephone that only rang leaves none."""
    return [
        SegmentReport(
            name=recording.segment,
            user=recording.user,
            started_at=recording.started_at,
            reason=recording.reason,
        )
        for recording in call.recordings
        if recording.stage is not RecordingStage.REFUSED and recording.started_at is not None
    ]
