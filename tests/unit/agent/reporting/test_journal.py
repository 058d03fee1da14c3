"""The journal: what the agent knows of a call is the same after its death."""

from dataclasses import replace
from pathlib import Path

from structlog.testing import capture_logs

from agent.reporting.journal import Journal
from tests.unit.agent.calls.test_fold import CALLS
from tests.unit.agent.fixtures import at, played


def test_every_kind_of_call_comes_back_as_it_was(tmp_path: Path) -> None:
    calls = [replace(played(table), linkedid=f"{number}.0") for number, (table, _) in enumerate(CALLS.values())]
    journal = Journal(tmp_path)
    for call in calls:
        journal.write(call)
    assert sorted(journal.read(), key=lambda call: call.linkedid) == sorted(calls, key=lambda call: call.linkedid)
    journal.remove("0.0")
    assert len(journal.read()) == len(calls) - 1


def test_a_broken_file_is_put_aside_and_the_others_are_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(replace(played(CALLS["1 trunk to 152"][0]), started_at=at(0)))
    (tmp_path / "broken.json").write_text('{"linkedid": 1', encoding="utf-8")
    with capture_logs() as logs:
        assert [call.linkedid for call in journal.read()] == ["1"]
    assert logs[0]["event"] == "journal.broken"
    assert (tmp_path / "broken.broken").exists()


def test_a_file_of_an_earlier_shape_is_read(tmp_path: Path) -> None:
    """Fields that came later have defaults: an upgrade loses no call that is going on."""
    (tmp_path / "1.json").write_text(
        '{"linkedid":"1","started_at":"2026-11-22T16:43:42Z","channels":{"t":{"uniqueid":"t","name":"PJSIP/trunk-1","exten":"2458152",'
        '"caller_num":"8913","caller_name":"","started_at":"2026-11-22T16:43:42Z"}},"dials":[{"caller":"t","callee":"p",'
        '"caller_num":"","dialled":"acme-152","at":"2026-11-22T16:43:42Z"}],"recordings":[{"uniqueid":"p","user":"152",'
        '"decision":{"record":true},"segment":"1_p_1","stage":"running"}]}',
        encoding="utf-8",
    )
    (call,) = Journal(tmp_path).read()
    assert (call.dials[0].exten, call.recordings[0].started_at) == ("", None)
