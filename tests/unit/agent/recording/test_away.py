"""What the dialplan is given to record by itself, and the files that it leaves."""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest
from structlog.testing import capture_logs

from agent.recording.away import FOLDER, Heartbeat, away_keys
from agent.recording.away_files import AwayFiles
from fonoteka.core.domains import Domain, DomainSettings, RecordRule, User
from fonoteka.core.errors import AmiTimeout
from fonoteka.core.spool import Spool
from tests.unit.agent.fixtures import AmiDouble
from tests.unit.agent.recording.test_lifecycle import write_leg

SPOOL = PurePosixPath("/in/asterisk")


def settings(rule: RecordRule, beep_every_s: int = 0) -> DomainSettings:
    user = User(login="a", name="a", extension="a", endpoints=("PJSIP/a", "SIP/a"), record=rule)
    domain = Domain(name="acme", country="RU", area_codes=(), users=(user,), numbers=(), beep_every_s=beep_every_s)
    return DomainSettings(version=1, domains=(domain,))


@pytest.mark.parametrize(
    ("rule", "ways"),
    [
        (RecordRule.ALL, ("in", "out")),
        (RecordRule.IN, ("in",)),
        (RecordRule.OUT, ("out",)),
        (RecordRule.OFF, ()),
        (RecordRule.ON_DEMAND, ()),
    ],
)
def test_a_user_recorded_in_a_direction_has_keys_for_it(rule: RecordRule, ways: tuple[str, ...]) -> None:
    keys = {f"away_{way}/{technology}/a": "b" for way in ways for technology in ("PJSIP", "SIP")}
    assert away_keys(settings(rule), SPOOL) == ({"away/folder": "/in/asterisk/away", **keys} if ways else {})


def test_the_dialplan_plays_the_beep_of_the_domain() -> None:
    assert away_keys(settings(RecordRule.IN, beep_every_s=15), SPOOL)["away_in/PJSIP/a"] == "bB(15)"


class AstDb(AmiDouble):
    """Takes one key; `down` is an Asterisk that does not answer."""

    def __init__(self) -> None:
        self.value, self.down = "", False

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str) -> Mapping[str, str]:
        assert (headers["Family"], headers["Key"]) == ("fonoteka", "heartbeat/at")
        if self.down:
            raise AmiTimeout("no answer")
        self.value = headers["Val"] if name == "DBPut" else ""
        return {}


async def test_the_heartbeat_is_fresh_once_asterisk_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    db = AstDb()
    heartbeat = Heartbeat(db)
    db.down = True
    with capture_logs() as logs:
        await heartbeat.beat()
    assert ([log["event"] for log in logs], heartbeat.fresh) == (["heartbeat.not_written"], False)
    db.down = False
    await heartbeat.beat()
    assert heartbeat.fresh
    assert abs(int(db.value) - time.time()) < 60
    later = time.monotonic() + 9
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not heartbeat.fresh, "the dialplan may record from ten seconds on"


async def test_a_heartbeat_after_a_clock_jump_is_not_fresh_until_the_next() -> None:
    heartbeat = Heartbeat(AstDb())
    await heartbeat.beat()
    heartbeat.doubt()
    assert not heartbeat.fresh, "the dialplan may have found it too old, or in the future"
    await heartbeat.beat()
    assert heartbeat.fresh


async def test_an_agent_that_ends_writes_no_heartbeat_after_the_last() -> None:
    """The task that beats still runs while Asterisk removes the time."""
    db = AstDb()
    heartbeat = Heartbeat(db)
    await heartbeat.beat()
    await heartbeat.stop()
    await heartbeat.beat()
    assert db.value == ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the legs, as the agent makes it."""
    Spool(tmp_path).prepare()
    AwayFiles(Spool(tmp_path)).prepare()
    return tmp_path / FOLDER


def write(folder: Path, name: str, *, samples: int = 8000, age_s: float = 0) -> None:
    write_leg(folder / name, samples)
    at = time.time() - age_s
    os.utime(folder / name, (at, at))


def test_legs_wait_for_the_channel_that_their_names_tell(folder: Path) -> None:
    write(folder, "171.1_171.2_0_in_employee.wav", age_s=2)
    write(folder, "171.1_171.2_0_in_outside.wav", age_s=2)
    write(folder, "pbx-1-171.8_pbx-1-171.8_0_out_outside.wav")
    files = AwayFiles(Spool(folder.parent))
    files.scan()
    (incoming,) = files.of_channels(["171.1", "171.2"])
    assert (incoming.linkedid, incoming.rung, set(incoming.legs)) == ("171.1", True, {"employee", "outside"})
    assert incoming.talk_began_at is not None
    assert (datetime.now(UTC) - incoming.talk_began_at).total_seconds() == pytest.approx(3, abs=1)
    (outgoing,) = files.of_channels(["pbx_-1-171.8"])
    assert (outgoing.uniqueid, outgoing.rung) == ("pbx-1-171.8", False)
    with capture_logs() as logs:
        files.log_waiting()
        files.log_waiting()
    assert [(log["event"], log["recordings"]) for log in logs] == [("away.waiting", 2)]
    files.taken(incoming)
    assert files.of_channels(["171.2"]) == []


def test_what_is_no_leg_of_the_dialplan_is_left_alone(folder: Path) -> None:
    names = ["171.1_171.2_0_in_employee.wav.tmp", "a b_171.2_0_in_employee.wav", "171.1_171.2_1_in_employee.wav"]
    for name in names:
        write(folder, name)
    (folder / "171.1_171.2_0_in_employee.wav").mkdir()
    (folder / "171.1_171.2_0_in_outside.wav").symlink_to(folder / names[0])
    files = AwayFiles(Spool(folder.parent))
    files.scan()
    assert files.of_channels(["171.2"]) == []
    assert len(list(folder.iterdir())) == 5


def test_legs_of_a_telephone_that_only_rang_are_removed_later(folder: Path) -> None:
    write(folder, "1.1_1.2_0_in_employee.wav", samples=0, age_s=700)
    write(folder, "1.1_1.2_0_in_outside.wav", samples=0, age_s=700)
    write(folder, "1.1_1.3_0_in_employee.wav", samples=0, age_s=500)
    write(folder, "1.1_1.4_0_in_employee.wav", samples=80, age_s=700)
    AwayFiles(Spool(folder.parent)).scan()
    assert sorted(leg.name for leg in folder.iterdir()) == ["1.1_1.3_0_in_employee.wav", "1.1_1.4_0_in_employee.wav"]


def test_without_the_folder_nothing_waits(tmp_path: Path) -> None:
    files = AwayFiles(Spool(tmp_path))
    files.scan()
    assert files.of_channels(["1"]) == []
