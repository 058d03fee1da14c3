"""The folder of a recording from preparation to hand-over, with real files and the real kernel."""

import asyncio
import os
import shutil
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from agent.calls.call_state import Call, Channel, Recording, RecordingStage
from agent.calls.events import RecordingClosed, RecordingDone, RecordingEvent, RecordingLost
from agent.recording import lifecycle
from agent.recording.leg_files import EMPLOYEE, OUTSIDE, leg_name
from agent.recording.leg_watch import LegWatch
from agent.recording.lifecycle import RecordingLifecycle
from agent.recording.manifest import make_manifest
from agent.recording.wideband import CodecCheck
from fonoteka.core.call_report import Decision, Reason
from fonoteka.core.errors import SpoolError
from fonoteka.core.manifest import read_manifest
from fonoteka.core.spool import ItemState, Spool
from tests.support import watched_legs
from tests.support.eventually import eventually
from tests.unit.agent.fixtures import AmiDouble, at, played, report_of

SEGMENT = "1_p_1"
EMPLOYEE_LEG, OUTSIDE_LEG = leg_name(EMPLOYEE), leg_name(OUTSIDE)
LEGS = (EMPLOYEE_LEG, OUTSIDE_LEG)
CALL: Call = played("0.0 start t PJSIP/trunk-1 2458152 89131234567\n0.1 start p PJSIP/acme-152-2 s\n0.1 ring t p acme-152")
RECORDING = Recording(
    uniqueid="p", user="152", decision=Decision(record=True), segment=SEGMENT, stage=RecordingStage.RUNNING, reason=None
)


class Bench:
    """A spool of its own with one recording."""

    def __init__(self, root: Path) -> None:
        self.spool = Spool(root / "spool")
        self.spool.prepare()
        self.legs = LegWatch()
        self.recordings = RecordingLifecycle(self.spool, self.legs, CodecCheck(AmiDouble()))
        self.folder = self.spool.folder(ItemState.RECORDING) / SEGMENT
        self.closed = self.spool.folder(ItemState.CLOSED) / SEGMENT

    def prepare(self, *legs: str, samples: int = 800) -> None:
        """Prepare the recording and write these legs."""
        self.recordings.prepare(make_manifest(SEGMENT, "152", at(0.1), 0, report_of(CALL)))
        for leg in legs:
            write_leg(self.folder / leg, samples)

    async def finish(self, *, talked: bool = True, domain: bool = True) -> tuple[type[RecordingEvent], Reason | None]:
        """Finish the recording. Returns the type and the reason of the final event."""
        recording = replace(RECORDING, started_at=at(1) if talked else None)
        channel = Channel(
            uniqueid="p",
            name="PJSIP/acme-152-2",
            exten="s",
            caller_num="",
            caller_name="",
            started_at=at(0.1),
            ended_at=at(6),
            first_bridged_at=at(1) if talked else None,
            bridged_ms=5000 if talked else 0,
        )
        event = await self.recordings.finish(CALL, recording, channel, report_of(CALL) if domain else None)
        if isinstance(event, RecordingClosed):
            assert event.started_at == recording.started_at or not talked
        return type(event), event.reason if isinstance(event, RecordingLost) else None


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    async with watched_legs.running(bench.legs):
        yield bench


def write_leg(path: Path, samples: int = 800) -> None:
    with wave.open(str(path), "wb") as leg:
        leg.setnchannels(1)
        leg.setsampwidth(2)
        leg.setframerate(8000)
        leg.writeframes(b"\0\0" * samples)


async def test_finished_legs_are_passed_to_the_mixer(bench: Bench) -> None:
    bench.prepare(*LEGS)
    assert await bench.finish() == (RecordingClosed, None)
    manifest = read_manifest(bench.closed)
    assert (manifest.name, manifest.user, manifest.talk_ms, manifest.started_at) == (SEGMENT, "152", 5000, at(1))
    assert (manifest.employee_leg, manifest.outside_leg) == LEGS
    assert {path.name for path in bench.closed.iterdir()} == {*LEGS, "manifest.json"}


async def test_a_fifo_in_place_of_a_leg_is_not_opened(bench: Bench) -> None:
    """The mixer sets such a recording aside."""
    bench.prepare(EMPLOYEE_LEG)
    os.mkfifo(bench.folder / OUTSIDE_LEG)
    for quiet in (bench.folder / EMPLOYEE_LEG, bench.folder):
        os.utime(quiet, (0, 0))
    assert await bench.finish() == (RecordingClosed, None)
    assert (bench.closed / read_manifest(bench.closed).outside_leg).is_fifo()


async def test_one_closed_leg_is_not_both(bench: Bench) -> None:
    bench.prepare()
    waiting = asyncio.create_task(bench.legs.complete(bench.folder, quiet_s=60))
    write_leg(bench.folder / EMPLOYEE_LEG)
    await kernel_events_read(bench)
    assert not waiting.done()
    write_leg(bench.folder / OUTSIDE_LEG)
    assert await waiting


async def kernel_events_read(bench: Bench) -> None:
    """Wait until all earlier kernel events were read: they are delivered in order."""
    for name in ("later", "latest"):
        folder = bench.folder.with_name(name)
        folder.mkdir()
        bench.legs.add(folder)
        waiting = asyncio.create_task(bench.legs.complete(folder, quiet_s=60))
        for leg in LEGS:
            write_leg(folder / leg)
        await waiting


async def test_a_missed_close_event_is_replaced_by_a_quiet_time(bench: Bench) -> None:
    bench.folder.mkdir()
    for leg in LEGS:
        write_leg(bench.folder / leg)
    assert not await bench.legs.complete(bench.folder, quiet_s=0.2), "the folder was not watched"


async def test_a_telephone_that_only_rang_leaves_nothing(bench: Bench) -> None:
    bench.prepare(*LEGS, samples=0)
    assert await bench.finish(talked=False) == (RecordingDone, None)
    assert not list(bench.spool.root.glob("*/*"))


async def test_wideband_audio_is_kept_even_without_events_of_a_talk(bench: Bench) -> None:
    wide = (leg_name(EMPLOYEE, wide=True), leg_name(OUTSIDE, wide=True))
    bench.prepare(*wide, samples=16000)
    assert await bench.finish(talked=False) == (RecordingClosed, None)
    manifest = read_manifest(bench.closed)
    assert (manifest.employee_leg, manifest.outside_leg, manifest.talk_ms) == (*wide, 1000)


@pytest.mark.parametrize(("legs", "reason"), [(LEGS, Reason.NO_AUDIO), ((), Reason.ASTERISK_FAILED)], ids=["empty legs", "no legs"])
async def test_a_talk_without_audio_is_lost(bench: Bench, legs: tuple[str, ...], reason: Reason) -> None:
    bench.prepare(*legs, samples=0)
    if not legs:
        shutil.rmtree(bench.folder)
    assert await bench.finish() == (RecordingLost, reason)


async def test_an_agent_that_died_before_it_asked_for_the_recorder_was_down(bench: Bench) -> None:
    bench.prepare()
    bench.recordings.watch(SEGMENT)
    assert await bench.finish() == (RecordingLost, Reason.AGENT_WAS_DOWN)


async def test_a_discarded_recording_leaves_nothing(bench: Bench) -> None:
    bench.prepare(*LEGS)
    assert isinstance(await bench.recordings.discard(CALL, SEGMENT), RecordingDone)
    assert not bench.folder.exists()


async def test_a_refused_recording_leaves_nothing(bench: Bench) -> None:
    bench.prepare()
    event = bench.recordings.give_up(CALL, SEGMENT)
    assert isinstance(event, RecordingLost) and event.reason is Reason.ASTERISK_FAILED
    assert not bench.folder.exists()


async def test_a_recording_that_was_already_passed_to_the_mixer_is_not_lost(bench: Bench) -> None:
    (bench.spool.folder(ItemState.MIXED) / SEGMENT).mkdir()
    assert await bench.finish() == (RecordingClosed, None)


async def test_an_orphan_whose_manifest_is_cut_off_goes_to_the_mixer_which_sets_it_aside(bench: Bench) -> None:
    bench.prepare(*LEGS)
    os.truncate(bench.folder / "manifest.json", 100)
    await bench.recordings.take_up(bench.folder)
    with pytest.raises(SpoolError, match=r"manifest\.json"):
        read_manifest(bench.closed)
    assert {path.name for path in bench.closed.iterdir()} == {*LEGS, "manifest.json"}


async def test_an_orphan_that_the_disk_refuses_is_tried_again_and_ends_no_agent(bench: Bench) -> None:
    """A folder of the same name is in its way, until it is removed."""
    bench.prepare(*LEGS)
    (bench.closed / "full").mkdir(parents=True)
    with capture_logs() as logs:
        taking = asyncio.create_task(bench.recordings.take_up(bench.folder))
        await eventually(lambda: any(line["event"] == "orphan.not_handed_over" for line in logs))
    shutil.rmtree(bench.closed)
    await taking
    assert read_manifest(bench.closed).name == SEGMENT


async def test_a_cut_off_manifest_ends_no_agent_that_knows_no_domain(bench: Bench) -> None:
    """After a crash of the machine the copy of the settings may be cut off, too."""
    bench.prepare(*LEGS)
    os.truncate(bench.folder / "manifest.json", 100)
    assert await bench.finish(domain=False) == (RecordingClosed, None)
    assert {path.name for path in bench.closed.iterdir()} == {*LEGS, "manifest.json"}


async def test_an_orphan_is_passed_to_the_mixer_with_its_first_manifest(bench: Bench) -> None:
    bench.prepare(*LEGS)
    for leg in LEGS:
        (bench.folder / leg).rename(bench.folder / f"{leg}16")
    assert bench.recordings.orphans(frozenset()) == [bench.folder]
    assert bench.recordings.orphans(frozenset({SEGMENT})) == []
    await bench.recordings.take_up(bench.folder)
    manifest = read_manifest(bench.closed)
    assert (manifest.user, manifest.employee_leg) == ("152", "employee.wav16"), "the first manifest does not know the rate"


async def test_a_folder_that_leaves_while_its_times_are_read_is_no_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread passes it to the mixer; the calls are compared after a login meanwhile."""
    gone = {EMPLOYEE: bench.folder / EMPLOYEE_LEG}
    monkeypatch.setattr(lifecycle, "legs_in", lambda _: gone)
    assert bench.recordings.last_written(replace(CALL, recordings=(RECORDING,))) is None
