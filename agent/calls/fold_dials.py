"""The part of the fold that concerns dials: a queue, ringing, its end, and a pickup."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from agent.calls.call_state import Call, Dial, MomentKind, RecordingStage
from agent.calls.dial_chain import ringer
from agent.calls.events import DialBegan, DialEnded, Event, PickedUp, QueueEntered
from agent.calls.fold_timeline import picked_up, with_timeline_event

MAX_DIALS: Final = 200


def without_old_dials(call: Call) -> Call:
    """Drop old unanswered dials: a queue may ring the same telephones for an hour.

    The first dial of all dates the waiting; the first of each endpoint shows whose telephones rang:
    a company that has a row of the call keeps it.
    """
    if len(call.dials) <= MAX_DIALS:
        return call
    first: dict[str, str] = {}
    for dial in call.dials:
        if (channel := call.channels.get(dial.callee)) is not None and not channel.is_local:
            first.setdefault(channel.endpoint, dial.callee)
    old = {dial.callee for dial in call.dials[1 : MAX_DIALS // 2]}.difference(first.values())
    old = {
        uniqueid
        for uniqueid in old
        if (channel := call.channels.get(uniqueid)) is not None
        and channel.ended_at is not None
        and channel.first_bridged_at is None
        and not any(recording.uniqueid == uniqueid and recording.stage is RecordingStage.RUNNING for recording in call.recordings)
    }
    return replace(
        call,
        channels={uniqueid: channel for uniqueid, channel in call.channels.items() if uniqueid not in old},
        dials=tuple(dial for dial in call.dials if dial.callee not in old),
        moments=tuple(moment for moment in call.moments if moment.uniqueid not in old),
        recordings=tuple(recording for recording in call.recordings if recording.uniqueid not in old),
    )


def _queue_entered(call: Call, event: QueueEntered) -> Call:
    """Note the queue, unless the call was answered before."""
    answered = call.taken_at is not None and call.taken_at <= event.at
    if answered or event.uniqueid not in call.channels or event.queue in ("", call.queue):
        return call
    return replace(call, queue=event.queue, queued_at=min(call.queued_at or event.at, event.at))


def _dial_began(call: Call, event: DialBegan) -> Call:
    if any(dial.caller == event.caller and dial.callee == event.callee and not dial.status for dial in call.dials):
        return call
    dial = Dial(
        caller=event.caller,
        callee=event.callee,
        caller_num=event.caller_num,
        dialled=event.dialled,
        exten=event.exten,
        account=event.account,
        at=event.at,
    )
    call = replace(call, dials=(*call.dials, dial))
    callee = call.channels.get(event.callee)
    if callee is None or callee.is_local:
        return call
    by = ringer(call, dial)
    other = by.uniqueid if by is not None else ""
    return with_timeline_event(call, event.at, MomentKind.RING, uniqueid=event.callee, text=event.dialled, other=other)


_ENDINGS: Final = {
    "BUSY": MomentKind.BUSY,
    "NOANSWER": MomentKind.NO_ANSWER,
    "CHANUNAVAIL": MomentKind.FAIL,
    "CONGESTION": MomentKind.FAIL,
}


def _dial_ended(call: Call, event: DialEnded) -> Call:
    place = next(
        (
            index
            for index, dial in enumerate(call.dials)
            if dial.callee == event.callee and dial.caller == event.caller and not dial.status
        ),
        None,
    )
    if place is None or not event.status:
        return call
    done = replace(call.dials[place], ended_at=event.at, status=event.status, forward=event.forward)
    call = replace(call, dials=(*call.dials[:place], done, *call.dials[place + 1 :]))
    if event.forward:
        return with_timeline_event(call, event.at, MomentKind.FORWARD, uniqueid=event.callee, text=event.forward)
    callee = call.channels.get(event.callee)
    kind = _ENDINGS.get(event.status)
    if kind is None or callee is None or callee.is_local:
        return call
    return with_timeline_event(call, event.at, kind, uniqueid=event.callee)


def _picked_up(call: Call, event: PickedUp) -> Call:
    """Move the ringing dial and its recorder to the channel that picked the call up."""
    after = picked_up(call, event)
    if after is call or event.uniqueid not in call.channels or event.by not in call.channels:
        return after
    rang = [dial for dial in call.dials if dial.callee == event.uniqueid and not dial.status]
    over = [replace(dial, ended_at=event.at, status="CANCEL") for dial in rang]
    moved = [replace(dial, callee=event.by, at=event.at) for dial in rang]
    return replace(
        after,
        dials=(*(dial for dial in call.dials if dial not in rang), *over, *moved),
        recordings=tuple(
            replace(recording, uniqueid=event.by)
            if recording.uniqueid == event.uniqueid and recording.stage is RecordingStage.RUNNING
            else recording
            for recording in call.recordings
        ),
    )


DIAL_STEPS: Final[dict[type[Event], Callable[[Call, Any], Call]]] = {
    QueueEntered: _queue_entered,
    DialBegan: _dial_began,
    DialEnded: _dial_ended,
    PickedUp: _picked_up,
}
