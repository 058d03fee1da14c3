"""A recording's life on the agent's side, with real files and the real kernel; only Asterisk is played by the test."""

import asyncio
import shutil
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
import pytest_asyncio

from agent.calls.call_state import Call, Channel, Recording, RecordingStage
from agent.calls.events import Event, RecordingClosed, RecordingDone, RecordingLost
from agent.recording.leg_files import EMPLOYEE, OUTSIDE, leg_name
from agent.recording.leg_watch import LegWatch
from agent.recording.lifecycle import RecordingLifecycle, manifest
from agent.recording.mixmonitor import MixMonitor
from fonoteka.core.call_report import Decision, Reason
from fonoteka.core.errors import AmiActionFailed, AmiTimeout, ConfigurationError
from fonoteka.core.manifest import read_manifest
from fonoteka.core.spool import ItemState, Spool
from tests.unit.agent.fixtures import at, played, told

SEGMENT = "1_p_1"
EMPLOYEE_LEG, OUTSIDE_LEG = leg_name(EMPLOYEE), leg_name(OUTSIDE)
LEGS = (EMPLOYEE_LEG, OUTSIDE_LEG)
CALL: Call = played("0.0 start t PJSIP/trunk-1 2458152 89131234567\n0.1 start p PJSIP/acme-152-2 s\n0.1 ring t p acme-152")
RECORDING = Recording(
    uniqueid="p", user="152", decision=Decision(record=True), segment=SEGMENT, stage=RecordingStage.RUNNING, reason=None
)


class FakeAmi:
    """Asterisk's side of an action; the real one is tried in tests/pbx."""

    def __init__(self) -> None:
        self.actions: list[tuple[str, dict[str, str]]] = []
        self.fails: Exception | None = None
        self.formats: dict[str, str] = {}
        self.asked = 0

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str) -> Mapping[str, str]:
        if headers.get("Variable", "").startswith("CHANNEL("):
            self.asked += 1
            if (formats := self.formats.get(headers["Channel"], "(alaw|ulaw)")) == "":
                raise AmiActionFailed("No such channel")
            return {"Value": formats}
        self.actions.append((name, headers))
        if self.fails is not None:
            raise self.fails
        return {"Value": "0x7f00"}


class Bench:
    """Recordings on a spool of their own, and what they told."""

    def __init__(self, folder: Path) -> None:
        self.spool = Spool(folder / "spool")
        self.spool.prepare()
        self.ami, self.legs, self.told = FakeAmi(), LegWatch(), list[Event]()
        recorder = MixMonitor(self.ami, PurePosixPath("/in/asterisk"))
        self.recordings = RecordingLifecycle(self.spool, recorder, self.legs, self.told.append)
        self.item = self.spool.folder(ItemState.RECORDING) / SEGMENT

    def prepare(self) -> None:
        self.recordings.prepare(manifest(SEGMENT, "152", at(0.1), 0, told(CALL)))

    async def finish(self, *, talked: bool = True) -> None:
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
        shown = told(CALL)
        await self.recordings.finish(CALL, recording, channel, shown)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    watching = asyncio.create_task(bench.legs.run())
    yield bench
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    bench.legs.close()


def write_leg(path: Path, samples: int = 800) -> None:
    with wave.open(str(path), "wb") as leg:
        leg.setnchannels(1)
        leg.setsampwidth(2)
        leg.setframerate(8000)
        leg.writeframes(b"\0\0" * samples)


async def test_asterisk_is_told_once_with_both_legs(bench: Bench) -> None:
    bench.prepare()
    await bench.recordings.start(CALL, CALL.channels["p"], SEGMENT)
    folder = f"/in/asterisk/recording/{SEGMENT}"
    options = f"br({folder}/{EMPLOYEE_LEG})t({folder}/{OUTSIDE_LEG})i(FONOTEKA_RECORDER)"
    assert bench.ami.actions == [
        ("MixMonitor", {"Channel": "PJSIP/acme-152-2", "Options": options}),
        ("Getvar", {"Channel": "PJSIP/acme-152-2", "Variable": "FONOTEKA_RECORDER"}),
    ]


async def test_the_beep_is_asked_for_where_the_company_wants_one(bench: Bench) -> None:
    bench.prepare()
    await bench.recordings.start(CALL, CALL.channels["p"], SEGMENT, beep_every_s=15)
    assert bench.ami.actions[0][1]["Options"].startswith("bB(15)r(")


@pytest.mark.parametrize("wide", ["PJSIP/trunk-1", "PJSIP/acme-152-2"])
async def test_legs_are_wide_where_a_party_can_talk_wideband(bench: Bench, wide: str) -> None:
    bench.ami.formats[wide] = "(alaw|g722)"
    bench.prepare()
    await bench.recordings.start(CALL, CALL.channels["p"], SEGMENT)
    folder = f"/in/asterisk/recording/{SEGMENT}"
    assert bench.ami.actions[0][1]["Options"].startswith(f"br({folder}/employee.wav16)t({folder}/outside.wav16)i(")
    for leg in ("employee.wav16", "outside.wav16"):
        write_leg(bench.item / leg, samples=16000)
    assert bench.recordings.has_legs(SEGMENT)
    await bench.finish(talked=False)
    paper = read_manifest(bench.spool.folder(ItemState.CLOSED) / SEGMENT)
    assert (paper.employee_leg, paper.outside_leg, paper.talk_ms) == ("employee.wav16", "outside.wav16", 1000)


TALKING = played("0.0 start t PJSIP/trunk-1 2458152 89131234567\n0.1 start p PJSIP/acme-152-2 s\n1.0 enter t b\n1.0 enter p b")
SAID = [
    ([{}], 8000),
    ([{"PJSIP/trunk-1": "(g722)"}], 16000),
    ([{"PJSIP/acme-152-2": "(g722)"}, {}], 16000),  # with whom they talk next tells nothing of what was
    ([{"PJSIP/trunk-1": ""}], None),
    ([], None),
]


@pytest.mark.parametrize(("said", "talked_hz"), SAID)
async def test_the_manifest_says_what_was_talked(bench: Bench, said: list[dict[str, str]], talked_hz: int | None) -> None:
    bench.prepare()
    for formats in said:
        bench.ami.formats = formats
        await bench.recordings.listen(replace(TALKING, recordings=(RECORDING,)))
    await bench.recordings.listen(replace(CALL, recordings=(RECORDING,)))  # they do not talk
    for leg in LEGS:
        write_leg(bench.item / leg)
    await bench.finish()
    assert read_manifest(bench.spool.folder(ItemState.CLOSED) / SEGMENT).talked_hz == talked_hz


@pytest.mark.parametrize(("formats", "asks"), [({}, False), ({"PJSIP/trunk-1": "(g722|alaw)"}, True)])
async def test_what_is_talked_is_asked_of_wideband_legs_alone(bench: Bench, formats: dict[str, str], asks: bool) -> None:
    bench.prepare()
    bench.ami.formats = formats
    assert await bench.recordings.start(TALKING, TALKING.channels["p"], SEGMENT)
    before = bench.ami.asked
    await bench.recordings.listen(replace(TALKING, recordings=(RECORDING,)))
    assert (bench.ami.asked > before) == asks


async def test_only_a_recorder_whose_id_is_known_is_stopped(bench: Bench) -> None:
    bench.prepare()
    assert not bench.recordings.can_stop(SEGMENT)
    await bench.recordings.start(CALL, CALL.channels["p"], SEGMENT)
    assert bench.recordings.can_stop(SEGMENT)
    await bench.recordings.stop(CALL.channels["p"], SEGMENT)
    assert bench.ami.actions[-1] == ("StopMixMonitor", {"Channel": "PJSIP/acme-152-2", "MixMonitorID": "0x7f00"})


async def test_legs_go_to_the_mixer_once_both_are_closed(bench: Bench) -> None:
    bench.prepare()
    write_leg(bench.item / EMPLOYEE_LEG)
    finishing = asyncio.create_task(bench.finish())
    await asyncio.sleep(0.1)
    assert not finishing.done(), "one leg is not both"
    write_leg(bench.item / OUTSIDE_LEG)
    await asyncio.wait_for(finishing, 1.0)
    closed = bench.spool.folder(ItemState.CLOSED) / SEGMENT
    manifest = read_manifest(closed)
    assert (manifest.name, manifest.user, manifest.talk_ms, manifest.started_at) == (SEGMENT, "152", 5000, at(1))
    assert {path.name for path in closed.iterdir()} == {*LEGS, "manifest.json"}
    assert [type(event) for event in bench.told] == [RecordingClosed]


async def test_a_phone_that_only_rang_leaves_nothing(bench: Bench) -> None:
    bench.prepare()
    for leg in LEGS:
        write_leg(bench.item / leg, samples=0)
    await bench.finish(talked=False)
    assert not list(bench.spool.root.glob("*/*"))
    assert [type(event) for event in bench.told] == [RecordingDone]


async def test_audio_is_kept_even_where_no_talk_was_heard_of(bench: Bench) -> None:
    bench.prepare()
    for leg in LEGS:
        write_leg(bench.item / leg, samples=8000)
    await bench.finish(talked=False)
    paper = read_manifest(bench.spool.folder(ItemState.CLOSED) / SEGMENT)
    assert paper.talk_ms == 1000
    (closed,) = bench.told
    assert isinstance(closed, RecordingClosed)
    assert closed.started_at == paper.started_at


async def test_empty_legs_of_a_talk_are_told(bench: Bench) -> None:
    bench.prepare()
    for leg in LEGS:
        write_leg(bench.item / leg, samples=0)
    await bench.finish()
    assert [(type(event), getattr(event, "reason", None)) for event in bench.told] == [(RecordingLost, Reason.NO_AUDIO)]


async def test_a_discarded_recording_leaves_nothing(bench: Bench) -> None:
    bench.prepare()
    for leg in LEGS:
        write_leg(bench.item / leg)
    await bench.recordings.discard(CALL, RECORDING, CALL.channels["p"])
    assert not bench.item.exists()
    assert [type(event) for event in bench.told] == [RecordingDone]


async def test_what_went_on_already_is_not_lost(bench: Bench) -> None:
    (bench.spool.folder(ItemState.MIXED) / SEGMENT).mkdir()
    await bench.finish()
    assert [type(event) for event in bench.told] == [RecordingClosed]


async def test_an_orphan_is_handed_over_by_its_first_manifest(bench: Bench) -> None:
    bench.prepare()
    for leg in LEGS:
        write_leg(bench.item / leg)
        (bench.item / leg).rename(bench.item / f"{leg}16")
    assert bench.recordings.orphans(frozenset()) == [bench.item]
    assert bench.recordings.orphans(frozenset({SEGMENT})) == []
    await bench.recordings.take_up(bench.item)
    paper = read_manifest(bench.spool.folder(ItemState.CLOSED) / SEGMENT)
    assert (paper.user, paper.employee_leg) == ("152", "employee.wav16"), "the manifest it was begun with could not know the rate"


async def test_a_missed_close_is_made_up_for_by_quiet(bench: Bench) -> None:
    for leg in LEGS:
        bench.item.mkdir(exist_ok=True)
        write_leg(bench.item / leg)
    assert not await bench.legs.complete(bench.item, quiet_s=0.2), "no close was seen"


async def test_no_legs_at_all_is_told(bench: Bench) -> None:
    bench.prepare()
    shutil.rmtree(bench.item)
    await bench.finish()
    assert [(type(event), getattr(event, "reason", None)) for event in bench.told] == [(RecordingLost, Reason.ASTERISK_FAILED)]


@pytest.mark.parametrize(("failure", "may_be"), [(AmiActionFailed("No such channel"), False), (AmiTimeout("late"), True)])
async def test_a_refusal_is_sure_and_a_doubt_waits_for_the_files(bench: Bench, failure: Exception, may_be: bool) -> None:
    bench.prepare()
    bench.ami.fails = failure
    assert await bench.recordings.start(CALL, CALL.channels["p"], SEGMENT) is may_be
    assert (bench.told, bench.item.is_dir()) == ([], True)


async def test_what_was_refused_is_given_up_and_told(bench: Bench) -> None:
    bench.prepare()
    bench.recordings.refused(CALL, SEGMENT)
    assert [(type(event), getattr(event, "reason", None)) for event in bench.told] == [(RecordingLost, Reason.ASTERISK_FAILED)]
    assert not bench.item.exists()


@pytest.mark.parametrize("spool", ["relative", "/with space", "/with,comma", "/with(paren", "/кириллица"])
def test_a_spool_path_that_could_break_the_options_is_refused(spool: str) -> None:
    with pytest.raises(ConfigurationError, match="spool_in_asterisk"):
        MixMonitor(FakeAmi(), PurePosixPath(spool))
