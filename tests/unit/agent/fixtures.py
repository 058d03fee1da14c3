"""The domain of the scenarios, and calls written as short tables of events."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

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
    QueueEntered,
    Transferred,
)
from agent.recording.effects import RestartRecorder
from agent.recording.plan import plan
from agent.reporting.call_report import report
from agent.rules.directory import Directory
from agent.rules.parties import domain_of
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


class AmiDouble:
    """The manager interface without an Asterisk behind it; a test overrides what it needs."""

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str) -> Mapping[str, str]:
        """Fail: no action is expected."""
        raise NotImplementedError(name)

    async def listing(self, name: str, /, timeout_s: float = 10, **headers: str) -> list[Any]:
        """Fail: no list is expected."""
        raise NotImplementedError(name)


def at(seconds: float) -> datetime:
    """Return the time this many seconds after the call began."""
    return START + timedelta(seconds=seconds)


def event(line: str) -> Event:
    """Return one event from one line: `SECONDS WORD ARGUMENTS`.

    Channels are named by their uniqueid, and all belong to linkedid `1`:

    start ID NAME [EXTEN] [CALLER] · queue ID NAME ·
    ring CALLER CALLEE [DIALLED [EXTEN [SHOWN [ACCOUNT]]]] ·
    rung CALLER CALLEE STATUS [FORWARD] · enter ID BRIDGE · leave ID BRIDGE · pick BY RINGING ·
    blind ID TARGET · attended ID TARGET · end ID [CAUSE]. A dash stands for nothing.
    """
    seconds, word, *rest = line.split()
    when, more = at(float(seconds)), [*("" if text == "-" else text for text in rest), *[""] * 6]
    match word:
        case "start":
            return ChannelStarted(
                at=when, linkedid="1", uniqueid=more[0], name=more[1], exten=more[2], caller_num=more[3], caller_name=""
            )
        case "queue":
            return QueueEntered(at=when, linkedid="1", uniqueid=more[0], queue=more[1])
        case "ring":
            return DialBegan(
                at=when,
                linkedid="1",
                caller=more[0],
                callee=more[1],
                dialled=more[2],
                exten=more[3],
                caller_num=more[4],
                account=more[5],
            )
        case "rung":
            return DialEnded(at=when, linkedid="1", caller=more[0], callee=more[1], status=more[2], forward=more[3])
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
    """Return the events of a table, one per line."""
    return [event(line) for line in table.splitlines() if line.strip()]


def play(stream: list[Event], directory: Directory = DIRECTORY) -> CallRegistry:
    """Return the registry after these events, with every decision that they lead to.

    Recorders are not restarted, as if the ids of the recorders were not known.
    """
    registry = CallRegistry(is_user=directory.is_user)
    for _ in played_on(registry, stream, directory):
        pass
    return registry


def played_on(registry: CallRegistry, stream: list[Event], directory: Directory = DIRECTORY) -> Iterator[Event]:
    """Yield each event after it and the decisions that it leads to are in the registry."""
    for happened in stream:
        before, after = registry.fold(happened)
        for was, now, event_of_call in ((before, after, happened), *registry.take_visits()):
            effects = plan(was, now, event_of_call, directory)
            for caused in (caused for effect in effects if not isinstance(effect, RestartRecorder) for caused in effect.events):
                registry.take(caused)
        yield happened


def played(table: str, directory: Directory = DIRECTORY) -> Call:
    """The one call of a table."""
    (call,) = play(events(table), directory).calls.values()
    return call


def report_of(call: Call, directory: Directory = DIRECTORY) -> CallReport:
    """Return the report of a call to the store."""
    domain = domain_of(call, directory)
    assert domain is not None
    return report(call, domain, "pbx1")
