"""`fonoteka keys` and the doctor's look at the master key, as an operator meets them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fonoteka.cli import keys
from fonoteka.cli.doctor import keys as doctor
from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration, load
from fonoteka.core.errors import ConfigurationError
from store.database.store import Store
from tests.data import seed

BEGIN = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
async def configuration(tmp_path: Path) -> Configuration:
    """An installation from before recordings were encrypted, with one recording."""
    given = Configuration(store=seed.section(tmp_path))
    store = await Store.open(given.store)
    await seed.ship(store, await seed.seed(store, count=0), seed.a_call(1, BEGIN), (1000,))
    await store.close()
    return given


async def checked(configuration: Configuration) -> list[Finding]:
    return [finding async for finding in doctor.check(configuration)]


async def test_an_operator_encrypts_and_confirms_the_backup(
    configuration: Configuration, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await checked(configuration) == []
    await keys.show(configuration)
    assert "acme: key none; recordings: 0 encrypted, 1 plain" in capsys.readouterr().out
    for work in (keys.rotate(configuration), keys.replace_master_key(configuration)):
        with pytest.raises(ConfigurationError, match="run `fonoteka keys encrypt-existing` first"):
            await work
    assert await keys.encrypt_existing(configuration) == 0
    assert "acme: 1 of 1 recordings" in capsys.readouterr().out
    (finding,) = await checked(configuration)
    assert (finding.ok, "nobody has confirmed" in finding.detail, "--recovery" in finding.mend) == (False, True, True)
    with pytest.raises(ConfigurationError, match="on a terminal only"):
        await keys.show_recovery(configuration, confirm=False)
    text = (Path(configuration.store.objects.removeprefix("file://")).parent / "master.key").read_text().strip()
    assert text not in capsys.readouterr().out
    await typed_back(configuration, monkeypatch, ["something else", ""])
    assert [finding.ok for finding in await checked(configuration)] == [False]
    await typed_back(configuration, monkeypatch, ["something else", text])
    shown = capsys.readouterr().out
    assert text in shown and "this is another text" in shown and "noted: the master key has a backup" in shown
    assert [finding.ok for finding in await checked(configuration)] == [True]


async def typed_back(configuration: Configuration, monkeypatch: pytest.MonkeyPatch, answers: list[str]) -> None:
    """Show the key on a terminal, and type the answers."""
    with monkeypatch.context() as patch:
        for stream in ("stdin", "stdout"):
            patch.setattr(f"sys.{stream}.isatty", lambda: True)
        patch.setattr("typer.prompt", lambda *_, **__: answers.pop(0))
        await keys.show_recovery(configuration, confirm=False)
    assert answers == []


async def test_the_doctor_names_a_key_that_is_missing(configuration: Configuration) -> None:
    await keys.encrypt_existing(configuration)
    file = Path(configuration.store.objects.removeprefix("file://")).parent / "master.key"
    await asyncio.to_thread(file.unlink)
    (finding,) = await checked(configuration)
    assert finding.ok is False and f"'{file}' is missing" in finding.detail and "restore the key" in finding.mend


async def test_the_doctor_of_a_pbx_makes_no_index(tmp_path: Path) -> None:
    assert await checked(Configuration(store=seed.section(tmp_path / "nowhere"))) == []
    assert list(tmp_path.iterdir()) == []


def test_the_master_key_is_a_secret_and_its_file_may_be_missing(tmp_path: Path) -> None:
    file = tmp_path / "fonoteka.toml"
    file.write_text(f'[store]\nmaster_key_file = "{tmp_path}/not-there"\n', encoding="utf-8")
    assert load(file, {}).store.master_key_file == tmp_path / "not-there"
    of_environment = load(file, {"FONOTEKA_STORE__MASTER_KEY": "c2VjcmV0"}).store
    assert of_environment.master_key_file is None and "c2VjcmV0" not in repr(of_environment)
    file.write_text('[store]\nmaster_key_file = "x"\nmaster_key = "c2VjcmV0"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError, match="set master_key or master_key_file, not both") as error:
        load(file, {})
    assert "c2VjcmV0" not in str(error.value)
