"""SCENARIOS 19 and 20 on the real Asterisk.

Recording on demand and pause, by keys pressed on a telephone and by the API.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from datetime import datetime
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from lab.asterisk.server import LabAsterisk
from lab.scenarios.steps import CALLER, answered, customer_with, talk_and_leave
from lab.scenarios.transfers import ask_by_keys
from lab.sip.handset import TRUNK, handset
from lab.sip.sipp_phones import OUTSIDE
from lab.tools.installation import Fonoteka
from tests.pbx.side_by_side import Left, side_by_side
from tests.support.audio_checks import decoded, pauses_in
from tests.support.eventually import LIMIT_S, eventually

# Beside the machine's own lateness; what must not be recorded is longer.
NEAR_MS: Final = 300
SPOKEN_S: Final = 1.5
BEEP_MS: Final = 440  # while it is played, who pressed the key hears nothing else


class Panel:
    """The live panel of one user: the one call that goes on, and the buttons."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.statuses: list[int] = []
        self.moments: list[Moment] = []  # of each action

    async def call(self) -> dict[str, Any]:
        """The call; there is one from its first ring."""

        async def found() -> dict[str, Any] | None:
            items = (await self._http.get("/api/live/calls")).raise_for_status().json()["items"]
            return dict(items[0]) if items and items[0]["live"]["parties"] else None

        return await eventually(found)

    async def live(self) -> tuple[str, str | None, list[str]]:
        """The recorder, why it is off, and what may be clicked."""
        live = (await self.call())["live"]
        return live["recorder"], live["reason"], live["actions"]

    async def becomes(self, recorder: str, since: float | None = None) -> None:
        """Wait until the panel shows it; `since` is when the action was begun."""
        began = _now() if since is None else since

        async def shown() -> bool:
            return (await self.live())[0] == recorder

        await eventually(shown)
        self.moments.append((began, _now()))

    async def click(self, action: str) -> dict[str, Any]:
        """Ask for it; returns what the API answers."""
        found, began = await self.call(), _now()
        answer = await self._http.post(f"/api/live/{found['id']}/recording", json={"action": action})
        self.statuses.append(answer.status_code)
        self.moments.append((began, _now()))
        return dict(answer.json())


Moment = tuple[float, float]  # when an action was begun, and when it was seen to be done


def _now() -> float:
    return asyncio.get_running_loop().time()


def assert_between(one: Moment, other: Moment, length_ms: float, late_s: float) -> None:
    """The length is that between the two actions, within the machine's lateness."""
    near_ms = NEAR_MS + 1000 * late_s
    assert 1000 * (other[0] - one[1]) - near_ms <= length_ms <= 1000 * (other[1] - one[0]) + near_ms


async def spoken() -> None:
    await asyncio.sleep(SPOKEN_S)


class Flows:
    """The flows, which need both the telephones and the API."""

    def __init__(self, fonoteka: Fonoteka) -> None:
        self._fonoteka = fonoteka
        self.panels: dict[str, Panel] = {}  # the one whose moments count

    @asynccontextmanager
    async def _panel(self, pbx: LabAsterisk, who: str | None = None) -> AsyncIterator[Panel]:
        there = await self._fonoteka.seen_by(pbx.company, who)
        try:
            yield Panel(there.http)
        finally:
            await there.http.aclose()

    async def not_asked(self, pbx: LabAsterisk) -> None:
        """Nobody asks for it; the customer presses the keys in vain."""
        async with self._panel(pbx, "777") as panel, customer_with(pbx, "777") as (customer, employee, _):
            await customer.press("*3*4")
            await spoken()
            assert await panel.live() == ("off", "on_demand_not_asked", ["start"])
            await talk_and_leave(customer, employee)

    async def by_keys(self, pbx: LabAsterisk) -> None:
        """Started in mid-call by *3, stopped, and started again."""
        number = next(user.number for user in pbx.company.users if user.extension == "777")
        assert number is not None
        async with self._panel(pbx, "777") as panel, handset(pbx, TRUNK) as far, handset(pbx, "777") as desk:
            self.panels["by keys"] = panel
            customer, employee = await answered(far, number, desk, user=CALLER)
            await spoken()
            for recorder in ("on", "off", "on"):
                began = _now()
                await employee.press("*3")
                await panel.becomes(recorder, began)
                await spoken()
            await talk_and_leave(customer, employee)

    async def by_keys_of_the_caller(self, pbx: LabAsterisk) -> None:
        """The user calls out; the called party presses the keys in vain, the user does not."""
        async with self._panel(pbx) as panel, handset(pbx, "777") as desk, handset(pbx, OUTSIDE) as far:
            employee, callee = await answered(desk, "2123456", far)
            await callee.press("*3")
            await spoken()
            assert (await panel.live())[0] == "off"
            await employee.press("*3")
            await panel.becomes("on")
            await spoken()
            await talk_and_leave(callee, employee)

    async def by_the_api(self, pbx: LabAsterisk) -> None:
        """Started by the user, stopped by an administrator, and started again."""
        async with (
            self._panel(pbx, "777") as mine,
            self._panel(pbx) as boss,
            self._panel(pbx, "152") as colleague,
            customer_with(pbx, "777") as (customer, employee, _),
        ):
            self.panels["by the API"] = mine
            for panel, action in ((mine, "start"), (boss, "stop"), (mine, "start")):
                answer = await panel.click(action)
                assert panel.statuses[-1] == 200, answer
                assert answer["live"]["recorder"] == ("off" if action == "stop" else "on")
                mine.moments += boss.moments
                boss.moments.clear()
                await spoken()
            identity = (await mine.call())["id"]
            refused = await colleague._http.post(f"/api/live/{identity}/recording", json={"action": "stop"})
            assert refused.status_code == 404
            await talk_and_leave(customer, employee)

    async def paused_by_keys(self, pbx: LabAsterisk) -> None:
        """152 is recorded by rule, pauses by *4 and goes on."""
        async with self._panel(pbx, "152") as panel, customer_with(pbx) as (customer, employee, _):
            self.panels["paused by keys"] = panel
            for recorder in ("paused", "on"):
                began = _now()
                await employee.press("*4")
                await panel.becomes(recorder, began)
                await spoken()
            await talk_and_leave(customer, employee)

    async def paused_by_the_api(self, pbx: LabAsterisk) -> None:
        """The same by the API; the user may not stop what the setting records."""
        async with self._panel(pbx, "152") as panel, customer_with(pbx) as (customer, employee, _):
            self.panels["paused by the API"] = panel
            await panel.click("pause")
            await spoken()
            await panel.click("resume")
            assert (await panel.click("stop"))["type"] == "/problems/recorded-by-rule"
            assert panel.statuses == [200, 200, 409]
            await talk_and_leave(customer, employee)

    async def off_stays_off(self, pbx: LabAsterisk) -> None:
        """Neither the user nor an administrator starts what the setting says no to."""
        async with self._panel(pbx, "130") as mine, self._panel(pbx) as boss, customer_with(pbx, "130") as (customer, employee, _):
            await employee.press("*3")
            for panel in (mine, boss):
                assert (await panel.click("start"))["type"] == "/problems/recording-is-off"
                assert await panel.live() == ("off", "user_off", [])
            await talk_and_leave(customer, employee)

    async def stopped_by_administrator(self, pbx: LabAsterisk) -> None:
        """An administrator stops what the setting records."""
        async with self._panel(pbx) as boss, customer_with(pbx) as (customer, employee, _):
            await boss.click("stop")
            assert boss.statuses == [200]
            assert await boss.live() == ("off", "stopped_by_user", ["start"])
            await talk_and_leave(customer, employee)

    async def paused_while_asking(self, pbx: LabAsterisk) -> None:
        """152 pauses, asks 130 by *2 and comes back to the customer.

        The recorder is renewed each time, and stays paused.
        """
        async with self._panel(pbx, "152") as panel, handset(pbx, "130") as desk, customer_with(pbx) as (customer, employee, _):
            await panel.click("pause")
            await ask_by_keys(employee, "130")
            asked = await (await desk.rung()).answer()
            await spoken()
            assert await panel.live() == ("paused", None, ["resume"])
            await asked.hang_up()
            await spoken()
            assert await panel.live() == ("paused", None, ["resume"])
            await panel.click("resume")
            assert panel.statuses == [200, 200]
            await talk_and_leave(customer, employee)


@pytest.fixture(scope="module")
def on_demand(fonoteka: Fonoteka) -> Flows:
    """The flows, which note the times of their actions."""
    return Flows(fonoteka)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def left(pbx: LabAsterisk, fonoteka: Fonoteka, on_demand: Flows) -> Mapping[str, Left]:
    """All of them at once."""
    all_flows = {
        "not asked": on_demand.not_asked,
        "by keys": on_demand.by_keys,
        "by keys of the caller": on_demand.by_keys_of_the_caller,
        "by the API": on_demand.by_the_api,
        "paused by keys": on_demand.paused_by_keys,
        "paused by the API": on_demand.paused_by_the_api,
        "off stays off": on_demand.off_stays_off,
        "stopped by an administrator": on_demand.stopped_by_administrator,
        "paused while asking": on_demand.paused_while_asking,
    }
    return await side_by_side(pbx, fonoteka, all_flows)


EXPECTED = {
    "not asked": ("answered", "777", "none", "on_demand_not_asked", []),
    "by keys": ("answered", "777", "ready", None, ["777", "777"]),
    "by keys of the caller": ("answered", "2123456", "ready", None, ["777"]),
    "by the API": ("answered", "777", "ready", None, ["777", "777"]),
    "paused by keys": ("answered", "152", "ready", None, ["152"]),
    "paused by the API": ("answered", "152", "ready", None, ["152"]),
    "off stays off": ("answered", "130", "none", "user_off", []),
    "stopped by an administrator": ("answered", "152", "partial", "stopped_by_user", ["152"]),
}


@pytest.mark.parametrize("name", EXPECTED)
async def test_the_row(left: Mapping[str, Left], name: str) -> None:
    assert left[name].summary == EXPECTED[name]


@pytest.mark.parametrize("name", ["by keys", "by the API"])
async def test_only_what_was_asked_for_is_recorded(on_demand: Flows, left: Mapping[str, Left], name: str) -> None:
    call = left[name].call
    late_s = left[name].late_s
    first, second = (segment["duration_ms"] for segment in call["recording"]["segments"])
    on, off, on_again = on_demand.panels[name].moments
    assert_between(on, off, first, late_s)
    began, *_ = (datetime.fromisoformat(step["at"]) for step in call["path"] if step["what"] == "record")
    lasted_s = (datetime.fromisoformat(call["ended_at"]) - began).total_seconds()
    assert_between(on, on_again, 1000 * lasted_s - second, late_s)
    assert_between(off, on_again, 1000 * lasted_s - first - second, late_s)


@pytest.mark.parametrize("name", ["paused by keys", "paused by the API"])
async def test_a_pause_keeps_the_length_and_is_marked_where_nothing_is_heard(
    on_demand: Flows, left: Mapping[str, Left], name: str
) -> None:
    call = left[name].call
    (segment,) = call["recording"]["segments"]
    talk_s = datetime.fromisoformat(call["ended_at"]) - datetime.fromisoformat(call["answered_at"])
    late_ms = 1000 * left[name].late_s
    assert segment["duration_ms"] == pytest.approx(1000 * talk_s.total_seconds(), abs=250 + late_ms)
    (marked,) = segment["muted"]
    paused, resumed, *_ = on_demand.panels[name].moments
    assert_between(paused, resumed, marked["to_ms"] - marked["from_ms"], left[name].late_s)
    samples, rate_hz = decoded(left[name].audio)
    for side in samples:
        ((begin, end),) = (pause for pause in pauses_in(side, rate_hz) if pause[1] - pause[0] > 1)
        assert 1000 * begin == pytest.approx(marked["from_ms"], abs=250 + late_ms)
        assert marked["to_ms"] - 250 - late_ms < 1000 * end < marked["to_ms"] + 250 + late_ms + (BEEP_MS if "keys" in name else 0)


async def test_what_is_renewed_while_it_is_paused_stays_paused(left: Mapping[str, Left]) -> None:
    recording, audio = left["paused while asking"].call["recording"], left["paused while asking"].audio
    assert {segment["user"] for segment in recording["segments"]} == {"152"}
    first, *renewed = recording["segments"]
    assert renewed and recording["state"] == "ready"
    assert first["muted"][0]["from_ms"] > 1000 and {segment["muted"][0]["from_ms"] for segment in renewed} == {0}
    samples, rate_hz = decoded(audio)
    begins, ends = (
        (first["offset_ms"] + first["muted"][0]["from_ms"]) / 1000,
        (renewed[-1]["offset_ms"] + renewed[-1]["muted"][0]["to_ms"]) / 1000,
    )
    for side in samples:
        assert abs(side[round((begins + 0.2) * rate_hz) : round((ends - 0.2) * rate_hz)]).max() < 0.02
        assert abs(side[round((ends + 0.3) * rate_hz) :]).max() > 0.1


async def test_only_our_asterisk_is_believed(pbx: LabAsterisk, fonoteka: Fonoteka, left: Mapping[str, Left]) -> None:
    """Whoever else connects, or floods, is dropped; feature codes go on."""
    for said in (
        b"agi_network_script: record\nagi_uniqueid: 1.1\n\n200 result=1 (guess)\n",
        b"\n200 result=0\n",
        b"x" * 100_000,
        b"a:b\n" * 1000,
    ):
        reader, writer = await asyncio.open_connection(*pbx.agi)
        writer.write(said)
        try:
            async with asyncio.timeout(LIMIT_S):
                while await reader.read(1000):
                    pass
        except ConnectionError:
            pass
        finally:
            writer.close()
    assert "feature_codes.failed" not in fonoteka.log()


async def test_neither_flooded_nor_fooled_in_mid_call(pbx: LabAsterisk, fonoteka: Fonoteka, on_demand: Flows) -> None:
    """Somebody on the machine knows all that can be known of a call.

    Others hold every place and trickle. The keys work.
    """
    async with on_demand._panel(pbx, "152") as panel, customer_with(pbx) as (_, employee, _), AsyncExitStack() as trickling:
        await panel.becomes("on")
        channels = [line.split("!") for line in (await pbx.cli("core show channels concise")).splitlines() if "!" in line]
        uniqueids = [channel[-1] for channel in channels if channel[0].startswith(("PJSIP/trunk-0", "PJSIP/acme-"))]
        assert len(uniqueids) == 2
        for uniqueid in uniqueids:
            reader, writer = await asyncio.open_connection(*pbx.agi)
            writer.write(f"agi_network_script: pause\nagi_uniqueid: {uniqueid}\n\n".encode() + b"200 result=1\n" * 10)
            assert b"FONOTEKA_PRESSED" in await asyncio.wait_for(reader.read(1000), LIMIT_S)
            assert await asyncio.wait_for(reader.read(1000), LIMIT_S) == b""
            writer.close()
        assert (await panel.live())[0] == "on"
        assert fonoteka.log().count("feature_codes.stranger") >= 2
        quickest_s = LIMIT_S
        # A machine that stands still delays one of them, but not each.
        for recorder in ("paused", "on") * 5:
            for _ in range(20):
                trickling.enter_context(closing(await trickle(*pbx.agi)))
            began = asyncio.get_running_loop().time()
            await employee.press("*4")
            await panel.becomes(recorder)
            quickest_s = min(quickest_s, asyncio.get_running_loop().time() - began)
            if quickest_s < 3:
                break
        assert quickest_s < 3
    assert "feature_codes.failed" not in fonoteka.log()


async def test_who_trickles_is_hung_up_on(pbx: LabAsterisk, fonoteka: Fonoteka) -> None:
    reader, writer = await asyncio.open_connection(*pbx.agi)
    with closing(writer), pytest.raises((ConnectionError, EOFError)):
        async with asyncio.timeout(LIMIT_S):
            while True:
                writer.write(b"a")
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.readexactly(1), 0.5)


async def trickle(host: str, port: int) -> asyncio.StreamWriter:
    """A connection that says something, and never enough."""
    _, writer = await asyncio.open_connection(host, port)
    writer.write(b"agi_")
    return writer
