"""`fonoteka spool` shows what waits and what was set aside, and puts it back."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.reporting.journal import Journal
from agent.shipping.refused_calls import RefusedCalls
from fonoteka.cli.main import app
from fonoteka.core.call_report import Reason
from fonoteka.core.errors import FonotekaError
from fonoteka.core.manifest import Failure
from fonoteka.core.spool import ItemState, Spool
from mixer.queue import set_aside
from tests.data import seed
from tests.support.legs import close_item, talk
from tests.unit.fonoteka.test_manifest import CALL


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """A spool with one of each: what waits, and what was set aside."""
    monkeypatch.setenv("FONOTEKA_PBX__SPOOL", str(tmp_path))
    made = Spool(tmp_path)
    made.prepare()
    close_item(made, "waits", *talk())
    close_item(made, "odd", *talk())
    odd = made.folder(ItemState.CLOSED) / "odd"
    set_aside(made, odd, Failure(reason=Reason.AUDIO_DAMAGED, detail="outside.wav is a FIFO,\nnot a file"))
    RefusedCalls(made.refused).keep(seed.but(CALL, linkedid="1.7"), "the path has more than 10000 steps")
    (made.calls / "9.json").write_text("{")
    (made.root / "away").mkdir()
    (made.root / "away" / "1.7_1.8_0_in_employee.wav").touch()
    list(Journal(made.calls).read())
    return made


def run(*arguments: str) -> str:
    """Run the command line; return what it printed. Raises its exception."""
    result = CliRunner().invoke(app, ["spool", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_what_waits_and_what_was_set_aside_is_printed_with_its_reason(spool: Spool) -> None:
    found = json.loads(run("--json"))
    assert json.loads(run("list", "--json"))["spool"] == found["spool"] == str(spool.root)
    assert {entry["state"]: entry["count"] for entry in found["waiting"] if entry["count"]} == {"away": 1, "closed": 1}
    assert {entry["name"]: (entry["kind"], entry["reason"][:30]) for entry in found["set_aside"]} == {
        "odd": ("recording", "audio_damaged: outside.wav is "),
        "1-7": ("call", "the path has more than 10000 s"),
        "9.broken": ("journal", "the file of a call in progress"),
    }
    text = run()
    assert re.search(r"recording odd, for \d+ s: audio_damaged: outside\.wav is a FIFO, not a file", text)
    assert len(text.splitlines()) == 1 + len(found["waiting"]) + 1 + len(found["set_aside"])


def test_what_was_set_aside_is_put_back(spool: Spool) -> None:
    assert run("retry", "odd", "1-7", "9.broken").splitlines() == [
        "odd: to be mixed and sent again",
        "1-7: the agent sends the call again",
        "9.broken: the agent reads the file when it starts next",
    ]
    assert json.loads(run("--json"))["set_aside"] == []
    assert {item.name for item in spool.items(ItemState.CLOSED)} == {"odd", "waits"}
    assert [call.linkedid for call in RefusedCalls(spool.refused).asked_again()] == ["1.7"]
    assert (spool.calls / "9.json").exists()


@pytest.mark.parametrize("name", ["waits", "../closed/waits", "..", "", "9.json"])
def test_another_name_is_refused(spool: Spool, name: str) -> None:
    with pytest.raises(FonotekaError):
        run("retry", name)


def test_a_folder_that_is_no_spool_is_an_error(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FONOTEKA_PBX__SPOOL", str(tmp_path / "nothing"))
    with pytest.raises(FonotekaError, match="there is no spool here"):
        run("list")
