"""What an operator gets wrong at first.

Each said in one line that tells what to do, with exit code 2 or a retry that says why.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from lab.asterisk.server import LabAsterisk
from lab.tools.installation import configuration_text, fonoteka, free_port
from tests.support.eventually import LIMIT_S


def configured(pbx: LabAsterisk, folder: Path, instead: tuple[str, str] = ("", "")) -> Path:
    """A right configuration in which one text is replaced; its spool is not in use."""
    text = configuration_text(pbx, folder, f"127.0.0.1:{free_port()}").replace("[agent]", '[agent]\ntoken = "t"')
    text = text.replace(f'spool = "{pbx.spool}"', f'spool = "{folder}/spool"')
    assert instead[0] in text
    path = folder / "fonoteka.toml"
    path.write_text(text.replace(*instead) if instead[0] else text, encoding="utf-8")
    return path


async def said(*arguments: str, folder: Path, until: str, within_s: float = LIMIT_S) -> str:
    """The first line on stderr that holds `until`, from a command that is then stopped."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fonoteka", *arguments, cwd=folder, stderr=asyncio.subprocess.PIPE, env=os.environ
    )
    assert process.stderr is not None
    seen = []
    try:
        async with asyncio.timeout(within_s):
            while line := (await process.stderr.readline()).decode():
                seen.append(line)
                if until in line:
                    return line
        raise AssertionError(f"ended without saying {until!r}: {seen}")
    except TimeoutError:
        raise AssertionError(f"did not say {until!r} within {within_s} s: {seen}") from None
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def assert_one_line(code: int, err: str, *parts: str) -> None:
    assert code == 2, err
    assert err.count("\n") == 1, err
    for part in parts:
        assert part in err


async def test_a_wrong_ami_secret(pbx: LabAsterisk, tmp_path: Path) -> None:
    configured(pbx, tmp_path, (pbx.ami_secret, "mistaken-secret"))
    code, _, err = await fonoteka("agent", folder=tmp_path)
    last = err.splitlines()[-1]
    assert code == 2, err
    for part in ("pbx.ami_secret", "pbx.ami_user", pbx.ami[0]):
        assert part in last
    assert "mistaken-secret" not in err
    assert "Traceback" not in err


async def test_no_such_host_is_retried_and_says_why(pbx: LabAsterisk, tmp_path: Path) -> None:
    host, port = pbx.ami
    configured(pbx, tmp_path, (f"{host}:{port}", "no-such-host.invalid:5038"))
    line = await said("agent", folder=tmp_path, until="ami.retry")
    assert "no-such-host.invalid" in line
    assert "retry" in line
    assert "pbx.ami" in line


async def test_nobody_at_the_ami_port_is_retried_and_says_why(pbx: LabAsterisk, tmp_path: Path) -> None:
    host, port = pbx.ami
    nobody = f"127.0.0.1:{free_port()}"
    configured(pbx, tmp_path, (f"{host}:{port}", nobody))
    line = await said("agent", folder=tmp_path, until="ami.retry")
    assert nobody in line
    assert "retry" in line


async def test_the_portals_port_is_in_use(pbx: LabAsterisk, tmp_path: Path) -> None:
    path = configured(pbx, tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = await fonoteka("api", "--config", str(path), folder=tmp_path, FONOTEKA_API__LISTEN=address)
    assert_one_line(code, err, "api.listen", address)


async def test_a_spool_that_cannot_be_made(pbx: LabAsterisk, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    configured(pbx, tmp_path, (f'spool = "{tmp_path}/spool"', f'spool = "{tmp_path}/file/spool"'))
    code, _, err = await fonoteka("agent", folder=tmp_path)
    assert_one_line(code, err, "pbx.spool", f"{tmp_path}/file/spool", "cannot be written")


async def test_a_spool_that_asterisk_sees_elsewhere_is_told_before_the_first_call(pbx: LabAsterisk, tmp_path: Path) -> None:
    configured(pbx, tmp_path, (f'= "{pbx.spool_in_asterisk}"', '= "/var/tmp/elsewhere"'))
    line = await said("agent", folder=tmp_path, until="spool.not_shared")
    for part in ("/var/tmp/elsewhere", f"{tmp_path}/spool", "pbx.spool_in_asterisk"):
        assert part in line


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[pbx\nname = 1", ("fonoteka.toml", "not valid TOML", "line 1")),
        ("[pbx]\nspol = '/x'", ("fonoteka.toml", "unknown key pbx.spol", "spool")),
        ("[pbx]\nname = 'x'", ("fonoteka.toml", "pbx.ami_secret is missing", "FONOTEKA_PBX__AMI_SECRET")),
    ],
)
async def test_a_wrong_file(tmp_path: Path, text: str, parts: tuple[str, ...]) -> None:
    (tmp_path / "fonoteka.toml").write_text(text, encoding="utf-8")
    code, _, err = await fonoteka("up", folder=tmp_path)
    assert_one_line(code, err, *parts)


async def test_two_users_with_one_endpoint(tmp_path: Path) -> None:
    user = '[[domain.user]]\nlogin = "{0}"\nname = "N"\nextension = "{0}"\nendpoints = ["PJSIP/acme-152"]\nrecord = "all"\n'
    (tmp_path / "company.toml").write_text(
        '[[domain]]\nname = "acme"\ntitle = "A"\ntimezone = "Asia/Krasnoyarsk"\ncountry = "RU"\n'
        + user.format("152")
        + user.format("153"),
        encoding="utf-8",
    )
    code, _, err = await fonoteka("apply", "company.toml", folder=tmp_path)
    assert_one_line(code, err, "company.toml", "PJSIP/acme-152", "152", "153")


async def test_doctor_finds_what_is_wrong_and_exits_with_1(pbx: LabAsterisk, tmp_path: Path) -> None:
    configured(pbx, tmp_path, (f'= "{pbx.spool_in_asterisk}"', '= "/var/tmp/elsewhere"'))
    code, out, err = await fonoteka("doctor", folder=tmp_path)
    assert code == 1, err
    assert "BAD  asterisk: spool shared" in out
    assert "ok   asterisk: login over AMI" in out
    assert "BAD  api: reachable" in out
    assert pbx.ami_secret not in out + err
