"""Effects as Asterisk sees them: which actions it gets for which events, with real files."""

import asyncio
import errno
import re
import shutil
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import pytest_asyncio
import time_machine

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, Recording, RecordingStage
from agent.calls.events import Held
from agent.recording import coordinator, recorder_tasks
from agent.recording.away_files import AwayFiles
from agent.recording.coordinator import RecordingCoordinator
from agent.recording.leg_watch import LegWatch
from agent.recording.lifecycle import RecordingLifecycle
from agent.recording.mixmonitor import MixMonitor
from agent.recording.plan import plan_known_domain
from agent.recording.rtp_restart import RtpRestarts
from agent.recording.wideband import CodecCheck
from agent.reporting.journal import Journal
from agent.reporting.settlement import CallSettlement
from agent.rules.directory import Directory
from fonoteka.core.call_report import MutedSpan, Reason
from fonoteka.core.domains import Domain, DomainSettings
from fonoteka.core.errors import AmiActionFailed, AmiTimeout
from fonoteka.core.manifest import Failure, read_manifest
from fonoteka.core.spool import ItemState, Spool
from tests.support import watched_legs
from tests.unit.agent.fixtures import ACME, DIRECTORY, AmiDouble, at, events
from tests.unit.agent.recording.test_lifecycle import write_leg

IN_ASTERISK = PurePosixPath("/in/asterisk")
PHONE, TRUNK = "PJSIP/acme-152-2", "PJSIP/trunk-1"
RINGING = f"""
    0.0 start t {TRUNK} 2458152 89131234567
    0.1 start p {PHONE} s
    0.2 ring t p acme-152
"""
TALKING = RINGING + "1.0 rung t p ANSWER\n1.0 enter p B\n1.0 enter t B\n"
ASKS_COLLEAGUE = "2.0 start q PJSIP/acme-421-3 s\n2.0 enter q C\n2.1 leave t B\n2.2 enter p C\n"
PICKED_UP = "0.5 start q PJSIP/acme-{}-3 *8\n0.6 pick q p\n0.6 end p\n"


class Asterisk(AmiDouble):
    """Notes the actions; a stopped recorder closes its leg files. `failures` are by channel."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.actions: list[str] = []
        self.failures: dict[str, Exception] = {}
        self.formats: dict[str, str] = {}
        self.legs: dict[str, list[Path]] = {}
        self.statistics = ""
        self.forgets_ids = False

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str) -> Mapping[str, str]:
        channel, variable = headers["Channel"], headers.get("Variable", "")
        if variable == "CHANNEL(audionativeformat)":
            return {"Value": self.formats.get(channel, "(alaw|ulaw)")}
        if variable == "FONOTEKA_RECORDER":
            return {"Value": "" if self.forgets_ids else f"id{len(self.legs)}"}
        if variable == "FONOTEKA_AWAY_RECORDER":
            return {"Value": "of the dialplan"}
        if name == "Getvar":
            return {"Value": self.statistics}
        if channel in self.failures:
            raise self.failures[channel]
        if name == "MixMonitor":
            paths = re.findall(rf"[rt]\({IN_ASTERISK}/(.*?)\)", headers["Options"])
            self.legs[f"id{len(self.legs) + 1}"] = [self._spool.root / path for path in paths]
            rates = {Path(path).suffix for path in paths}
            options = headers["Options"].partition("r(")[0]
            self.actions.append(f"record {channel} {options} {Path(paths[0]).parent.name} {''.join(rates)}")
        elif name == "StopMixMonitor":
            self.actions.append(f"stop {channel} {headers['MixMonitorID']}")
            self.close_legs(headers["MixMonitorID"])
        else:
            self.actions.append(f"{name} {channel} {headers['State']}")
        return {}

    def close_legs(self, recorder_id: str) -> None:
        for leg in self.legs.get(recorder_id, ()):
            write_leg(leg)


class Bench:
    """A coordinator on a spool of its own."""

    def __init__(self, root: Path) -> None:
        self.spool = Spool(root / "spool")
        self.spool.prepare()
        self.asterisk, self.legs = Asterisk(self.spool), LegWatch()
        self.registry = CallRegistry()
        self.settling = CallSettlement(self.registry, Journal(self.spool.calls), "pbx1")
        self.away = AwayFiles(self.spool)
        self.away.prepare()
        codecs = CodecCheck(self.asterisk)
        self.lifecycle = RecordingLifecycle(self.spool, self.legs, codecs)
        self._tasks: set[asyncio.Task[None]] = set()
        self.coordinator = RecordingCoordinator(
            self.registry,
            self.settling,
            MixMonitor(self.asterisk, IN_ASTERISK),
            self.lifecycle,
            codecs,
            RtpRestarts(self.asterisk),
            self.away,
            self._spawn,
        )
        self.use(DIRECTORY)

    def use(self, directory: Directory) -> None:
        self.settling.directory_changed(directory)
        self.coordinator.directory_changed(directory)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def take(self, table: str) -> list[str]:
        """Take events, wait for all that follows, and return the actions that Asterisk got."""
        for event in events(table):
            self.coordinator.take(event)
        return await self.done()

    async def done(self) -> list[str]:
        while self._tasks:
            tasks, self._tasks = self._tasks, set()
            await asyncio.gather(*tasks)
        actions, self.asterisk.actions = self.asterisk.actions, []
        return actions

    @property
    def call(self) -> Call:
        return self.registry.calls["1"]

    @property
    def recordings(self) -> list[Recording]:
        return [recording for recording in self.call.recordings if recording.segment]

    @property
    def stages(self) -> list[RecordingStage]:
        return [recording.stage for recording in self.recordings]

    def folders(self, state: ItemState) -> list[str]:
        return [folder.name for folder in self.spool.items(state)]


@pytest_asyncio.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(recorder_tasks, "LEGS_APPEAR_WITHIN_S", 0)
    bench = Bench(tmp_path)
    async with watched_legs.running(bench.legs):
        yield bench


def with_domain(domain: Domain) -> Directory:
    return Directory(settings=DomainSettings(version=2, domains=(domain,)))


async def test_a_ringing_telephone_gets_one_recorder_with_both_legs(bench: Bench) -> None:
    assert await bench.take(TALKING) == [f"record {PHONE} b 1_p_1 .wav"]
    assert bench.stages == [RecordingStage.RUNNING]
    assert bench.folders(ItemState.RECORDING) == ["1_p_1"]


async def test_the_beep_of_the_domain(bench: Bench) -> None:
    bench.use(with_domain(replace(ACME, beep_every_s=15)))
    assert await bench.take(RINGING) == [f"record {PHONE} bB(15) 1_p_1 .wav"]


@pytest.mark.parametrize("channel", [PHONE, TRUNK])
async def test_legs_are_wide_if_a_party_can_use_wideband(bench: Bench, channel: str) -> None:
    bench.asterisk.formats[channel] = "(alaw|g722)"
    assert await bench.take(RINGING) == [f"record {PHONE} b 1_p_1 .wav16"]


async def test_the_end_of_the_channel_closes_the_recording(bench: Bench) -> None:
    await bench.take(TALKING)
    bench.asterisk.close_legs("id1")
    assert await bench.take("6.0 end p") == []
    assert (bench.stages, bench.folders(ItemState.CLOSED)) == ([RecordingStage.CLOSED], ["1_p_1"])
    bench.coordinator.shipped(Path("1_p_1"), "1")
    assert bench.stages == [RecordingStage.DONE]


@pytest.mark.parametrize(("is_gone", "stage"), [(False, RecordingStage.CLOSED), (True, RecordingStage.DONE)])
async def test_a_call_that_was_left_to_the_journal_is_taken_up_as_at_a_start(
    bench: Bench, is_gone: bool, stage: RecordingStage
) -> None:
    """An earlier run has shipped the recording, and died before it could note that."""
    await bench.take(TALKING)
    bench.asterisk.close_legs("id1")
    await bench.take("6.0 end p\n6.0 end t")
    call = bench.call
    bench.registry.leave(call)
    if is_gone:
        shutil.rmtree(bench.spool.folder(ItemState.CLOSED) / "1_p_1")
    bench.registry.put(call)
    bench.coordinator.take_up(call)
    assert bench.stages == [stage]


async def test_a_refused_recording_is_lost(bench: Bench) -> None:
    bench.asterisk.failures[PHONE] = AmiActionFailed("No such channel")
    assert await bench.take(RINGING) == []
    assert [(recording.stage, recording.reason) for recording in bench.recordings] == [
        (RecordingStage.LOST, Reason.ASTERISK_FAILED)
    ]
    assert bench.folders(ItemState.RECORDING) == []


async def test_an_action_without_an_answer_is_no_refusal(bench: Bench) -> None:
    bench.asterisk.failures[PHONE] = AmiTimeout("late")
    await bench.take(RINGING)
    assert (bench.stages, bench.folders(ItemState.RECORDING)) == ([RecordingStage.RUNNING], ["1_p_1"])
    bench.asterisk.failures.clear()
    bench.coordinator.link_up()
    assert await bench.done() == [f"record {PHONE} b 1_p_1 .wav"], "there are no legs: Asterisk never got it"
    write_leg(bench.asterisk.legs["id1"][0])
    bench.coordinator.link_up()
    assert await bench.done() == []


async def test_a_call_that_was_picked_up_before_its_recorder_started_is_recorded_there(bench: Bench) -> None:
    bench.asterisk.failures[PHONE] = AmiActionFailed("No such channel")
    assert await bench.take(RINGING + PICKED_UP.format("421")) == ["record PJSIP/acme-421-3 b 1_p_1 .wav"]
    assert [(recording.user, recording.stage) for recording in bench.recordings] == [("421", RecordingStage.RUNNING)]


async def test_the_recorder_of_a_picked_up_call_is_discarded_for_a_user_who_is_not_recorded(bench: Bench) -> None:
    await bench.take(RINGING)
    assert await bench.take(PICKED_UP.format("130")) == ["stop PJSIP/acme-130-3 id1"]
    assert (bench.stages, bench.folders(ItemState.RECORDING)) == ([RecordingStage.DONE], [])


async def test_a_recorder_is_restarted_when_its_channel_talks_with_another_party(bench: Bench) -> None:
    await bench.take(TALKING)
    assert await bench.take(ASKS_COLLEAGUE) == [f"stop {PHONE} id1", f"record {PHONE} b 1_p_2 .wav"]
    assert bench.stages == [RecordingStage.CLOSED, RecordingStage.RUNNING]


async def test_a_new_rtp_stream_after_a_hold_restarts_the_recorder(bench: Bench) -> None:
    """The talk stays in its bridge: its length and the open pause are those at the restart."""
    await bench.take(TALKING)
    for on, seconds, source in ((True, 3.0, 7), (False, 4.0, 9)):
        bench.asterisk.statistics = f"themssrc={source};rxcount={source}"
        with time_machine.travel(at(seconds), tick=False):
            if on:
                await bench.coordinator.mute(bench.call, bench.recordings[0], muted=True)
            bench.coordinator.take(Held(at=at(seconds), linkedid="1", uniqueid="p", on=on))
            actions = await bench.done()
    assert [action.split()[0] for action in actions] == ["stop", "record", "MixMonitorMute"]
    manifest = read_manifest(bench.spool.folder(ItemState.CLOSED) / "1_p_1")
    assert (manifest.talk_ms, manifest.muted) == (3000, (MutedSpan(from_ms=2000, to_ms=3000),))


async def test_a_restarted_recorder_stays_paused(bench: Bench) -> None:
    await bench.take(TALKING)
    await bench.coordinator.mute(bench.call, bench.recordings[0], muted=True)
    assert await bench.take(ASKS_COLLEAGUE) == [
        f"MixMonitorMute {PHONE} 1",
        f"stop {PHONE} id1",
        f"record {PHONE} b 1_p_2 .wav",
        f"MixMonitorMute {PHONE} 1",
    ]


async def test_a_recorder_of_unknown_id_is_not_restarted(bench: Bench) -> None:
    bench.asterisk.forgets_ids = True
    await bench.take(TALKING)
    assert await bench.take(ASKS_COLLEAGUE) == []
    assert bench.stages == [RecordingStage.RUNNING]


async def test_a_full_disk_loses_the_next_recording_and_keeps_the_one_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.take(TALKING)

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bench.lifecycle, "prepare", full)
    assert await bench.take(ASKS_COLLEAGUE) == [f"stop {PHONE} id1"]
    assert [(recording.stage, recording.reason) for recording in bench.recordings] == [
        (RecordingStage.CLOSED, None),
        (RecordingStage.LOST, Reason.DISK_FULL),
        (RecordingStage.LOST, Reason.DISK_FULL),  # the colleague's
    ]


async def test_a_domain_that_becomes_known_is_recorded_from_then_on(bench: Bench) -> None:
    bench.use(Directory(settings=DomainSettings(version=2)))
    assert await bench.take(TALKING) == []
    bench.use(DIRECTORY)
    assert await bench.done() == [f"record {PHONE} b 1_p_2 .wav"]
    assert [(recording.stage, recording.reason) for recording in bench.recordings] == [
        (RecordingStage.LOST, Reason.AGENT_WAS_DOWN),
        (RecordingStage.RUNNING, None),
    ]


async def test_another_agent_takes_up_the_recorder_that_still_runs(bench: Bench, tmp_path: Path) -> None:
    await bench.take(TALKING)
    write_leg(bench.asterisk.legs["id1"][0])
    next_run = Bench(tmp_path)
    next_run.registry = bench.registry
    next_run.asterisk.legs = bench.asterisk.legs
    again = RecordingCoordinator(
        bench.registry,
        next_run.settling,
        MixMonitor(next_run.asterisk, IN_ASTERISK),
        next_run.lifecycle,
        CodecCheck(next_run.asterisk),
        RtpRestarts(next_run.asterisk),
        next_run.away,
        next_run._spawn,
    )
    next_run.coordinator = again
    next_run.settling.directory_changed(DIRECTORY)
    again.directory = DIRECTORY
    again.resume()
    again.link_up()
    assert await next_run.done() == []
    assert await next_run.take(ASKS_COLLEAGUE) == [f"stop {PHONE} id1", f"record {PHONE} b 1_p_2 .wav"]


async def test_a_call_that_fails_does_not_stop_the_next(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(bench.settling, "changed", fails)
        await bench.take("0.0 start x PJSIP/trunk-9 2458152 8913")
    assert await bench.take(TALKING) == [f"record {PHONE} b 1_p_1 .wav"]


async def test_audio_that_the_store_refused_as_a_second_one_loses_no_recording(bench: Bench) -> None:
    """The agent starts again, and finds it in `rejected/`: the store has the first audio."""
    await bench.take(TALKING)
    folder, failure = bench.spool.folder(ItemState.REJECTED) / "1_p_1", Failure(reason=Reason.AUDIO_DAMAGED, detail="stored")
    bench.coordinator.shipped(folder, "1")
    bench.coordinator.rejected(folder, failure)
    assert [(recording.stage, recording.reason) for recording in bench.recordings] == [(RecordingStage.DONE, None)]


async def test_an_error_in_one_call_stops_neither_the_settings_nor_the_other_calls(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy of the settings and the gaps in the journal come after the calls."""
    bench.use(Directory(settings=DomainSettings(version=0)))
    await bench.take(f"0.0 start t PJSIP/trunk-1 2458152 89131234567\n0.1 start p {PHONE}\n0.2 ring t p acme-152")
    bad = replace(bench.call, linkedid="0", channels={})
    bench.registry.calls = {"0": bad, **bench.registry.calls}

    def plan(call: Call, *rest: Any) -> Any:
        if call.linkedid == "0":
            raise KeyError("p")
        return plan_known_domain(call, *rest)

    monkeypatch.setattr(coordinator, "plan_known_domain", plan)
    bench.use(DIRECTORY)
    assert await bench.done() == [f"record {PHONE} b 1_p_1 .wav"]
