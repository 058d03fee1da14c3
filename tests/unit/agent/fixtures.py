"""The company of SCENARIOS, as the agent knows it, and calls written as short tables of events."""

from datetime import UTC, datetime, timedelta

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.calls.events import (
    BridgeEntered,
    BridgeLeft,
    ChannelEnded,
    ChannelStarted,
    DialBegan,
    DialEnded,
    Event,
    PickedUp,
    Transferred,
)
from agent.reporting.call_report import report
from agent.rules.directory import Directory
from agent.rules.recording_rules import pending_decisions, picked_up_recordings
from fonoteka.core.call_report import CallReport
from fonoteka.core.domains import Domain, DomainSettings, RecordRule, User

START = datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC)
RULES = {"152": "all", "421": "all", "130": "off", "777": "on_demand", "900": "off", "500": "in", "600": "out"}
ACME = Domain(
    name="acme",
    country="RU",
    area_codes=("391",),
    numbers=("2458152", "2458421", "2458130", "2458777", "2458888"),
    users=tuple(
        User(login=number, name=f"User {number}", extension=number, endpoints=(f"PJSIP/acme-{number}",), record=RecordRule(rule))
        for number, rule in RULES.items()
    ),
)
DIRECTORY = Directory(settings=DomainSettings(version=1, domains=(ACME,)))


def at(seconds: float) -> datetime:
    """So many seconds after the call began."""
    return START + timedelta(seconds=seconds)


def event(line: str) -> Event:
    """One event from one line: `SECONDS WORD ARGUMENTS`; channels are named by their uniqueid, all of linkedid `1`.

    start ID NAME [EXTEN] [CALLER] · ring CALLER CALLEE [DIALLED] · rung CALLER CALLEE STATUS [FORWARD] ·
    enter ID BRIDGE · leave ID BRIDGE · pick BY RINGING · blind ID TARGET · attended ID TARGET · end ID [CAUSE]
    """
    seconds, word, *rest = line.split()
    when, more = at(float(seconds)), [*rest, "", "", ""]
    match word:
        case "start":
            return ChannelStarted(
                at=when, linkedid="1", uniqueid=more[0], name=more[1], exten=more[2], caller_num=more[3], caller_name=""
            )
        case "ring":
            return DialBegan(at=when, linkedid="1", caller=more[0].strip("-"), callee=more[1], caller_num="", dialled=more[2])
        case "rung":
            return DialEnded(at=when, linkedid="1", caller=more[0].strip("-"), callee=more[1], status=more[2], forward=more[3])
        case "enter":
            return BridgeEntered(at=when, linkedid="1", uniqueid=more[0], bridge=more[1])
        case "leave":
            return BridgeLeft(at=when, linkedid="1", uniqueid=more[0], bridge=more[1])
        case "pick":
            return PickedUp(at=when, linkedid="1", by=more[0], uniqueid=more[1])
        case "blind" | "attended":
            return Transferred(at=when, linkedid="1", transferer=more[0], target=more[1], attended=word == "attended")
        case "end":
            return ChannelEnded(at=when, linkedid="1", uniqueid=more[0], cause=int(more[1] or 16))
    raise ValueError(line)


def events(table: str) -> list[Event]:
    """The events of a table, one a line."""
    return [event(line) for line in table.splitlines() if line.strip()]


def play(stream: list[Event], directory: Directory = DIRECTORY) -> CallRegistry:
    """A switchboard after these events, with every decision taken that falls due — as the agent does it, without the I/O."""
    board = CallRegistry()
    for happened in stream:
        call = board.take(happened)
        if call is None:
            continue
        domain = directory.domain_of(call)
        for known, needed in picked_up_recordings(call, domain) if domain is not None and isinstance(happened, PickedUp) else ():
            call = board.handed_over(call, known, needed, happened.at)
        for needed in pending_decisions(call, domain) if domain is not None else ():
            if needed.decision.record and isinstance(happened, BridgeEntered) and happened.late:
                call = board.missed(call, needed, happened.at)
            call, _ = board.decided(call, needed, happened.at)
    return board


def played(table: str, directory: Directory = DIRECTORY) -> Call:
    """The one call of a table."""
    (call,) = play(events(table), directory).calls.values()
    return call


def told(call: Call, directory: Directory = DIRECTORY) -> CallReport:
    """What the store is told of a call."""
    domain = directory.domain_of(call)
    assert domain is not None
    return report(call, domain, "pbx1")
