"""The token and the recordings do not travel in clear to another machine."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.shipping.api_address import api_address_problem
from fonoteka.cli.doctor import api as doctor_api
from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import AgentSection, Configuration

CLEAR = "the token and the recordings would travel in clear to another machine"
NO_ADDRESS = "must be https:// and a host"


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        ("https://calls.example.com", None),
        ("https://192.0.2.10:8443", None),
        ("http://127.0.0.1:8080", None),
        ("http://127.9.9.9:8080", None),
        ("http://[::1]:8080", None),
        ("http://localhost:8080", None),
        ("HTTP://LOCALHOST", None),
        ("http://api.localhost", None),
        ("http://calls.example.com", CLEAR),
        ("http://192.168.1.5:8080", CLEAR),
        ("http://[2001:db8::1]", CLEAR),
        ("http://localhost.example.com", CLEAR),
        ("http://127.0.0.1.example.com", CLEAR),
        ("http://127.0.0.1@example.com", CLEAR),
        ("http://2130706433", CLEAR),
        ("ftp://calls.example.com", NO_ADDRESS),
        ("calls.example.com", NO_ADDRESS),
        ("http://", NO_ADDRESS),
        ("http://[", NO_ADDRESS),
        ("https://calls.example.com:port", NO_ADDRESS),
        ("", NO_ADDRESS),
    ],
)
def test_addresses(api: str, problem: str | None) -> None:
    found = api_address_problem(AgentSection(api=api))
    assert found is None if problem is None else problem in (found or "")
    allowed = api_address_problem(AgentSection(api=api, allow_plain_http=True))
    assert (allowed is None) == (problem is not NO_ADDRESS)


def test_an_agent_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "fonoteka.toml"
    agent = "[agent]\napi = 'http://192.0.2.10:8080'\ntoken = 't0ken'\n"
    config.write_text(f"[pbx]\nami = '127.0.0.1:1'\nami_secret = 's'\nagi = ''\nspool = '{tmp_path}/spool'\n{agent}")
    command = [sys.executable, "-m", "fonoteka", "agent", "--config", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"fonoteka: {config}: agent.api = 'http://192.0.2.10:8080': {CLEAR}")
    assert len(ended.stderr.splitlines()) == 1 and "t0ken" not in ended.stderr


@pytest.mark.parametrize(("api", "ok"), [("http://192.0.2.10:1", False), ("http://127.0.0.1:1", True)])
async def test_the_doctor_says_it(api: str, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_api, "PATIENCE_S", 0.1)
    configuration = Configuration(agent=AgentSection(api=api, token=SecretStr("t0ken")))
    finding, *_ = [answer async for answer in doctor_api.check(configuration)]
    assert isinstance(finding, Finding)
    assert (finding.check, finding.ok, CLEAR in finding.detail) == ("address", ok, not ok)
