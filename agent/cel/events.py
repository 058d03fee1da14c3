"""Rows of the CEL journal into the events of calls that AMI would have sent.

The journal does not say which channel rings which. It follows from the application that a channel
of the same call runs when the new channel begins: `Dial(PJSIP/152&PJSIP/421)`, `Queue`, `FollowMe`.
A channel that the PBX rings itself (Originate, ARI, a call file) runs `AppDial2`, which shows in
the row of its answer or of its end. No row has the number that it dialled.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pydantic_core import from_json

from agent.calls.caller_text import harmless, name_in, number_in
from agent.calls.event_reader import VOICEMAIL, dialled_number, is_beep, is_id, mailbox_in
from agent.calls.events import (
    BridgeEntered,
    BridgeLeft,
    ChannelEnded,
    ChannelStarted,
    DialBegan,
    DialEnded,
    Event,
    Fetched,
    HoldingEntered,
    Parked,
    PickedUp,
    QueueEntered,
    Transferred,
    VoicemailReached,
)
from agent.cel.journal import CelRow

Extra = Mapping[str, Any]

_RUNG_BY_PBX: Final = "AppDial2"
_DIALLING: Final = frozenset({"dial", "retrydial", "queue", "followme", "page"})
# DIALSTATUS of a channel that ended in vain, by its Q.850 cause; 26: another telephone answered.
_BY_CAUSE: Final = {17: "BUSY", 20: "CHANUNAVAIL", 26: "CANCEL"} | dict.fromkeys((34, 38, 41, 42, 44, 58), "CONGESTION")


@dataclass(kw_only=True, slots=True)
class _Ring:
    """A channel that is rung by another; `ended_at` is when it ended in vain.

    `caller` is empty where the PBX rings: for a page, whose channel is `by`, and for a program, for
    which there is none.
    """

    by: "_Line | None"
    callee: str
    caller: str
    over: bool = False
    ended_at: datetime | None = None
    cause: int = 0


@dataclass(kw_only=True, slots=True)
class _Line:
    """A channel as the rows so far show it.

    `arguments` are those of its dialling application, `pages` means that this is Page.
    """

    uniqueid: str
    linkedid: str
    name: str
    number: str
    began_at: datetime
    exten: str = ""
    arguments: str | None = None
    pages: bool = False
    forward: str = ""
    cause: int = 0
    hung_up_at: datetime | None = None
    dialstatus: str = ""
    rung: _Ring | None = None
    in_vain: list[_Ring] = field(default_factory=list)


class CelEvents:
    """Turns rows into events. Keeps the channels that have not ended, and nothing else."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._of_call: dict[str, dict[str, _Line]] = {}

    def read(self, row: CelRow) -> Iterator[Event]:
        """Yield the events of a row. Never raises."""
        step = _STEPS.get(row.event)
        if step is None or not (is_id(row.linkedid) and is_id(row.uniqueid)) or is_beep(row.channel):
            return
        extra = _extra(row)
        line = self._lines.get(row.uniqueid)
        if line is not None:
            self._move(line, row.linkedid)
            line.number = _number(row.number) or line.number
            if row.event == "HANGUP":
                line.hung_up_at, line.dialstatus = row.at, _text(extra.get("dialstatus"))
            yield from _rung_in_vain(line, row)
            yield from _rung_by_pbx(line, row)
        yield from step(self, row, extra)

    def _move(self, line: _Line, linkedid: str) -> None:
        """Note the call of a channel, which can change."""
        if line.linkedid == linkedid and line.uniqueid in self._of_call.get(linkedid, ()):
            return
        self._forget(line)
        line.linkedid = linkedid
        self._of_call.setdefault(linkedid, {})[line.uniqueid] = line

    def _forget(self, line: _Line) -> None:
        of_call = self._of_call.get(line.linkedid, {})
        of_call.pop(line.uniqueid, None)
        if not of_call:
            self._of_call.pop(line.linkedid, None)

    def _known(self, row: CelRow) -> _Line:
        """Return the channel of a row, also if its begin is missing."""
        line = self._lines.get(row.uniqueid)
        if line is None:
            line = _Line(
                uniqueid=row.uniqueid,
                linkedid=row.linkedid,
                name=row.channel,
                number=_number(row.number),
                began_at=row.at,
            )
            self._lines[row.uniqueid] = line
            self._move(line, row.linkedid)
        return line

    def _channel_started(self, row: CelRow, _: Extra) -> Iterator[Event]:
        if row.uniqueid in self._lines:
            return
        yield ChannelStarted(
            at=row.at,
            linkedid=row.linkedid,
            uniqueid=row.uniqueid,
            name=row.channel,
            exten=_number(row.exten),
            caller_num=_number(row.number),
            caller_name=name_in({"Channel": row.channel, "CallerIDName": row.name}),
        )
        by, dialled = self._ringer(row)
        line = self._known(row)
        if by is not None:
            yield from _rung_in_vain(by, row)
            line.rung = _Ring(by=by, callee=row.uniqueid, caller="" if by.pages else by.uniqueid)
            yield DialBegan(
                at=row.at,
                linkedid=row.linkedid,
                caller=line.rung.caller,
                callee=row.uniqueid,
                caller_num=by.number,
                dialled=dialled,
                exten=by.exten,
            )

    def _ringer(self, row: CelRow) -> tuple[_Line | None, str]:
        """Return the channel that rings the new channel of a row, and the number that it dials.

        The second half of a Local channel is rung by nobody. A channel that no arguments name
        belongs to a queue, to FollowMe or to a telephone that forwards.
        """
        endpoint = row.channel.rpartition("-")[0] or row.channel
        if endpoint.startswith("Local/") and row.channel.endswith(";2"):
            return None, ""
        dialling = [line for line in self._of_call.get(row.linkedid, {}).values() if line.arguments is not None]
        for line in reversed(dialling):
            for target in (line.arguments or "").partition(",")[0].split("&"):
                if _endpoint(target) == endpoint:
                    return line, dialled_number(target)
        return (dialling[-1] if dialling else None), dialled_number(endpoint)

    def _application_started(self, row: CelRow, _: Extra) -> Iterator[Event]:
        line = self._known(row)
        application = row.application.lower()
        line.arguments = row.arguments if application in _DIALLING else None
        line.pages = application == "page"
        line.exten = _number(row.exten)
        if row.application.lower() == "queue":
            queue = harmless(row.arguments.partition(",")[0])
            yield QueueEntered(at=row.at, linkedid=row.linkedid, uniqueid=row.uniqueid, queue=queue)
        if row.application.lower() == VOICEMAIL:
            yield VoicemailReached(at=row.at, linkedid=row.linkedid, uniqueid=row.uniqueid, mailbox=mailbox_in(row.arguments))

    def _answered(self, row: CelRow, _: Extra) -> Iterator[Event]:
        ring = self._known(row).rung
        if ring is not None and not ring.over:
            ring.over = True
            yield _dial_ended(row, ring, "ANSWER", at=row.at)

    def _forwarded(self, row: CelRow, extra: Extra) -> Iterator[Event]:
        self._known(row).forward = _number(extra.get("forward"))
        yield from ()

    def _hung_up(self, row: CelRow, extra: Extra) -> Iterator[Event]:
        cause = extra.get("hangupcause")
        self._known(row).cause = cause if isinstance(cause, int) else 0
        yield from ()

    def _channel_ended(self, row: CelRow, _: Extra) -> Iterator[Event]:
        line = self._known(row)
        del self._lines[row.uniqueid]
        self._forget(line)
        ring = line.rung
        if ring is not None and not ring.over:
            ring.ended_at, ring.cause = row.at, line.cause
            if ring.by is None:
                yield _dial_ended(row, ring, _BY_CAUSE.get(line.cause, "NOANSWER"), at=row.at)
            elif ring.by.forward:
                yield _dial_ended(row, ring, "CANCEL", at=row.at, forward=ring.by.forward)
                ring.by.forward = ""
            else:
                ring.by.in_vain.append(ring)
                if ring.by.hung_up_at is not None:
                    yield from _rung_in_vain(ring.by, row)
        yield ChannelEnded(at=row.at, linkedid=row.linkedid, uniqueid=row.uniqueid, cause=line.cause)

    def _bridge_entered(self, row: CelRow, extra: Extra) -> Iterator[Event]:
        bridge = _text(extra.get("bridge_id"))
        application = row.application.lower()
        if extra.get("bridge_technology") == "holding_bridge":
            agent = application == "agentlogin"
            yield HoldingEntered(at=row.at, linkedid=row.linkedid, uniqueid=row.uniqueid, agent=agent)
        elif bridge:
            self._known(row).arguments = None
            conference = application == "confbridge"
            yield BridgeEntered(
                at=row.at,
                linkedid=row.linkedid,
                uniqueid=row.uniqueid,
                bridge=bridge,
                conference=conference,
                room=_number(row.exten) if conference else "",
            )

    def _bridge_left(self, row: CelRow, extra: Extra) -> Iterator[Event]:
        bridge = _text(extra.get("bridge_id"))
        if bridge:
            yield BridgeLeft(at=row.at, linkedid=row.linkedid, uniqueid=row.uniqueid, bridge=bridge)

    def _blind_transferred(self, row: CelRow, extra: Extra) -> Iterator[Event]:
        target = _number(extra.get("extension"))
        yield Transferred(at=row.at, linkedid=row.linkedid, transferer=row.uniqueid, target=target, attended=False)

    def _attended_transferred(self, row: CelRow, extra: Extra) -> Iterator[Event]:
        target = self._lines.get(_text(extra.get("transfer_target_channel_uniqueid")))
        number = target.number if target is not None else ""
        yield Transferred(at=row.at, linkedid=row.linkedid, transferer=row.uniqueid, target=number, attended=True)

    def _picked_up(self, row: CelRow, extra: Extra) -> Iterator[Event]:
        by = self._named(extra.get("pickup_channel"))
        if by is not None:
            yield PickedUp(at=row.at, linkedid=row.linkedid, uniqueid=row.uniqueid, by=by.uniqueid)

    def _parked(self, row: CelRow, extra: Extra) -> Iterator[Event]:
        parker = _number(extra.get("parker_dial_string"))
        yield Parked(at=row.at, linkedid=row.linkedid, uniqueid=row.uniqueid, parker=parker, space="")

    def _fetched(self, row: CelRow, extra: Extra) -> Iterator[Event]:
        by = self._named(extra.get("retriever"))
        if by is not None:
            yield Fetched(at=row.at, linkedid=row.linkedid, uniqueid=row.uniqueid, by=by.uniqueid, space="")

    def _named(self, name: object) -> _Line | None:
        return next((line for line in self._lines.values() if line.name == name), None)


def _rung_by_pbx(line: _Line, row: CelRow) -> Iterator[Event]:
    """Let the PBX have rung a channel since it began, if its application says so."""
    if line.rung is None and row.application == _RUNG_BY_PBX:
        line.rung = _Ring(by=None, callee=line.uniqueid, caller="")
        yield DialBegan(
            at=line.began_at,
            linkedid=row.linkedid,
            caller="",
            callee=line.uniqueid,
            caller_num=line.number,
            dialled="",
            account=harmless(row.account),
        )


def _rung_in_vain(caller: _Line, row: CelRow) -> Iterator[Event]:
    """End the unanswered dials of a caller: whether it gave up shows in its next row."""
    gave_up = caller.hung_up_at is not None and caller.dialstatus in ("", "CANCEL")
    rings, caller.in_vain = caller.in_vain, []
    for ring in rings:
        status = "CANCEL" if gave_up else _BY_CAUSE.get(ring.cause, "NOANSWER")
        yield _dial_ended(row, ring, status, at=min(ring.ended_at or row.at, caller.hung_up_at or row.at))


def _dial_ended(row: CelRow, ring: _Ring, status: str, *, at: datetime, forward: str = "") -> DialEnded:
    return DialEnded(at=at, linkedid=row.linkedid, caller=ring.caller, callee=ring.callee, status=status, forward=forward)


def _endpoint(target: str) -> str:
    """Return the endpoint of `PJSIP/8495…@trunk`, `PJSIP/trunk/sip:…`, `Local/152@users/n`."""
    technology, _, rest = target.strip().partition("/")
    rest = rest.split("/")[0]
    return f"{technology}/{rest if technology == 'Local' else rest.rpartition('@')[2]}"


def _text(value: object) -> str:
    return value if isinstance(value, str) and is_id(value) else ""


def _number(value: object) -> str:
    return number_in({"": value}, "") if isinstance(value, str) else ""


def _extra(row: CelRow) -> Extra:
    """Return the column `extra`; empty if it is no JSON object."""
    try:
        extra = from_json(row.extra) if row.extra else {}
    except ValueError:
        return {}
    return extra if isinstance(extra, dict) else {}


_STEPS: Final[Mapping[str, Callable[[CelEvents, CelRow, Extra], Iterator[Event]]]] = {
    "CHAN_START": CelEvents._channel_started,
    "APP_START": CelEvents._application_started,
    "ANSWER": CelEvents._answered,
    "FORWARD": CelEvents._forwarded,
    "HANGUP": CelEvents._hung_up,
    "CHAN_END": CelEvents._channel_ended,
    "BRIDGE_ENTER": CelEvents._bridge_entered,
    "BRIDGE_EXIT": CelEvents._bridge_left,
    "BLINDTRANSFER": CelEvents._blind_transferred,
    "ATTENDEDTRANSFER": CelEvents._attended_transferred,
    "PICKUP": CelEvents._picked_up,
    "PARK_START": CelEvents._parked,
    "PARK_END": CelEvents._fetched,
}
