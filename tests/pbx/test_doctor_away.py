"""`fonoteka doctor` where the dialplan records while the agent is away, on the real Asterisk."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from fonoteka.cli.doctor import needs
from tests.pbx.test_doctor import Patient, lines_of, patient

__all__ = ["patient"]
FILE = "extensions.d/fonoteka-away.conf"


@pytest.fixture
def recording(patient: Patient) -> Patient:
    """The PBX of the other tests, with a journal and with what the dialplan needs to record."""
    journal = patient.pbx.folder / "log" / "cel-custom" / "fonoteka.csv"
    journal.touch()
    return with_journal(patient, journal)


def with_journal(patient: Patient, journal: Path | None) -> Patient:
    pbx = patient.configuration.pbx.model_copy(update={"record_when_away": True, "cel_journal": journal})
    return replace(patient, configuration=patient.configuration.model_copy(update={"pbx": pbx}))


async def beat(patient: Patient, age_s: int) -> None:
    """Write a heartbeat, as an agent that wrote it `age_s` ago."""
    await patient.pbx.cli(f"database put fonoteka heartbeat/at {int(time.time()) - age_s}")


async def wrong(patient: Patient) -> set[tuple[str, bool | None]]:
    return {(finding.check, finding.ok) for finding in await patient.wrong()}


async def test_the_heartbeat_the_lines_and_the_journal(recording: Patient) -> None:
    await beat(recording, 11)
    assert await wrong(recording) == {("heartbeat", False)}
    await beat(recording, -5)
    assert await wrong(recording) == set()
    line = next(raw for raw in lines_of(FILE) if "MixMonitor" in raw)
    async with recording.without(line, FILE, "dialplan reload"):
        assert await wrong(recording) == {(FILE, False)}
    await recording.pbx.cli("database deltree fonoteka heartbeat")
    assert await wrong(with_journal(recording, None)) == {("heartbeat", False), ("rows of calls without an agent", False)}


@pytest.mark.parametrize("call", [call for call, _, _ in needs.CALLS if "away" in call])
async def test_a_dialplan_without_the_hooks(recording: Patient, call: str) -> None:
    await beat(recording, -5)
    path = recording.pbx.folder / "etc" / "extensions.conf"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(call.replace(",", "^"), "other").replace(call, "other"), encoding="utf-8")
    try:
        await recording.pbx.cli("dialplan reload")
        assert await wrong(recording) == {(f"dialplan uses {call}", False)}
    finally:
        path.write_text(whole, encoding="utf-8")
        await recording.pbx.cli("dialplan reload")
