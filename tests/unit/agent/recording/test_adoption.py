"""Recordings of the dialplan become recordings of their calls, with real files."""

import errno
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.calls.call_state import Call, Recording, RecordingStage
from agent.calls.events import BridgeEntered, RecordingDecided, RecordingLost
from agent.recording import coordinator
from agent.recording.away import Heartbeat
from agent.recording.away_files import AwayFiles
from agent.recording.disk_floor import DiskFloor
from agent.rules.directory import Directory
from fonoteka.core.call_report import Decision, Reason
from fonoteka.core.domains import DomainSettings
from fonoteka.core.manifest import read_manifest
from fonoteka.core.spool import ItemState
from tests.support import watched_legs
from tests.unit.agent.fixtures import DIRECTORY, AmiDouble, at, events, report_of
from tests.unit.agent.recording.test_coordinator import PHONE, Bench
from tests.unit.agent.recording.test_lifecycle import write_leg

START = "0.0 start t PJSIP/trunk-1 2458152 89131234567\n0.1 start p {}\n"
IN_CALL = START.format(PHONE)
ENDED = IN_CALL + "0.2 ring t p acme-152\n1 rung t p ANSWER\n1 enter p B\n1 enter t B\n6 end p\n6 end t\n"


class AwayBench(Bench):
    """A coordinator whose dialplan has recorded channel `p` of call `1`."""

    def recorded(self, *, way: str = "in", uniqueid: str = "p", talk_s: float = 5, began: float = 1) -> list[Path]:
        """Write the legs of a talk that began `began` seconds after the call."""
        legs = [self.spool.root / "away" / f"1_{uniqueid}_0_{way}_{side}.wav" for side in ("employee", "outside")]
        for leg in legs:
            write_leg(leg, round(8000 * talk_s))
            ended = at(began + talk_s).timestamp() if talk_s else time.time()
            os.utime(leg, (ended, ended))
        self.away.scan()
        return legs

    @property
    def waiting(self) -> int:
        """The number of files that wait for their call."""
        return len(list((self.spool.root / "away").iterdir()))

    async def adopted(self, legs: list[Path]) -> list[str]:
        """Join the legs to the call while Asterisk has them open; then it closes them."""
        with legs[0].open("ab"), legs[1].open("ab"):
            self.coordinator.adopt(self.call)
        return await self.done()

    def found(self, table: str) -> Call:
        """Put a call into the registry as the journal of Asterisk shows it, without recorders."""
        for each in events(table):
            self.registry.fold(each)
        return self.call


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[AwayBench]:
    bench = AwayBench(tmp_path)
    async with watched_legs.running(bench.legs):
        yield bench


def late(uniqueid: str, seconds: float) -> BridgeEntered:
    """A channel that was found in a bridge."""
    return BridgeEntered(at=at(seconds), linkedid="1", uniqueid=uniqueid, bridge="B", late=True)


async def test_a_call_in_progress_goes_on_with_the_recorder_of_the_dialplan(bench: AwayBench) -> None:
    legs = bench.recorded()
    open_legs = [leg.open("ab") for leg in legs]
    for each in events(IN_CALL):
        bench.coordinator.take(each)
    for uniqueid in ("t", "p"):
        bench.coordinator.take(late(uniqueid, 7))
    assert await bench.done() == [], "no second recorder"
    assert (bench.stages, bench.waiting) == ([RecordingStage.RUNNING], 0)
    assert [(r.segment, r.user, r.started_at) for r in bench.recordings] == [("1_p_0", "152", at(1))]
    for leg in open_legs:
        leg.write(b"\0\0" * 16000)
        leg.close()
    assert await bench.take("8.0 end p\n8.0 end t") == []
    manifest = read_manifest(bench.spool.folder(ItemState.CLOSED) / "1_p_0")
    assert (manifest.user, manifest.started_at, manifest.talk_ms) == ("152", at(1), 7000)
    report = report_of(bench.call)
    assert (report.answered_at, report.talk_ms, [segment.reason for segment in report.segments]) == (at(1), 7000, [None])
    assert [(step.what, step.who) for step in report.path][1:3] == [("answer", "152"), ("record_by_pbx", "152")]


async def test_a_call_that_rings_starts_with_its_answer(bench: AwayBench) -> None:
    bench.recorded(talk_s=0)
    await bench.take(ENDED.replace("6 end p\n6 end t\n", ""))
    assert [(recording.segment, recording.started_at) for recording in bench.recordings] == [("1_p_0", at(1))]


async def test_a_call_from_the_journal_gets_what_the_dialplan_recorded_instead_of_the_gap(bench: AwayBench) -> None:
    legs = bench.recorded()
    bench.found(ENDED)
    decided = RecordingDecided(at=at(0.2), linkedid="1", uniqueid="p", user="152", decision=Decision(record=True), segment="1_p_1")
    bench.registry.take(decided)
    bench.registry.take(RecordingLost(at=at(6), linkedid="1", segment="1_p_1", reason=Reason.AGENT_WAS_DOWN))
    assert await bench.adopted(legs) == []
    assert [(r.segment, r.started_at, r.stage) for r in bench.recordings] == [("1_p_0", at(1), RecordingStage.CLOSED)]
    assert bench.folders(ItemState.CLOSED) == ["1_p_0"]
    assert read_manifest(bench.spool.folder(ItemState.CLOSED) / "1_p_0").talk_ms == 5000


async def test_the_name_of_an_asterisk_may_hold_characters_that_file_names_do_not(bench: AwayBench) -> None:
    """`systemname = pbx_1` in asterisk.conf begins each uniqueid."""
    legs = bench.recorded(uniqueid="pbx1-17.2")
    bench.found(ENDED.replace(" p ", " pbx_1-17.2 ").replace(" p\n", " pbx_1-17.2\n"))
    assert await bench.adopted(legs) == []
    assert (bench.stages, bench.folders(ItemState.CLOSED)) == ([RecordingStage.CLOSED], ["1_pbx_1-17-2_0"])


async def test_a_recorder_that_did_not_run_is_replaced(bench: AwayBench) -> None:
    bench.recorded()
    bench.found(ENDED.replace("6 end p\n6 end t\n", ""))
    decided = RecordingDecided(at=at(0.2), linkedid="1", uniqueid="p", user="152", decision=Decision(record=True), segment="1_p_1")
    call = bench.registry.take(decided)
    assert call is not None
    call = bench.coordinator.adopt(call, frozenset({"1_p_1"}))
    assert [(recording.segment, recording.stage) for recording in call.recordings] == [("1_p_0", RecordingStage.RUNNING)]


@pytest.mark.parametrize(
    ("phone", "way"),
    [("PJSIP/acme-130-2", "in"), ("PJSIP/acme-777-2", "in"), ("PJSIP/acme-600-2", "in"), ("PJSIP/gone-2", "in")],
    ids=["off", "on demand", "the other direction", "no user"],
)
async def test_a_user_who_is_not_recorded_leaves_no_audio(bench: AwayBench, phone: str, way: str) -> None:
    """The settings have changed since, or the dialplan did not know the direction of the call."""
    legs = bench.recorded(way=way)
    bench.found(ENDED.replace(PHONE, phone))
    await bench.adopted(legs)
    assert (bench.stages, bench.waiting, bench.folders(ItemState.RECORDING)) == ([RecordingStage.DONE], 0, [])
    assert report_of(bench.call).segments == ()


async def test_what_the_agent_itself_recorded_is_not_kept_twice(bench: AwayBench) -> None:
    await bench.take(ENDED.replace("6 end p\n6 end t\n", ""))
    legs = bench.recorded()
    assert await bench.adopted(legs) == ["stop PJSIP/acme-152-2 of the dialplan"], "the agent's recorder goes on"
    assert bench.stages == [RecordingStage.RUNNING, RecordingStage.DONE]
    assert (bench.waiting, bench.folders(ItemState.RECORDING)) == (0, ["1_p_1"])


async def test_a_pickup_moves_the_recorder(bench: AwayBench) -> None:
    bench.recorded()
    bench.found(
        IN_CALL + "0.2 ring t p acme-152\n0.5 start q PJSIP/acme-421-3 *8\n0.6 pick q p\n0.6 end p\n1 enter q B\n1 enter t B\n"
    )
    bench.coordinator.adopt(bench.call)
    assert [(r.uniqueid, r.user, r.segment) for r in bench.recordings] == [("q", "421", "1_p_0")]


async def test_files_wait_for_the_domain_of_their_call(bench: AwayBench) -> None:
    bench.use(Directory(settings=DomainSettings(version=0)))
    bench.recorded()
    await bench.take(IN_CALL)
    assert (bench.recordings, bench.waiting) == ([], 2)
    bench.use(DIRECTORY)
    assert [recording.segment for recording in bench.recordings] == ["1_p_0"]


async def test_files_that_somebody_deletes_meanwhile_are_no_failure(bench: AwayBench) -> None:
    for leg in bench.recorded():
        leg.unlink()
    await bench.take(IN_CALL)
    assert await bench.take("6 end p\n6 end t") == []
    assert bench.stages == [RecordingStage.DONE]
    (bench.spool.root / "away").rmdir()
    (bench.spool.root / "away").write_text("no folder")
    bench.coordinator.adopt_all()


async def test_an_agent_that_died_before_it_moved_the_files_moves_them_now(bench: AwayBench) -> None:
    legs = bench.recorded()
    contents = [leg.read_bytes() for leg in legs]
    await bench.take(IN_CALL)
    for leg, content in zip(legs, contents, strict=True):
        leg.write_bytes(content)
    for moved in (bench.spool.folder(ItemState.RECORDING) / "1_p_0").glob("*.wav"):
        moved.unlink()
    bench.coordinator.resume()
    assert await bench.done() == []
    assert (bench.stages, bench.waiting) == ([RecordingStage.RUNNING], 0)
    assert bench.lifecycle.has_legs("1_p_0")


async def test_no_second_recorder_if_the_heartbeat_does_not_reach_asterisk(bench: AwayBench) -> None:
    """The agent hears the events, but the dialplan has already started a recorder."""
    away = AwayFiles(bench.spool, Heartbeat(AmiDouble()))
    bench.away = bench.coordinator._away = away
    await bench.take(IN_CALL)
    bench.recorded(talk_s=0)
    bench.away._waiting.clear()
    assert await bench.take("0.2 ring t p acme-152") == []
    assert [recording.segment for recording in bench.recordings] == ["1_p_0"]


async def test_a_disk_below_the_floor_takes_what_the_dialplan_has_recorded(bench: AwayBench) -> None:
    """Its audio is on the disk already: to move it needs no space."""
    bench.lifecycle._floor = DiskFloor(folder=bench.spool.root, floor_bytes=10**18)
    legs = bench.recorded()
    bench.found(ENDED)
    assert await bench.adopted(legs) == []
    assert (bench.stages, bench.folders(ItemState.CLOSED)) == ([RecordingStage.CLOSED], ["1_p_0"])


async def test_legs_that_could_not_be_moved_are_moved_later(bench: AwayBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    bench.recorded()
    bench.found(IN_CALL)
    with monkeypatch.context() as full:
        full.setattr(bench.lifecycle, "take_over", refuse)
        bench.coordinator.adopt_all()
        assert await bench.take(ENDED.removeprefix(IN_CALL)) == []
        bench.coordinator.resume()  # a new agent finds the disk still full
    assert await bench.done() == []
    assert (bench.stages, bench.waiting) == ([RecordingStage.RUNNING], 2), "not lost"
    bench.coordinator.adopt_all()
    assert await bench.done() == []
    assert (bench.stages, bench.waiting, bench.folders(ItemState.CLOSED)) == ([RecordingStage.CLOSED], 0, ["1_p_0"])


async def test_an_ended_recording_is_passed_to_the_mixer_once(bench: AwayBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start both the adoption and the journal say that it has ended."""
    finished: list[str] = []
    finish = bench.lifecycle.finish

    def noted(call: Call, recording: Recording, *rest: Any) -> Any:
        finished.append(recording.segment)
        return finish(call, recording, *rest)

    monkeypatch.setattr(bench.lifecycle, "finish", noted)
    bench.recorded()
    bench.found(ENDED)
    bench.coordinator.resume()
    assert await bench.done() == []
    assert (finished, bench.stages) == (["1_p_0"], [RecordingStage.CLOSED])


async def test_an_error_in_an_adoption_does_not_stop_the_recorder_of_the_call(
    bench: AwayBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("p")

    monkeypatch.setattr(coordinator, "plan_adoption", fail)
    bench.recorded()
    assert await bench.take(IN_CALL + "0.2 ring t p acme-152") == [f"record {PHONE} b 1_p_1 .wav"]
