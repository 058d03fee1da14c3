"""Check the parts of the Debian package that need no build."""

import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest

from fonoteka.core.config import load

_DEBIAN: Final = Path(__file__).parents[2] / "deploy" / "debian"


@pytest.mark.parametrize("script", ["build.sh", "postinst", "prerm", "postrm"])
def test_scripts_are_shell_that_stops_at_a_failure(script: str) -> None:
    path = _DEBIAN / script
    subprocess.run(["sh", "-n", str(path)], check=True)
    assert path.stat().st_mode & 0o111
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/bin/sh"
    assert any(line.startswith("set -e") for line in lines)


def test_the_configuration_of_the_package_is_valid_and_keeps_data_where_the_units_may_write() -> None:
    configuration = load(_DEBIAN / "fonoteka.toml", {})
    assert configuration.store.database == "sqlite:////var/lib/fonoteka/fonoteka.db"
    assert configuration.store.objects == "file:///var/lib/fonoteka/objects"
    text = (_DEBIAN / "fonoteka.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["pbx"] == {"spool": "/var/spool/asterisk/fonoteka"}
    unit = (_DEBIAN.parent / "systemd" / "fonoteka.service").read_text(encoding="utf-8")
    assert "ReadWritePaths=/var/lib/fonoteka /var/spool/asterisk/fonoteka" in unit


def test_units_that_are_stopped_and_restarted_are_all_units() -> None:
    units = {path.name for path in (_DEBIAN.parent / "systemd").glob("*.service")}
    for script in ("postinst", "prerm"):
        words = set((_DEBIAN / script).read_text(encoding="utf-8").split())
        assert units <= words, script


def test_purge_deletes_no_recording() -> None:
    text = (_DEBIAN / "postrm").read_text(encoding="utf-8")
    assert "rm -r" not in text
    assert "rm -f" not in text
