"""Project a call to its report for the store: `report(call, …) → CallReport`, a pure function."""

from typing import Final

from agent.calls.call_result import result
from agent.calls.call_state import Call, Channel, RecordingStage
from agent.calls.talk_groups import talk_groups
from agent.reporting.timeline import party, path
from agent.reporting.waiting import queue, trunk, wait_ms
from agent.rules.directory import DomainIndex
from agent.rules.recording_rules import direction
from agent.rules.recording_sides import recording_sides
from fonoteka.core.call_report import CallReport, Direction, LiveReport, Party, Reason, Result, SegmentReport
from fonoteka.core.domains import User


def report(call: Call, domain: DomainIndex, pbx: str) -> CallReport:
    """Return the report of a call of this domain at present. The call has at least one channel."""
    origin = call.origin
    assert origin is not None, "a call begins with a channel"
    call_direction, call_result = direction(call, domain), result(call)
    segments = tuple(_segments(call))
    if all(segment.reason is Reason.AGENT_WAS_DOWN for segment in segments):
        segments = ()  # no recorder has run: the call has no recording, rather than a failed one
    answering = call.channels.get(call.taken_by)
    return CallReport(
        pbx=pbx,
        linkedid=call.linkedid,
        revision=call.revision,
        domain=domain.settings.name,
        direction=call_direction,
        result=call_result,
        employee=_user(call, domain, call_direction),
        participants=_participants(call, domain, call_result),
        src=_caller_number(origin, domain),
        src_name=origin.caller_name,
        dst=_dialled_first(call, origin),
        number=_own_number(call, domain, call_direction),
        answered_by=party(call, answering, domain) if answering is not None else None,
        started_at=call.started_at,
        answered_at=call.taken_at,
        ended_at=call.ended_at,
        talk_ms=call.talk_ms_until(call.moments[-1].at if call.moments else call.started_at),
        segments=segments,
        reason=None if segments else missing_reason(call, call_result),
        path=path(call, domain),
        merged_into=call.merged_into or None,
        live=_live(call, domain) if call.ended_at is None and not call.merged_into else None,
        trunk=trunk(call, domain),
        queue=queue(call, domain, call_direction),
        wait_ms=wait_ms(call),
    )


def _live(call: Call, domain: DomainIndex) -> LiveReport:
    """Return the parties that talk now, and the status of each recording."""
    talking = frozenset().union(*talk_groups(call))
    parties = []
    for channel in call.channels.values():
        if channel.uniqueid in talking and not channel.is_local:
            user = domain.user(channel)
            parties.append(Party(who=party(call, channel, domain), login=user.login if user is not None else None))
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


def _user(call: Call, domain: DomainIndex, call_direction: Direction) -> str | None:
    """Return the login for the column «Сотрудник».

    The caller; for an incoming call, the last user of the domain that talked, else the user for
    whom the call was forwarded, else the only user whose telephone rang.
    """
    if call_direction is not Direction.IN:
        caller = domain.user(call.origin)
        return caller.login if caller else None
    talked = [user for channel, user in _users(call, domain) if channel.first_bridged_at is not None]
    if talked:
        answered = domain.user(call.channels.get(call.taken_by))
        return (answered or talked[-1]).login
    forwarded = _recorded_users(call)
    if forwarded:
        return forwarded[-1]
    rung = {user.login for _, user in _users(call, domain)}
    return rung.pop() if len(rung) == 1 else None


def _participants(call: Call, domain: DomainIndex, call_result: Result) -> tuple[str, ...]:
    """Return the logins of the caller and of all users that talked or forwarded the call.

    For a call that was not answered, all users whose telephone rang.
    """
    origin = call.origin
    talked = [
        user.login
        for channel, user in _users(call, domain)
        if call_result is not Result.ANSWERED or channel is origin or channel.first_bridged_at is not None
    ]
    return tuple(dict.fromkeys(talked + _recorded_users(call)))


def _recorded_users(call: Call) -> list[str]:
    """Return the users by whose settings parties that talked were recorded, or not."""
    return [recording.user for recording in call.recordings if recording.user and recording.started_at is not None]


def _users(call: Call, domain: DomainIndex) -> list[tuple[Channel, User]]:
    return [(channel, user) for channel in call.channels.values() if (user := domain.user(channel)) is not None]


def _caller_number(origin: Channel, domain: DomainIndex) -> str:
    user = domain.user(origin)
    return user.extension if user is not None else origin.caller_num


def _dialled_first(call: Call, origin: Channel) -> str:
    """Return the number for the column «Куда».

    The number that the caller dialled; if Asterisk rang the origin, the number dialled for it.
    """
    if origin.exten and origin.exten != "s":
        return origin.exten
    return next((dial.dialled for dial in call.dials if dial.caller == origin.uniqueid), origin.exten)


def _own_number(call: Call, domain: DomainIndex, call_direction: Direction) -> str | None:
    """Return the number of the domain that was called, or that an outgoing call showed."""
    if call.origin is None or call_direction is Direction.INTERNAL:
        return None
    shown = [call.origin.exten] if call_direction is Direction.IN else [dial.caller_num for dial in call.dials]
    return next((number for text in shown if text and (number := domain.own_number(text)) is not None), None)
