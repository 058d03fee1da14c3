"""The kit on the real Asterisk: every file of asterisk_conf is loaded and has its effect."""

import csv
import re
from pathlib import Path

import asterisk_conf
from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness
from lab.scenarios.steps import CALLER, answered
from lab.sip.handset import TRUNK, handset
from tests.support.eventually import eventually

KIT = Path(asterisk_conf.__file__).parent
COLUMNS = (
    "event",
    "time",
    "linkedid",
    "uniqueid",
    "channel",
    "number",
    "name",
    "dialled",
    "context",
    "application",
    "peer",
    "extra",
    "arguments",
    "account",
)
HOSTILE = 'a "q", ;$(id) Пётр'


def test_every_file_of_the_kit_is_loaded_by_the_lab(pbx: LabAsterisk) -> None:
    files = [path.relative_to(KIT) for path in KIT.glob("**/*.conf")]
    assert len(files) >= 4
    log = pbx.log_path.read_text(encoding="utf-8", errors="replace")
    for file in files:
        assert (pbx.folder / "etc" / file).exists()
        complaints = [line for line in log.splitlines() if re.search(rf"(WARNING|ERROR).*{re.escape(file.name)}", line)]
        assert complaints == []
    assert "Failed to process CEL configuration" not in log


async def test_the_journal_has_every_event_of_a_call(pbx: LabAsterisk) -> None:
    assert "CEL Logging: Enabled" in await pbx.cli("cel show status")
    journal = pbx.folder / "log" / "cel-custom" / "fonoteka.csv"
    before = len(rows(journal))
    async with handset(pbx, TRUNK) as outside, handset(pbx, "152") as desk:
        there, here = await answered(outside, "2458152", desk, user=CALLER, name=HOSTILE)
        await there.hang_up()
        await here.over()
    await eventually(lambda: [row["event"] for row in rows(journal)[before:]][-1:] == ["LINKEDID_END"])
    written = rows(journal)[before:]
    assert {row["event"] for row in written} >= {"CHAN_START", "ANSWER", "BRIDGE_ENTER", "BRIDGE_EXIT", "HANGUP", "CHAN_END"}
    assert len({row["linkedid"] for row in written}) == 1
    assert re.fullmatch(r"\d{10}\.\d{6}", written[0]["time"]), "seconds since 1970, whatever the time zone"
    assert (written[0]["number"], written[0]["dialled"]) == (CALLER, "2458152")
    assert written[0]["name"].replace("\\", "") == HOSTILE


# manager.conf as FreePBX has it (freepbx.md), and what is appended to the one file it leaves alone.
FREEPBX = """[general]
enabled = yes
port = {port}
bindaddr = 0.0.0.0
displayconnects = no
#include manager_additional.conf
#include manager_custom.conf
"""
CUSTOM = "[general](+)\nbindaddr = {address}\ntimestampevents = yes\n\n"


async def test_the_account_serves_in_files_named_as_freepbx_has_them(spare_pbx: LabAsterisk) -> None:
    pbx, etc = spare_pbx, spare_pbx.folder / "etc"
    before = (etc / "manager.conf").read_text(encoding="utf-8")
    account = (etc / "manager.d" / "fonoteka.conf").read_text(encoding="utf-8")
    address, port = pbx.ami
    (etc / "manager_custom.conf").write_text(CUSTOM.format(address=address) + account, encoding="utf-8")
    (etc / "manager_additional.conf").touch()
    (etc / "manager.conf").write_text(FREEPBX.format(port=port), encoding="utf-8")
    await pbx.cli("manager reload")
    try:
        async with AmiWitness(pbx.ami, pbx.ami_user, pbx.ami_secret) as tap, handset(pbx, TRUNK) as outside:
            calling = outside.dial("2458888", user=CALLER)
            event = await tap.wait_for(lambda message: message.get("Event") == "Newchannel")
            await calling.hang_up()
        assert re.fullmatch(r"\d{10}\.\d{6}", event["Timestamp"])
        assert {message["Event"] for message in tap.messages if "Event" in message} <= {"FullyBooted", "Newchannel", "Hangup"}
    finally:
        (etc / "manager.conf").write_text(before, encoding="utf-8")
        await pbx.cli("manager reload")


def rows(journal: Path) -> list[dict[str, str]]:
    if not journal.exists():
        return []
    with journal.open(encoding="utf-8", newline="") as file:
        found = list(csv.reader(file))
    assert all(len(row) == len(COLUMNS) for row in found)
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]
