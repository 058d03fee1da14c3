"""Call flows played side by side, each by a company of its own on the shared PBX.

Each flow is played once in a run, whatever number of tests reads its result, and all are over
before any is judged. The manager interface is watched meanwhile by an account that shares nothing
with Fonoteka's client.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness, Message
from lab.base.company import LabCompany
from lab.base.eventually import eventually
from lab.base.lateness import Lateness
from lab.base.spool_files import spool_files
from lab.scenarios.basic_calls import BASIC_CALLS
from lab.scenarios.call_flows import CALL_FLOWS, CallFlow
from lab.scenarios.steps import PhoneCalls
from lab.tools.installation import Call, Fonoteka

ALL_FLOWS: Final[Mapping[str, CallFlow]] = BASIC_CALLS | CALL_FLOWS
# The rows that a flow leaves in the portal, where it is not one.
ROWS: Final = {
    "conference_of_colleagues": 3,
    "conference_with_customer": 3,
    "attended_by_phone_taken_back": 2,
    "click_returns_missed": 2,
    "whispered": 2,
    "agent_takes_two": 3,
    "joined_by_manager": 2,
    "customer_in_room": 4,
    "customer_put_into_room": 3,
}


@dataclass(frozen=True, kw_only=True)
class PlayedFlow:
    """The result of one call flow.

    `phone_calls` are the calls of each telephone, `rows` the calls in the API, the oldest first,
    with their recordings (`audio`, empty: none). `events` are the flow's own AMI events, `texts`
    all that came from the manager interface meanwhile. `late_s` is the sum of the telephones'
    delays by a busy machine.
    """

    company: LabCompany
    phone_calls: PhoneCalls
    rows: list[Call]
    audio: list[bytes]
    events: list[Message]
    texts: list[str]
    late_s: float

    @property
    def summary(self) -> tuple[str, str | None, str, str | None, list[str]]:
        """Result, answered by, state and reason of the recording, users of its segments.

        Of the only row.
        """
        (row,) = self.rows
        recording = row["recording"]
        users = [segment["user"] for segment in recording["segments"]]
        return row["result"], row["answered_by"], recording["state"], recording["reason"], users


class PlayedFlows:
    """The results of all flows. A flow that failed raises its exception when its result is read."""

    def __init__(self) -> None:
        self.results: dict[str, PlayedFlow | BaseException] = {}
        self.left: set[Path] = set()  # files that stay in the spool
        self.extra_rows: dict[str, set[str]] = {}  # ids by company: rows that no flow accounts for
        self.log = ""  # of Fonoteka, while the flows were played
        self.late_s = 0.0  # the machine's lateness meanwhile (tests.support.standing_still)

    def __getitem__(self, name: str) -> PlayedFlow:
        found = self.results[name]
        if isinstance(found, BaseException):
            raise found
        return found

    def left_of(self, flow: PlayedFlow) -> list[Path]:
        """The files of a flow's calls that stay in the spool."""
        return [path for path in self.left if any(row["linkedid"] in str(path) for row in flow.rows)]


def flows_of(items: Collection[pytest.Item]) -> set[str]:
    """The names of the flows that the collected tests read.

    Their parameter `flow` or `scenario`, or the marker `flows`.
    """
    names: set[str] = set()
    for item in items:
        names.update(name for mark in item.iter_markers("flows") for name in mark.args)
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            parameters = item.callspec.params
            if "flow" in parameters:
                names.add(str(parameters["flow"]))
            if (flow := getattr(parameters.get("scenario"), "flow", None)) is not None:
                names.add(str(flow))
    return names


class _Player:
    """One company's telephones, which play one flow after another."""

    def __init__(self, pbx: LabAsterisk, fonoteka: Fonoteka, witness: AmiWitness, lateness: Lateness) -> None:
        self._pbx, self._fonoteka, self._witness, self._lateness = pbx, fonoteka, witness, lateness
        self._played: dict[str, PlayedFlow] = {}
        # Rows that belong to a flow, or to an attempt that was given up.
        self._accounted: set[str] = set()

    async def play(self, waiting: list[str], flows: PlayedFlows) -> None:
        """Take flows from the list until it is empty, then wait for the recordings of all."""
        self._accounted = await self._fonoteka.ids()
        while waiting:
            name = waiting.pop()
            try:
                self._played[name] = await self._play(name)
            except Exception as error:  # whatever it is, it belongs to this flow
                flows.results[name] = error
        ids = {row["id"] for played in self._played.values() for row in played.rows}
        await self._rows(set(), len(ids), lambda row: row["id"] not in ids or _is_decided(row))
        for name, played in self._played.items():
            flows.results[name] = await self._with_recordings(played)
        if extra := await self._fonoteka.ids() - self._accounted:
            flows.extra_rows[self._pbx.company.name] = extra

    async def _play(self, name: str) -> PlayedFlow:
        """Play a flow until each telephone's channel and each row has ended."""
        company, before = self._pbx.company, await self._fonoteka.ids()
        began, first = time.monotonic(), len(self._witness.messages)
        try:
            phone_calls = await ALL_FLOWS[name](self._pbx)
            late_s = self._lateness.allowance_s(began)
            await eventually(lambda: _are_over(self._witness.messages[first:], company))
            last = len(self._witness.messages)
            rows = await self._rows(before, ROWS.get(name, 1), _has_ended)
        finally:
            self._accounted |= await self._fonoteka.ids()
        return PlayedFlow(
            company=company,
            phone_calls=phone_calls,
            rows=rows,
            audio=[],
            events=_events_of(self._witness.messages[first:last], company),
            texts=self._witness.texts[first:last],
            late_s=late_s,
        )

    async def _with_recordings(self, played: PlayedFlow) -> PlayedFlow:
        # A later flow of the company may call the same party: then the call was called back since.
        rows = [await self._fonoteka.details(row) | {"called_back_at": row["called_back_at"]} for row in played.rows]
        audio = [await self._fonoteka.audio(row) if row["recording"]["segments"] else b"" for row in rows]
        return replace(played, rows=rows, audio=audio)

    async def _rows(self, before: set[str], count: int, are_done: Callable[[Call], bool]) -> list[Call]:
        """The rows not in `before`, the oldest first.

        Once there are `count` and all are done, or as they are at the limit.
        """
        found: list[Call] = []

        async def done() -> bool:
            calls = await self._fonoteka.calls(sort="started_at", limit=500)
            found[:] = [call for call in calls if call["id"] not in before]
            return len(found) >= count and all(map(are_done, found))

        with suppress(AssertionError):  # the test compares the rows, which says more
            await eventually(done)
        return found


async def play_all(names: Collection[str], pbx: LabAsterisk, fonoteka: Fonoteka, companies: Collection[LabCompany]) -> PlayedFlows:
    """Play the flows; returns when each has its rows and the spool is as empty as before."""
    flows, already, logged, began = PlayedFlows(), spool_files(pbx.spool), len(fonoteka.log()), time.monotonic()
    # The long ones first, so that no company is left alone with one at the end.
    waiting = sorted(names, key=lambda name: ("no_answer" in name, name in CALL_FLOWS, name))
    async with AsyncExitStack() as on:
        lateness = on.enter_context(Lateness())
        witness = await on.enter_async_context(AmiWitness(pbx.ami, pbx.ami_user, pbx.ami_secret))
        players = []
        for company in companies:
            seen = await fonoteka.seen_by(company)
            on.push_async_callback(seen.http.aclose)
            players.append(_Player(pbx.seen_by(company), seen, witness, lateness))
        await asyncio.gather(*(player.play(waiting, flows) for player in players))
        flows.late_s = lateness.allowance_s(began)
    flows.left = await _left(pbx, already)
    flows.log = fonoteka.log()[logged:]
    return flows


def _has_ended(row: Call) -> bool:
    return row["ended_at"] is not None


def _is_decided(row: Call) -> bool:
    return row["recording"]["state"] not in ("recording", "processing")


def _is_of(message: Message, company: LabCompany) -> bool:
    return message.get("Channel", "").startswith((f"PJSIP/{company.trunk}-", f"PJSIP/{company.name}-"))


def _are_over(messages: list[Message], company: LabCompany) -> bool:
    """Whether every telephone's channel that began has ended.

    Callers can forge an event, but not its `Channel`.
    """
    channels = {
        event: {message["Channel"] for message in messages if message.get("Event") == event and _is_of(message, company)}
        for event in ("Newchannel", "Hangup")
    }
    return bool(channels["Newchannel"]) and channels["Newchannel"] <= channels["Hangup"]


def _events_of(messages: list[Message], company: LabCompany) -> list[Message]:
    """The events of the company's calls: every event that names one of their linkedids."""
    linkedids = {message.get("Linkedid") for message in messages if _is_of(message, company)} - {None}
    return [
        message
        for message in messages
        if "Event" in message and any(name.endswith("Linkedid") and value in linkedids for name, value in message.items())
    ]


async def _left(pbx: LabAsterisk, already: set[Path]) -> set[Path]:
    """The files that stay in the spool.

    A leg of what only rang is removed once Asterisk has closed it.
    """
    try:
        await eventually(lambda: not spool_files(pbx.spool) - already)
    except AssertionError:
        return spool_files(pbx.spool) - already
    return set()
