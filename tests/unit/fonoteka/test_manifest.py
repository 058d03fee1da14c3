"""The JSON files of a recording, read from a folder to which other users may write."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fonoteka.core.errors import SpoolError
from fonoteka.core.manifest import read_manifest, read_mixed, write_manifest, write_mixed
from tests.data import seed

CALL = seed.a_call(1, datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC))
MANIFEST = seed.manifest_of(CALL, CALL.segments[0])
MIXED = seed.mixed_of(b"audio", 5000)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    write_mixed(tmp_path, MIXED)
    assert (read_manifest(tmp_path), read_mixed(tmp_path)) == (MANIFEST, MIXED)
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "mixed.json"}


@pytest.mark.parametrize(
    "name", ["../x.wav", "/etc/hostname", "a/b.wav", "..", "", ".wav", "x", "x.wav\n", "x.WAV", "я.wav", "x.y.wav"]
)
@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("manifest.json", "outside_leg"),
        ("manifest.json", "employee_leg"),
        ("mixed.json", "audio_file"),
        ("mixed.json", "peaks_file"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, file: str, field: str, name: str) -> None:
    write_manifest(tmp_path, MANIFEST)
    write_mixed(tmp_path, MIXED)
    fields = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(fields | {field: name}))
    with pytest.raises(SpoolError, match="no plain file name"):
        (read_manifest if file == "manifest.json" else read_mixed)(tmp_path)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_spoiled_manifest_is_read_or_is_a_spool_error(tmp_path: Path, data: st.DataObject) -> None:
    """Cut off, with other bytes inside, or with any value in place of a field."""
    write_manifest(tmp_path, MANIFEST, sync=False)
    whole = (tmp_path / "manifest.json").read_bytes()
    kind = data.draw(st.sampled_from(["cut", "bytes", "field"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if kind == "cut":
        spoiled = whole[:at]
    elif kind == "bytes":
        spoiled = whole[:at] + data.draw(st.binary(max_size=20)) + whole[at + 1 :]
    else:
        fields = json.loads(whole)
        inside = data.draw(st.sampled_from([fields, fields["call"]]))
        inside[data.draw(st.sampled_from(sorted(inside)))] = data.draw(_ANYTHING)
        spoiled = json.dumps(fields).encode()
    (tmp_path / "manifest.json").write_bytes(spoiled)
    try:
        manifest = read_manifest(tmp_path)
    except SpoolError:
        return
    write_manifest(tmp_path, manifest, sync=False)
    assert read_manifest(tmp_path) == manifest
    assert "/" not in manifest.outside_leg + manifest.employee_leg


def test_a_file_that_is_no_file_or_far_too_large_is_a_spool_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(SpoolError, match="is a FIFO, not a file"):
        read_manifest(tmp_path)
    (tmp_path / "mixed.json").touch()
    os.truncate(tmp_path / "mixed.json", 2 * 1024**3)
    with pytest.raises(SpoolError, match="has more than"):
        read_mixed(tmp_path)
