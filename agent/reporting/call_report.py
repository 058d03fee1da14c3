"""A call in progress as the store is told of it: `report(call, …) → CallReport`, a pure projection."""

from typing import Final

from agent.calls.call_result import result
from agent.calls.call_state import Call, Channel, RecordingStage
from agent.calls.talk_groups import talk_groups
from agent.reporting.timeline import party, path
from agent.rules.directory import DomainIndex
from agent.rules.recording_rules import direction
from agent.rules.recording_sides import recording_statuses
from fonoteka.core.call_report import CallReport, Direction, LiveReport, Party, Reason, Result, SegmentReport
from fonoteka.core.domains import User


def report(call: Call, company: DomainIndex, pbx: str) -> CallReport:
    """What is known of a call of this company now. The call has at least one channel."""
    origin = call.origin
    assert origin is not None, "a call begins with a channel"
    where, how = direction(call, company), result(call)
    segments = tuple(_segments(call))
    taken = call.channels.get(call.taken_by)
    return CallReport(
        pbx=pbx,
        linkedid=call.linkedid,
        revision=call.revision,
        domain=company.settings.name,
        direction=where,
        result=how,
        employee=_employee(call, company, where),
        participants=_participants(call, company, how),
        src=_caller_number(origin, company),
        src_name=origin.caller_name,
        dst=_dialled_first(call, origin),
        number=_company_number(call, company, where),
        answered_by=party(call, taken, company) if taken is not None else None,
        started_at=call.started_at,
        answered_at=call.taken_at,
        ended_at=call.ended_at,
        talk_ms=call.talk_ms_until(call.moments[-1].at if call.moments else call.started_at),
        segments=segments,
        reason=None if segments else why_not(call, how),
        path=path(call, company),
        merged_into=call.merged_into or None,
        live=_live(call, company) if call.ended_at is None and not call.merged_into else None,
    )


def _live(call: Call, company: DomainIndex) -> LiveReport:
    """Who talks now, and how it stands with the recording of each."""
    talking = frozenset().union(*talk_groups(call))
    parties = []
    for channel in call.channels.values():
        if channel.uniqueid in talking and not channel.is_local:
            user = company.user(channel)
            parties.append(Party(who=party(call, channel, company), login=user.login if user is not None else None))
    sides = tuple(status.side() for status in recording_statuses(call, company))
    return LiveReport(parties=tuple(parties), talking_since=call.talking_since if parties else None, sides=sides)


_GRAVEST: Final = (
    Reason.DISK_FULL,
    Reason.ASTERISK_FAILED,
    Reason.NO_AUDIO,
    Reason.FORWARDED_INTERNATIONAL,
    Reason.FORWARDED_LONG_DISTANCE,
    Reason.STOPPED_BY_USER,
    Reason.ON_DEMAND_NOT_ASKED,
    Reason.DIRECTION_OFF,
    Reason.USER_OFF,
)


def why_not(call: Call, how: Result) -> Reason:
    """Why a call has no recording: the reason that weighs most among those who talked."""
    if how is not Result.ANSWERED:
        return Reason.NOT_ANSWERED
    talked = {known.reason for known in call.recordings if known.reason is not None and known.started_at is not None}
    return next((reason for reason in _GRAVEST if reason in talked), Reason.USER_OFF)


def _segments(call: Call) -> list[SegmentReport]:
    """The recordings of those who talked; a phone that only rang leaves none."""
    found = []
    for known in call.recordings:
        if known.stage is RecordingStage.REFUSED or known.started_at is None:
            continue
        found.append(
            SegmentReport(
                name=known.segment,
                user=known.user,
                started_at=known.started_at,
                reason=known.reason,
            )
        )
    return found


def _employee(call: Call, company: DomainIndex, where: Direction) -> str | None:
    """«Сотрудник»: who called; for an incoming call, the last of the company to talk, else on whose behalf it was forwarded, else
    the only one who was rung."""
    if where is not Direction.IN:
        caller = company.user(call.origin)
        return caller.login if caller else None
    talked = [user for channel, user in _users(call, company) if channel.first_bridged_at is not None]
    if talked:
        taken = company.user(call.channels.get(call.taken_by))
        return (taken or talked[-1]).login
    forwarded = [known.user for known in call.recordings if known.user and known.started_at is not None]
    if forwarded:
        return forwarded[-1]
    rung = {user.login for _, user in _users(call, company)}
    return rung.pop() if len(rung) == 1 else None


def _participants(call: Call, company: DomainIndex, how: Result) -> tuple[str, ...]:
    """Who took part: the caller, those who talked or forwarded it; when nobody took the call, all who were rung."""
    origin = call.origin
    took_part = [
        user.login
        for channel, user in _users(call, company)
        if how is not Result.ANSWERED or channel is origin or channel.first_bridged_at is not None
    ]
    forwarded = [known.user for known in call.recordings if known.user and known.started_at is not None]
    return tuple(dict.fromkeys(took_part + forwarded))


def _users(call: Call, company: DomainIndex) -> list[tuple[Channel, User]]:
    return [(channel, user) for channel in call.channels.values() if (user := company.user(channel)) is not None]


def _caller_number(origin: Channel, company: DomainIndex) -> str:
    user = company.user(origin)
    return user.extension if user is not None else origin.caller_num


def _dialled_first(call: Call, origin: Channel) -> str:
    """«Куда»: what the caller dialled; when Asterisk itself rang the origin, what was then dialled for it."""
    if origin.exten and origin.exten != "s":
        return origin.exten
    return next((dial.dialled for dial in call.dials if dial.caller == origin.uniqueid), origin.exten)


def _company_number(call: Call, company: DomainIndex, where: Direction) -> str | None:
    """The company's own number that the call came in by, or showed when it went out."""
    if call.origin is None or where is Direction.INTERNAL:
        return None
    shown = [call.origin.exten] if where is Direction.IN else [dial.caller_num for dial in call.dials]
    return next((number for text in shown if text and (number := company.own_number(text)) is not None), None)
