"""AMI messages into events: which headers of the manager interface the agent uses."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from agent.ami.event_layout import EventLayout
from agent.calls.caller_text import harmless, name_in, number_in, text_in
from agent.calls.events import (
    BridgeEntered,
    BridgeLeft,
    ChannelEnded,
    ChannelStarted,
    DialBegan,
    DialEnded,
    Event,
    Fetched,
    Held,
    HoldingEntered,
    Parked,
    PickedUp,
    QueueEntered,
    StreamMeasured,
    Transferred,
)
from agent.calls.stream_figures import VARIABLE, read_figures

AmiHeaders = Mapping[str, str]


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


# MixMonitor plays its beep through two channels of its own, which belong to no call.
_BEEP: Final = re.compile(r"Local/hook@__func_periodic_hook_context__-.*")


def is_beep(channel: str) -> bool:
    """Return whether this channel only plays the beep of a recording."""
    return _BEEP.fullmatch(channel) is not None


def _channel_started(at: datetime, h: AmiHeaders) -> Event | None:
    if is_beep(h["Channel"]):
        return None
    return ChannelStarted(
        at=at,
        linkedid=h["Linkedid"],
        uniqueid=h["Uniqueid"],
        name=h["Channel"],
        exten=number_in(h, "Exten"),
        caller_num=number_in(h, "CallerIDNum"),
        caller_name=name_in(h),
    )


def _channel_ended(at: datetime, h: AmiHeaders) -> Event:
    return ChannelEnded(at=at, linkedid=h["Linkedid"], uniqueid=h["Uniqueid"], cause=_number(h.get("Cause", "")))


_SCHEME: Final = re.compile(r"^(sips?|tel):", re.IGNORECASE)


# The options of a Local channel: `152@users/n`.
_LOCAL_OPTIONS: Final = re.compile(r"(@[^/]*)/[a-z]+$")


def _dial_began(at: datetime, h: AmiHeaders) -> Event:
    by_caller = "Uniqueid" in h
    return DialBegan(
        at=at,
        linkedid=h.get("Linkedid") or h["DestLinkedid"],
        caller=h.get("Uniqueid", ""),
        callee=h["DestUniqueid"],
        caller_num=number_in(h, "CallerIDNum" if by_caller else "DestConnectedLineNum"),
        dialled=dialled_number(h.get("DialString", "")),
        exten=number_in(h, "Exten"),
        account=text_in(h, "AccountCode" if by_caller else "DestAccountCode"),
    )


def dialled_number(dial_string: str) -> str:
    """Return the number in a dial string, the dial string itself if it holds an endpoint only.

    Forms: `84951234567@trunk`, `trunk/8495…`, `trunk/sip:8495…@10.0.0.1:5060`, `acme-152`,
    `152@users/n`.
    """
    target = _LOCAL_OPTIONS.sub(r"\1", dial_string)
    return harmless(_SCHEME.sub("", target.rpartition("/")[2]).partition("@")[0].partition(";")[0])


def _dial_ended(at: datetime, h: AmiHeaders) -> Event:
    return DialEnded(
        at=at,
        linkedid=h.get("Linkedid") or h["DestLinkedid"],
        caller=h.get("Uniqueid", ""),
        callee=h["DestUniqueid"],
        status=h.get("DialStatus", ""),
        forward=number_in(h, "Forward"),
    )


def _queue_entered(at: datetime, h: AmiHeaders) -> Event:
    return QueueEntered(at=at, linkedid=h["Linkedid"], uniqueid=h["Uniqueid"], queue=harmless(h["Queue"]))


def people_talk_in(bridge: AmiHeaders) -> bool:
    """Return whether the members of a bridge hear each other.

    In a holding bridge (parking, waiting for an agent) they do not.
    """
    return bridge.get("BridgeTechnology") != "holding_bridge"


_AGENTS: Final = "agent_hold"  # where agents wait on an open line (app_agent_pool)


def is_conference(bridge: AmiHeaders) -> bool:
    """Return whether a bridge belongs to a conference: its type is `base`."""
    return bridge.get("BridgeType") == "base"


def _bridge_entered(at: datetime, h: AmiHeaders) -> Event | None:
    linkedid, uniqueid = h["Linkedid"], h["Uniqueid"]
    if not people_talk_in(h):
        return HoldingEntered(at=at, linkedid=linkedid, uniqueid=uniqueid, agent=h.get("BridgeType") == _AGENTS)
    conference = is_conference(h)
    room = number_in(h, "Exten") if conference else ""
    return BridgeEntered(at=at, linkedid=linkedid, uniqueid=uniqueid, bridge=h["BridgeUniqueid"], conference=conference, room=room)


def _bridge_left(at: datetime, h: AmiHeaders) -> Event:
    return BridgeLeft(at=at, linkedid=h["Linkedid"], uniqueid=h["Uniqueid"], bridge=h["BridgeUniqueid"])


def _blind_transferred(at: datetime, h: AmiHeaders) -> Event:
    return Transferred(
        at=at,
        linkedid=h["TransfererLinkedid"],
        transferer=h["TransfererUniqueid"],
        target=number_in(h, "Extension"),
        attended=False,
    )


def _attended_transferred(at: datetime, h: AmiHeaders) -> Event:
    return Transferred(
        at=at,
        linkedid=h["OrigTransfererLinkedid"],
        transferer=h["OrigTransfererUniqueid"],
        target=number_in(h, "TransferTargetCallerIDNum") or number_in(h, "SecondTransfererConnectedLineNum"),
        attended=True,
    )


def _held(at: datetime, h: AmiHeaders) -> Event:
    return Held(at=at, linkedid=h["Linkedid"], uniqueid=h["Uniqueid"], on=True)


def _resumed(at: datetime, h: AmiHeaders) -> Event:
    return Held(at=at, linkedid=h["Linkedid"], uniqueid=h["Uniqueid"], on=False)


def _parked(at: datetime, h: AmiHeaders) -> Event:
    parker, space = number_in(h, "ParkerDialString"), number_in(h, "ParkingSpace")
    return Parked(at=at, linkedid=h["ParkeeLinkedid"], uniqueid=h["ParkeeUniqueid"], parker=parker, space=space)


def _fetched(at: datetime, h: AmiHeaders) -> Event:
    by, space = h["RetrieverUniqueid"], number_in(h, "ParkingSpace")
    return Fetched(at=at, linkedid=h["ParkeeLinkedid"], uniqueid=h["ParkeeUniqueid"], by=by, space=space)


def _picked_up(at: datetime, h: AmiHeaders) -> Event:
    return PickedUp(at=at, linkedid=h["TargetLinkedid"], uniqueid=h["TargetUniqueid"], by=h["Uniqueid"])


def _variable_set(at: datetime, h: AmiHeaders) -> Event | None:
    figures = read_figures(h["Value"]) if h["Variable"] == VARIABLE else None
    if figures is None:
        return None
    return StreamMeasured(at=at, linkedid=h["Linkedid"], uniqueid=h["Uniqueid"], figures=figures)


_READERS: Final[dict[str, Callable[[datetime, AmiHeaders], Event | None]]] = {
    "Newchannel": _channel_started,
    "Hangup": _channel_ended,
    "DialBegin": _dial_began,
    "DialEnd": _dial_ended,
    "QueueCallerJoin": _queue_entered,
    "BridgeEnter": _bridge_entered,
    "BridgeLeave": _bridge_left,
    "BlindTransfer": _blind_transferred,
    "AttendedTransfer": _attended_transferred,
    "Hold": _held,
    "Unhold": _resumed,
    "ParkedCall": _parked,
    "UnParkedCall": _fetched,
    "Pickup": _picked_up,
    "VarSet": _variable_set,
}

WANTED: Final = frozenset(_READERS)

LONGEST_ID: Final = 150  # AST_MAX_UNIQUEID

_BRIDGE: Final = ("Privilege", "BridgeUniqueid", "BridgeType", "BridgeTechnology")
_TRANSFER: Final = ("Privilege", "Result")

# As Asterisk 22 writes them. If Asterisk originates a call, its Dial events have no caller.
LAYOUTS: Final[Mapping[str, EventLayout]] = {
    "Newchannel": EventLayout(),
    "Hangup": EventLayout(tail=("Cause",)),
    "DialBegin": EventLayout(channels=("", "Dest"), may_lack_first=True, tail=("DialString",)),
    "DialEnd": EventLayout(channels=("", "Dest"), may_lack_first=True, tail=("DialStatus",), may_follow=("Forward",)),
    "QueueCallerJoin": EventLayout(tail=("Queue",)),
    "BridgeEnter": EventLayout(lead=_BRIDGE),
    "BridgeLeave": EventLayout(lead=_BRIDGE),
    "BlindTransfer": EventLayout(lead=_TRANSFER, channels=("Transferer",), tail=("Extension",)),
    "AttendedTransfer": EventLayout(
        lead=_TRANSFER,
        channels=("OrigTransferer", "SecondTransferer"),
        tail=("DestType",),
        may_follow=("TransferTargetCallerIDNum",),
    ),
    "Hold": EventLayout(),
    "Unhold": EventLayout(),
    "ParkedCall": EventLayout(channels=("Parkee",), tail=("ParkerDialString", "ParkingSpace")),
    "UnParkedCall": EventLayout(channels=("Parkee", "Retriever"), tail=("ParkerDialString", "ParkingSpace")),
    "Pickup": EventLayout(channels=("", "Target")),
    "VarSet": EventLayout(tail=("Variable", "Value"), only_with=f"Variable: {VARIABLE}\r\n".encode()),
}


def read_event(name: str, headers: AmiHeaders, received_at: datetime) -> Event | None:
    """Return an AMI event as an event of a call, or None if it is not used or lacks a header.

    Its time is that of the `Timestamp` header (`timestampevents = yes` in manager.conf), else
    `received_at`.
    """
    reader = _READERS.get(name)
    if reader is None:
        return None
    try:
        event = reader(_sent_at(headers, received_at), headers)
    except KeyError:
        return None
    return event if event is None or all(map(is_id, (event.linkedid, *filter(None, event.channels)))) else None


def is_id(text: str) -> bool:
    """Return whether a text can be the id of a channel, a call or a bridge."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable()


def _sent_at(headers: AmiHeaders, received_at: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(float(headers["Timestamp"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return received_at
