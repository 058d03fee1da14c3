"""SCENARIOS 47 on the real Asterisk: a company calls another one on the same PBX."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import pytest
import pytest_asyncio

from lab.asterisk.server import LabAsterisk
from lab.base.company import neighbour
from lab.base.eventually import eventually
from lab.scenarios.steps import CALLER, answered, answers, talk, talk_and_leave
from lab.sip.handset import TRUNK, handset, tone_hz_of
from lab.tools.installation import Call, Fonoteka
from tests.support.audio_checks import decoded, tones_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHER: Final = neighbour(1)
CALLED: Final = OTHER.own("2458152")


@dataclass(frozen=True, kw_only=True)
class Two:
    """Two companies on one PBX, and the calls that each of them had before the test."""

    pbx: LabAsterisk
    there: LabAsterisk
    ours: Fonoteka
    theirs: Fonoteka
    before: tuple[set[str], set[str]]

    async def rows(self) -> tuple[Call, Call]:
        """The new row of each company, once its recording is decided."""
        return await self.ours.settled(self.before[0]), await self.theirs.settled(self.before[1])


@pytest_asyncio.fixture(loop_scope="session")
async def two(pbx: LabAsterisk, fonoteka: Fonoteka) -> AsyncIterator[Two]:
    async with AsyncExitStack() as on:
        theirs = await fonoteka.seen_by(OTHER)
        on.push_async_callback(theirs.http.aclose)
        before = (await fonoteka.ids(), await theirs.ids())
        yield Two(pbx=pbx, there=pbx.seen_by(OTHER), ours=fonoteka, theirs=theirs, before=before)


def summary(row: Call) -> tuple[Any, ...]:
    """What a row shows, but for times."""
    recording = row["recording"]
    users = [segment["user"] for segment in recording["segments"]]
    employee = row["employee"] and row["employee"]["login"]
    fields = tuple(row[name] for name in ("direction", "src", "dst", "answered_by", "result"))
    return *fields, employee, recording["state"], recording["reason"], users


def path_of(row: Call) -> list[tuple[str, str]]:
    return [(step["what"], step["who"]) for step in row["path"]]


READY, OFF = ("ready", None), ("none", "user_off")
# Who calls whom; the recording of each company by its own user's setting.
CALLS: Final = (("152", "152", READY, READY), ("130", "421", OFF, READY), ("421", "130", READY, OFF))


@pytest.mark.parametrize(("caller", "callee", "ours", "theirs"), CALLS)
async def test_each_company_has_its_row_by_its_own_settings(
    two: Two, caller: str, callee: str, ours: tuple[str, str | None], theirs: tuple[str, str | None]
) -> None:
    number, shown = OTHER.own(f"2458{callee}"), f"2458{caller}"  # a number inside is shown to nobody outside
    async with handset(two.pbx, caller) as here, handset(two.there, callee) as there:
        line, answering = await answered(here, number, there)
        await talk()
        await eventually(lambda: _is_talking(two.ours))
        await eventually(lambda: _is_talking(two.theirs))
        live = {name: (await _live(seen)) for name, seen in (("ours", two.ours), ("theirs", two.theirs))}
        await talk_and_leave(line, answering)
    our_row, their_row = await two.rows()
    segments = [[caller] if ours == READY else [], [callee] if theirs == READY else []]
    assert summary(our_row) == ("out", caller, number, number, "answered", caller, *ours, segments[0])
    assert summary(their_row) == ("in", shown, number, callee, "answered", callee, *theirs, segments[1])
    assert [party["who"] for party in live["ours"]] == [caller, number]
    assert [party["who"] for party in live["theirs"]] == [shown, callee]
    assert our_row["linkedid"] == their_row["linkedid"] and our_row["id"] != their_row["id"]
    assert {who for _, who in path_of(our_row)} <= {caller, number, ""}
    assert {who for _, who in path_of(their_row)} <= {callee, number, shown, ""}
    for seen, row, tones in (
        (two.ours, our_row, (tone_hz_of(two.there, callee), tone_hz_of(two.pbx, caller))),
        (two.theirs, their_row, (tone_hz_of(two.pbx, caller), tone_hz_of(two.there, callee))),
    ):
        if row["recording"]["state"] == "ready":
            samples, rate_hz = decoded(await seen.audio(row))
            found = [tones_of(side, rate_hz, 0.35) for side in samples]
            assert [[near(hz, wanted) for hz in side] for side, wanted in zip(found, tones, strict=True)] == [[True], [True]], found
    for seen, row in ((two.ours, their_row), (two.theirs, our_row)):
        assert (await seen.http.get(f"/api/calls/{row['id']}")).status_code == 404


async def test_a_customer_transferred_to_the_other_company_has_a_row_in_each(two: Two) -> None:
    """The talk with 152 is ours alone; the other company has what its own user heard."""
    async with handset(two.pbx, TRUNK) as outside, handset(two.pbx, "152") as desk, handset(two.there, "152") as there:
        customer, employee = await answered(outside, "2458152", desk, user=CALLER)
        await talk()
        transferring = asyncio.create_task(employee.transfer(CALLED))
        colleague = await answers(there)
        await transferring
        await talk_and_leave(customer, colleague)
    our_row, their_row = await two.rows()
    assert summary(our_row)[:6] == ("in", CALLER, "2458152", CALLED, "answered", "152")
    assert summary(their_row) == ("in", CALLER, CALLED, "152", "answered", "152", *READY, ["152"])
    assert their_row["started_at"] > our_row["answered_at"], "the row begins when the company is rung"
    assert their_row["recording"]["duration_ms"] < our_row["recording"]["duration_ms"] + 1000
    samples, rate_hz = decoded(await two.theirs.audio(their_row))
    strange = [hz for hz in tones_of(samples[1], rate_hz, 0.35) if not near(hz, tone_hz_of(two.there, "152"))]
    assert not strange, "what our employee said is not in it"


async def test_nobody_answers_in_the_other_company(two: Two) -> None:
    async with handset(two.pbx, "152") as here, handset(two.there, "152") as there:
        line = here.dial(CALLED)
        ringing = await there.rung()
        await line.hang_up()
        await ringing.over()
    our_row, their_row = await two.rows()
    unheard: tuple[Any, ...] = ("none", "not_answered", [])
    assert summary(our_row) == ("out", "152", CALLED, None, "no_answer", "152", *unheard)
    assert summary(their_row) == ("in", "2458152", CALLED, None, "no_answer", "152", *unheard)


def near(hz: float, wanted: float) -> bool:
    return abs(hz - wanted) < 30


async def _live(seen: Fonoteka) -> list[dict[str, Any]]:
    items = (await seen.http.get("/api/live/calls")).raise_for_status().json()["items"]
    return list(items[0]["live"]["parties"]) if len(items) == 1 else []


async def _is_talking(seen: Fonoteka) -> bool:
    return len(await _live(seen)) == 2
