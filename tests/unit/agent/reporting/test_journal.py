"""The journal returns every call as it was written, by this agent and by the agents before it."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json
from structlog.testing import capture_logs

from agent.calls.call_state import Call, RecordingStage
from agent.reporting.journal import FILE, VERSION, Journal, JournalFile
from tests.unit.agent.calls.test_fold import CALLS
from tests.unit.agent.fixtures import at, played

SAMPLES: Final = Path(__file__).parents[3] / "data" / "journal"
VERSIONS: Final = range(1, VERSION + 1)
NAMES: Final = ("attended_by_keys", "blind_by_phone", "forward_abroad")


def test_every_kind_of_call_is_read_as_it_was_written(tmp_path: Path) -> None:
    calls = [replace(played(table), linkedid=f"{number}.0") for number, (table, _) in enumerate(CALLS.values())]
    journal = Journal(tmp_path)
    for call in calls:
        journal.write(call)
    assert sorted(journal.read(), key=lambda call: call.linkedid) == sorted(calls, key=lambda call: call.linkedid)
    journal.remove("0.0")
    assert len(list(journal.read())) == len(calls) - 1


def test_a_call_that_has_not_changed_is_written_again_only_to_sync_it(tmp_path: Path) -> None:
    call, journal = played(next(iter(CALLS.values()))[0]), Journal(tmp_path)
    changed = replace(call, revision=call.revision + 1)
    file = tmp_path / f"{call.linkedid}.json"

    def written(call: Call, *, sync: bool = False) -> int:
        journal.write(call, sync=sync)
        return file.stat().st_ino

    first = written(call)
    os.link(file, tmp_path / "first")  # so that its number is not used again
    assert written(call) == first
    second = written(changed)
    os.link(file, tmp_path / "second")
    assert second != first and written(changed, sync=True) not in (first, second)
    written(call)
    written(changed)
    journal.remove(call.linkedid)
    written(changed)
    assert list(journal.read()) == [changed]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_of_each_version_is_read(version: int, name: str, tmp_path: Path) -> None:
    """An agent of version 1 wrote its samples from tests/data/streams.

    Upgraded, they equal the samples of the present version.
    """
    (tmp_path / "1.json").write_bytes((SAMPLES / f"version_{version}" / f"{name}.json").read_bytes())
    (call,) = Journal(tmp_path).read()
    present = from_json((SAMPLES / f"version_{VERSION}" / f"{name}.json").read_bytes())
    assert from_json(FILE.dump_json(JournalFile(version=VERSION, call=call))) == present


def test_the_state_in_a_sample_is_read(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes((SAMPLES / "version_1" / "attended_by_keys.json").read_bytes())
    (call,) = Journal(tmp_path).read()
    assert (len(call.channels), len(call.dials), len(call.moments)) == (5, 2, 10)
    assert [(recording.user, recording.stage, recording.paused) for recording in call.recordings] == [
        ("152", RecordingStage.RUNNING, True),
        ("421", RecordingStage.RUNNING, False),
    ]


def test_the_format_changes_only_with_its_version() -> None:
    """Compare the fields and values of a file with the checked-in list of this version."""
    listed = (SAMPLES / f"version_{VERSION}" / "fields.txt").read_text(encoding="utf-8").splitlines()
    schema = FILE.json_schema(mode="serialization")
    assert sorted(_fields(schema, schema["$defs"])) == listed, (
        f"the journal's format is no longer that of version {VERSION}: raise VERSION in agent/reporting/journal.py, add the "
        "function that upgrades the version before it, and put samples and the list of fields of the new version beside the old"
    )


def _fields(shape: dict[str, Any], named: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths in a JSON schema with their types, or the values of an enumeration."""
    match shape:
        case {"$ref": str(reference)}:
            yield from _fields(named[reference.rpartition("/")[2]], named, path)
        case {"anyOf": list(choices)}:
            for choice in choices:
                yield from _fields(choice, named, path)
        case {"properties": dict(properties)}:
            for name, value in properties.items():
                yield from _fields(value, named, f"{path}.{name}")
        case {"additionalProperties": dict(value)}:
            yield from _fields(value, named, f"{path}.*")
        case {"items": dict(value)}:
            yield from _fields(value, named, f"{path}[]")
        case {"enum": list(values)}:
            for value in values:
                yield f"{path}: {value}"
        case {"type": str(kind)}:
            yield f"{path}: {shape.get('format', kind)}"
        case _:
            raise AssertionError(f"{path}: {shape}")


def test_a_broken_file_is_set_aside_and_the_others_are_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(replace(played(CALLS["1 trunk to 152"][0]), started_at=at(0)))
    broken = {"cut": '{"linkedid": 1', "list": "[]", "odd": '{"version": "x"}', "empty": '{"version": 2}', "zero": '{"version": 0}'}
    for name, content in broken.items():
        (tmp_path / f"{name}.json").write_text(content, encoding="utf-8")
    with capture_logs() as logs:
        assert [call.linkedid for call in journal.read()] == ["1"]
    assert [log["event"] for log in logs] == ["journal.set_aside"] * len(broken)
    assert {path.stem for path in tmp_path.glob("*.broken")} == set(broken)


def test_a_file_of_a_newer_agent_is_kept_for_it(tmp_path: Path) -> None:
    newer = f'{{"version": {VERSION + 1}, "calls": []}}'
    (tmp_path / "1.json").write_text(newer, encoding="utf-8")
    with capture_logs() as logs:
        assert list(Journal(tmp_path).read()) == []
    assert logs[0]["reason"] == f"version {VERSION + 1}, this agent reads versions 1 to {VERSION}"
    assert (tmp_path / "1.newer").read_text(encoding="utf-8") == newer


def test_a_file_of_version_1_may_lack_the_fields_that_came_later(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text(
        '{"linkedid":"1","started_at":"2026-11-22T16:43:42Z","channels":{"t":{"uniqueid":"t","name":"PJSIP/trunk-1","exten":"2458152",'
        '"caller_num":"8913","caller_name":"","started_at":"2026-11-22T16:43:42Z"}},"dials":[{"caller":"t","callee":"p",'
        '"caller_num":"","dialled":"acme-152","at":"2026-11-22T16:43:42Z"}],"recordings":[{"uniqueid":"p","user":"152",'
        '"decision":{"record":true},"segment":"1_p_1","stage":"running"}]}',
        encoding="utf-8",
    )
    (call,) = Journal(tmp_path).read()
    assert (call.dials[0].exten, call.recordings[0].started_at) == ("", None)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_spoiled_file_is_read_or_set_aside_and_the_others_are_read(tmp_path: Path, data: st.DataObject) -> None:
    """Cut off, or with other bytes inside, as after a crash of the machine."""
    whole = (SAMPLES / f"version_{data.draw(st.sampled_from(VERSIONS))}" / "blind_by_phone.json").read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    spoiled = whole[:at] + data.draw(st.sampled_from([b"", whole[at + 1 :]]) | st.binary(max_size=40))
    (tmp_path / "spoiled.json").write_bytes(spoiled)
    Journal(tmp_path).write(replace(played(CALLS["1 trunk to 152"][0]), linkedid="intact"))
    with capture_logs() as logs:
        calls = list(Journal(tmp_path).read())
    assert "intact" in {call.linkedid for call in calls}
    assert len(calls) + len(logs) == 2


def test_a_fifo_in_the_journal_is_set_aside(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.json")
    with capture_logs() as logs:
        assert list(Journal(tmp_path).read()) == []
    assert logs[0]["reason"] == "1.json is a FIFO, not a file"
