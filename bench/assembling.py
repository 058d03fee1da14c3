"""Measure the cost of folding, deciding and reporting the events of answered calls."""

import gc
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.calls.call_registry import CallRegistry
from agent.calls.decision_events import decision_event
from agent.calls.event_reader import read_event
from agent.calls.events import Event
from agent.reporting.call_report import report
from agent.rules.directory import Directory, DomainIndex
from agent.rules.recording_rules import pending_decisions
from fonoteka.core.domains import Domain, DomainSettings, RecordRule, User

STREAM = Path(__file__).parents[1] / "tests" / "data" / "streams" / "badly_heard.txt"
USERS = 500


def example_domain() -> DomainIndex:
    """Return a domain of 500 users, among them 152 of the stream."""
    users = tuple(
        User(
            login=str(number),
            name=f"User {number}",
            extension=str(number),
            endpoints=(f"PJSIP/acme-{number}",),
            record=RecordRule.ALL,
        )
        for number in range(100, 100 + USERS)
    )
    domain = Domain(name="acme", country="RU", area_codes=("391",), users=users, numbers=("2458152",))
    return Directory(settings=DomainSettings(version=1, domains=(domain,))).domains[0]


def real_call() -> list[Event]:
    """Return the events of the recorded call."""
    messages = STREAM.read_text(encoding="utf-8").replace("\r", "").split("\n\n")
    read = ({key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())} for text in messages)
    events = (read_event(headers.get("Event", ""), headers, datetime.now(UTC)) for headers in read)
    return [event for event in events if event is not None]


def renamed(events: list[Event], call: int) -> Iterator[Event]:
    """Yield the events of the call with other ids, also of its bridges, where calls would meet."""
    for event in events:
        ids = ("uniqueid", "caller", "callee", "bridge")
        keys: dict[str, Any] = {key: f"{getattr(event, key)}-{call}" for key in ids if hasattr(event, key)}
        yield replace(event, linkedid=f"{event.linkedid}-{call}", **keys)


def cpu_s_per_call(calls: int) -> float:
    """Return the CPU time of one call: fold and decide each event, and report after each."""
    here, call = example_domain(), real_call()
    stream = [event for number in range(calls) for event in renamed(call, number)]
    board = CallRegistry()
    gc.collect()
    begun_s = time.process_time()
    for event in stream:
        after = board.take(event)
        if after is None:
            continue
        for needed in pending_decisions(after, here):
            after = board.take(decision_event(after, needed, event.at)) or after
        assert report(after, here, "bench").linkedid == after.linkedid
        if after.ended_at is not None:
            board.forget(after.linkedid)
    return (time.process_time() - begun_s) / calls
