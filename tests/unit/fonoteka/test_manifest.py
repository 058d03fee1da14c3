"""The JSON files of a recording, read from a folder to which other users may write."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

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
