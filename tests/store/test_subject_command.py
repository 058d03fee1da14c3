"""`fonoteka subject find|export|erase`: what is printed, asked and done."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner, Result

from fonoteka.cli.main import app
from fonoteka.core.errors import ConfigurationError
from fonoteka.core.naming import call_id
from store.audit.write import OPERATOR
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import ensure_pbx, pbx_of
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from store.retention.legal_hold import set_legal_hold
from tests.data import seed
from tests.store.test_intake import BEGIN, scope_of, take
from tests.store.test_retention import hold

FIRST, HELD = seed.a_call(1, BEGIN), seed.a_call(2, BEGIN + timedelta(minutes=1))
FIRST_ID, HELD_ID = (call_id("pbx1", call.linkedid) for call in (FIRST, HELD))
NUMBER = "89131234567"
Subject = Callable[..., Result]


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    """Run `fonoteka subject` on a store with two calls, of which one is held."""

    async def fill() -> None:
        store = await Store.open(seed.section(tmp_path))
        await apply(store, parse_directory(seed.DIRECTORY, source="test"))
        await ensure_pbx(store, "pbx1", seed.PBX_TOKEN)
        pbx = await pbx_of(store, seed.PBX_TOKEN)
        assert pbx is not None
        await upsert_calls(store, pbx, [FIRST, HELD])
        for call in (FIRST, HELD):
            await take(store, pbx, call)
        await hold(store, HELD)
        await store.close()

    asyncio.run(fill())
    config, section = tmp_path / "fonoteka.toml", seed.section(tmp_path)
    config.write_text(f'[store]\ndatabase = "{section.database}"\nobjects = "{section.objects}"\n', encoding="utf-8")

    def run(command: str, *arguments: str, typed: str | None = None) -> Result:
        full = ["subject", command, *arguments, "--config", str(config)]
        return CliRunner().invoke(app, full, input=typed, standalone_mode=False)

    return run


def test_find_export_and_erase(subject: Subject, tmp_path: Path) -> None:
    of_acme = ("--domain", "acme", NUMBER)
    found = subject("find", *of_acme)
    assert found.output.splitlines() == [
        f"2026-11-22 23:43:42 in 89131234567 > 2458152 {FIRST_ID} (audio)",
        f"2026-11-22 23:44:42 in 89131234567 > 2458152 {HELD_ID} (audio, legal hold)",
        "+79131234567: calls: 2, with audio: 2",
        f"{HELD_ID} is under legal hold and stays",
    ]
    listed = json.loads(subject("find", *of_acme, "--json").output)
    assert [(call["id"], call["held"]) for call in listed["calls"]] == [(FIRST_ID, False), (HELD_ID, True)]
    file = tmp_path / "person.zip"
    exported = subject("export", *of_acme, "--output", str(file))
    assert exported.output == f"+79131234567: calls: 2, with audio: 2, in {file}\n"
    with ZipFile(file) as archive:
        assert sorted(archive.namelist()) == sorted([*AUDIO_FILES, "calls.json", "journal.json"])
    assert isinstance(subject("export", *of_acme, "--output", str(file)).exception, ConfigurationError), "it is not replaced"
    tried = subject("erase", *of_acme, "--dry-run")
    assert (tried.return_value, tried.output) == (0, found.output)
    refused = subject("erase", *of_acme, typed="n\n")
    assert "Erase the calls of +79131234567 with their audio, for good (1)?" in refused.output
    assert subject("find", *of_acme).output == found.output
    erased = subject("erase", *of_acme, "--yes")
    assert (erased.return_value, erased.output.splitlines()[-1]) == (0, "+79131234567: calls erased: 1")
    held_line, summary = found.output.splitlines()[1], "+79131234567: calls: 1, with audio: 1"
    assert subject("find", *of_acme).output.splitlines() == [held_line, summary, f"{HELD_ID} is under legal hold and stays"]
    again = subject("erase", *of_acme, "--yes")
    assert (again.return_value, again.output.splitlines()[-1]) == (0, "+79131234567: calls erased: 0")
    for arguments, words in (
        (("--domain", "nobody", NUMBER), "no domain 'nobody'"),
        (("--domain", "acme", "anonymous"), "NUMBER 'anonymous' must be the number of an outside party"),
    ):
        for command in ("find", "export", "erase"):
            wrong = subject(command, *arguments)
            assert isinstance(wrong.exception, ConfigurationError) and words in str(wrong.exception)


def test_calls_of_a_removed_company_are_found_and_erased(subject: Subject, tmp_path: Path) -> None:
    """Also after another company has got its name; the calls of that one stay."""

    async def remove_and_add() -> None:
        store = await Store.open(seed.section(tmp_path))
        await set_legal_hold(store, await scope_of(store), HELD_ID, legal_hold=False, why="", by=OPERATOR, now=BEGIN)
        await apply(store, parse_directory(WITHOUT_ACME, source="test"), prune=True)
        await store.close()

    asyncio.run(remove_and_add())
    of_acme = ("--domain", "acme", NUMBER)
    for command in ("find", "export", "erase"):
        refused = subject(command, *of_acme)
        assert isinstance(refused.exception, ConfigurationError) and "domain 'acme' was removed: --removed" in str(
            refused.exception
        )
    found = subject("find", *of_acme, "--removed")
    assert found.output.splitlines()[-1] == "+79131234567: calls: 2, with audio: 2"
    missing = subject("find", "--domain", "other", NUMBER, "--removed")
    assert "there is no removed domain 'other'" in str(missing.exception)

    async def reuse() -> None:
        store = await Store.open(seed.section(tmp_path))
        await apply(store, parse_directory(seed.DIRECTORY, source="test"))
        pbx = await pbx_of(store, seed.PBX_TOKEN)
        assert pbx is not None
        now = datetime.now(UTC)
        assert (await upsert_calls(store, pbx, [seed.a_call(9, now)])).refusals == ()
        await store.close()

    asyncio.run(reuse())
    assert subject("find", *of_acme).output.splitlines()[-1] == "+79131234567: calls: 1, with audio: 0"
    erased = subject("erase", *of_acme, "--removed", "--yes")
    assert (erased.return_value, erased.output.splitlines()[-1]) == (0, "+79131234567: calls erased: 2")
    assert subject("find", *of_acme, "--removed").output == "+79131234567: calls: 0, with audio: 0\n"
    assert subject("find", *of_acme).output.splitlines()[-1] == "+79131234567: calls: 1, with audio: 0"
    assert [path for path in (tmp_path / "objects").rglob("*.opus*") if path.is_file()] == []


WITHOUT_ACME = '[[domain]]\nname = "other"\ntitle = "x"\ntimezone = "Europe/Moscow"\n'
AUDIO_FILES = [f"audio/{FIRST_ID}-1.opus", f"audio/{HELD_ID}-1.opus"]
