"""Settings without effect are reported at start by the part that would use them."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fonoteka.cli.commands.parts import log_unused_settings
from fonoteka.core.config import load
from fonoteka.core.errors import ConfigurationError
from store.objects.folder import folder_of


@pytest.mark.parametrize(
    ("part", "text", "keys"),
    [
        ("api", "", []),
        ("agent", "", []),
        ("agent", "[pbx]\ncel_journal = '/var/log/cel.csv'", []),
        ("api", "[store]\ns3_access_key = 'k3y'", ["store.s3_access_key"]),
        ("api", "[store]\ns3_secret_key = 'k3y'", ["store.s3_secret_key"]),
    ],
)
def test_a_setting_without_effect_is_logged(tmp_path: Path, part: str, text: str, keys: list[str]) -> None:
    (tmp_path / "fonoteka.toml").write_text(text, encoding="utf-8")
    with capture_logs() as lines:
        log_unused_settings(part, load(tmp_path / "fonoteka.toml", {}))
    assert [line["key"] for line in lines] == keys
    assert {line["event"] for line in lines} <= {"setting.not_used_yet"}
    assert all(line["hint"] for line in lines)
    assert "k3y" not in str(lines)


def test_objects_in_s3_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"store\.objects = 's3://bucket'"):
        folder_of("s3://bucket")
