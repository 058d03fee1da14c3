"""Labs as processes: side by side, killed, started again; nothing of them is left behind."""

import json
import socket
import sqlite3
import subprocess
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from lab.asterisk.addresses import LoopbackBlock, free_port
from lab.asterisk.rootfs import AsteriskProgram
from lab.asterisk.server import LabAsterisk
from lab.base.company import ACME, apply_text
from lab.base.errors import LabError
from lab.sip.sipp import SipCall, read_trace
from lab.sip.sipp_calls import call_from_trunk
from lab.sip.sipp_phones import answering
from tests.support.eventually import eventually

TRACE = """\
2026-11-23\t03:36:10.02\t100.00\tS\tone@a\tCSeq:1 INVITE\tINVITE sip:2458152@a SIP/2.0
2026-11-23\t03:36:10.02\t100.01\tR\tone@a\tCSeq:1 INVITE\tSIP/2.0 100 Trying
2026-11-23\t03:36:10.03\t100.02\tS\ttwo@a\tCSeq:1 INVITE\tINVITE sip:2458152@a SIP/2.0
2026-11-23\t03:36:10.03\t100.03\tR\tone@a\tCSeq:1 INVITE\tSIP/2.0 180 Ringing
2026-11-23\t03:36:10.34\t100.53\tR\tone@a\tCSeq:1 INVITE\tSIP/2.0 200 OK
2026-11-23\t03:36:10.34\t100.53\tS\tone@a\tCSeq:1 ACK\tACK sip:a SIP/2.0
2026-11-23\t03:36:10.40\t100.60\tR\ttwo@a\tCSeq:1 INVITE\tSIP/2.0 486 Busy Here
2026-11-23\t03:36:10.40\t100.60\tS\ttwo@a\tCSeq:1 ACK\tACK sip:a SIP/2.0
2026-11-23\t03:36:11.35\t102.53\tS\tone@a\tCSeq:2 BYE\tBYE sip:a SIP/2.0
2026-11-23\t03:36:11.35\t102.54\tR\tone@a\tCSeq:2 BYE\tSIP/2.0 200 OK
2026-11-23\t03:36:11.36\t102.60\tS\tthree@a\tCSeq:1 INVITE\tINVITE sip:2458152@a SIP/2.0
2026-11-23\t03:3"""


def test_a_trace_is_read_as_calls() -> None:
    one, two, three = read_trace(TRACE)
    assert one == SipCall(call_id="one@a", invited_at=100.0, rang_at=100.03, status=200, answered_at=100.53, ended_at=102.53)
    assert one.talk_s == pytest.approx(2.0)
    assert two == SipCall(call_id="two@a", invited_at=100.02, status=486)
    assert (two.answered, two.talk_s) == (False, 0.0)
    assert three == SipCall(call_id="three@a", invited_at=102.6)


def test_two_labs_never_share_an_address() -> None:
    one, two = LoopbackBlock(), LoopbackBlock()
    assert one.host(1).startswith("127.")
    assert one.host(1) != two.host(1)
    freed = two.host(1)
    two.release()
    three = LoopbackBlock()
    assert three.host(1) == freed
    one.release()
    three.release()


def test_a_port_that_was_chosen_is_not_one_that_the_kernel_gives_away() -> None:
    block = LoopbackBlock()
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = [free_port(block.host(1), socket.SOCK_DGRAM) for _ in range(100)]
    assert len(set(ports)) == 100 and max(ports) < first
    block.release()


def test_the_company_is_what_apply_takes() -> None:
    (domain,) = tomllib.loads(apply_text(ACME))["domain"]
    assert (domain["name"], domain["area_codes"]) == ("acme", ["391"])
    assert {user["login"]: user["record"] for user in domain["user"]} == {
        "152": "all",
        "421": "all",
        "130": "off",
        "777": "on_demand",
        "900": "off",
    }
    assert domain["user"][0]["endpoints"] == ["PJSIP/acme-152"]
    assert {number["number"] for number in domain["number"]} >= {"2458152", "2458888", "2458800", "2458900"}


async def test_two_labs_run_side_by_side(pbx: LabAsterisk, program: AsteriskProgram, tmp_path: Path) -> None:
    async with LabAsterisk(program, tmp_path) as other:
        assert other.ami != pbx.ami
        async with answering(other, "152"), answering(pbx, "152", behaviour="busy"):
            there = await call_from_trunk(other, dialled="2458152", talk_s=0.5)
            here = await call_from_trunk(pbx, dialled="2458152", talk_s=0.5)
        assert (there.status, here.status) == (200, 486)


async def test_a_killed_pbx_starts_again_where_it_was(program: AsteriskProgram, tmp_path: Path) -> None:
    async with LabAsterisk(program, tmp_path) as pbx:
        await pbx.cli("database put CF 421 152")
        await _on_disk(pbx.folder / "db" / "astdb.sqlite3", "/CF/421")
        before = pbx.ami, pbx.ami_secret, pbx.pid
        await pbx.kill()
        assert not pbx.running
        assert not _alive(before[2])
        await pbx.restart()
        assert (pbx.ami, pbx.ami_secret) == before[:2]
        async with answering(pbx, "152"):
            assert (await call_from_trunk(pbx, dialled="2458421", talk_s=0.5)).answered
        pid = pbx.pid
    assert not _alive(pid)


def test_nothing_is_mounted_where_others_see_it(pbx: LabAsterisk) -> None:
    mounts = json.loads(subprocess.run(["findmnt", "--json", "--list"], capture_output=True, check=True).stdout)
    assert not [mount for mount in mounts["filesystems"] if str(pbx.folder) in mount["source"] + mount["target"]]
    assert (pbx.folder / "log" / "full").exists()
    assert pbx.log_path.stat().st_size > 0


async def test_an_asterisk_that_does_not_start_says_why(program: AsteriskProgram, tmp_path: Path) -> None:
    broken = AsteriskProgram(
        binary=Path("/usr/sbin/no-such-asterisk"), modules=program.modules, data=program.data, root=program.root
    )
    with pytest.raises(LabError, match=r"did not start: .*no-such-asterisk"):
        async with LabAsterisk(broken, tmp_path):
            pass


async def _on_disk(database: Path, key: str) -> None:
    """Asterisk commits AstDB up to a second later; a kill before that loses what was put."""

    def is_there() -> bool:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as astdb:
            return astdb.execute("SELECT 1 FROM astdb WHERE key = ?", (key,)).fetchone() is not None

    await eventually(is_there)


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
