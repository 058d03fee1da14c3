"""Names of files, objects and calls: safe, short and unique."""

from datetime import UTC, datetime

import pytest

from fonoteka.core.manifest import AudioFormat
from fonoteka.core.naming import LONGEST_NAME, call_id, content_digest, recording_key, segment_name


def test_a_calls_id_depends_on_pbx_and_linkedid_alone() -> None:
    assert call_id("pbx1", "1795391022.0") == "6xp6wp8w45ysdgmj83mh5c7hjw"
    assert len({call_id(pbx, linkedid) for pbx in ("a", "b", "a1") for linkedid in ("1", "11", "2")}) == 9


@pytest.mark.parametrize(
    ("linkedid", "uniqueid", "name"),
    [
        ("1795391022.0", "1795391022.1", "1795391022-0_1795391022-1_1"),
        ("pbx/../1.0", "../../etc/passwd", "pbx-1-0_-etc-passwd_1"),
        ("$(id) ; rm", "a\0b\nc", "-id-rm_a-b-c_1"),
    ],
)
def test_a_segments_name_holds_nothing_that_means_anything(linkedid: str, uniqueid: str, name: str) -> None:
    assert segment_name(linkedid, uniqueid, 1) == name


def test_long_ids_never_share_a_name() -> None:
    system = "a-very-long-system-name-of-an-asterisk-somewhere-in-the-north-of-siberia"
    names = {
        segment_name(f"{system}-1795391022.{call}", f"{system}-1795391022.{channel}", 1)
        for call in range(5)
        for channel in range(5)
    }
    assert len(names) == 25
    assert max(map(len, names)) <= LONGEST_NAME


def test_recordings_lie_by_pbx_and_day() -> None:
    at = datetime(2026, 11, 22, 16, 43, tzinfo=UTC)
    assert recording_key("pbx1", "1-0_1-1_1", at, AudioFormat.OPUS) == "pbx1/2026/11/22/1-0_1-1_1.opus"
    assert recording_key("pbx1", "1-0_1-1_1", at, AudioFormat.OPUS, "f0") == "pbx1/2026/11/22/1-0_1-1_1.f0.opus"


def test_other_content_has_another_digest() -> None:
    assert len({content_digest(sha256, peaks) for sha256 in ("ab", "ac") for peaks in (b"", b"{}")}) == 4
