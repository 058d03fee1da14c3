"""Install, use, remove and purge the Debian package in a clean Debian of this machine's release."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from fonoteka import __version__
from lab.base.debian_root import DebianRoot, built

_PACKAGES: Final = Path(__file__).parents[2] / "build"
pytestmark = pytest.mark.long


def _release() -> str:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("VERSION_CODENAME="))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A Debian with what the package depends on, the group of Asterisk, and the package beside."""
    recipe = ("--variant=minbase", "--include=python3,adduser")
    clean = built(DebianRoot(name="clean", suite=_release(), recipe=recipe, cost="half a minute, 250 MB"))
    copy = tmp_path / "root"
    subprocess.run(["cp", "--archive", str(clean), str(copy)], check=True)
    (package,) = _PACKAGES.glob(f"fonoteka_{__version__}_*.deb")
    shutil.copy(package, copy / "fonoteka.deb")
    _run(copy, "groupadd", "--system", "asterisk")
    yield copy
    shutil.rmtree(copy)


def _run(root: Path, *command: str, expected: int = 0) -> str:
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": "/root",
        "DEBIAN_FRONTEND": "noninteractive",
    }
    done = subprocess.run(["chroot", str(root), *command], env=environment, capture_output=True, text=True, check=False)
    print("#", *command, f"\n{done.stdout}{done.stderr}", end="")
    assert done.returncode == expected, done.stderr
    return done.stdout + done.stderr


def _state(root: Path, path: str) -> str:
    return _run(root, "stat", "--format=%U:%G %a", path).strip()


def test_a_clean_debian_takes_the_package_and_gives_it_up(root: Path) -> None:
    _run(root, "dpkg", "--install", "/fonoteka.deb")
    assert __version__ in _run(root, "fonoteka", "--version")
    assert _state(root, "/etc/fonoteka/fonoteka.toml") == "root:fonoteka 640"
    assert _state(root, "/var/lib/fonoteka") == "fonoteka:fonoteka 750"
    assert _state(root, "/var/spool/asterisk/fonoteka") == "fonoteka:asterisk 2770"
    assert "asterisk" in _run(root, "id", "--groups", "--name", "fonoteka")
    as_user = ("setpriv", "--reuid=fonoteka", "--regid=fonoteka", "--init-groups", "sh", "-c")
    found = _run(root, *as_user, "cd /var/lib/fonoteka && fonoteka migrate && fonoteka doctor", expected=1)
    assert "sqlite:////var/lib/fonoteka/fonoteka.db" in found
    assert "ami" in found, "no Asterisk is there, and doctor says so"
    for unit in ("fonoteka", "fonoteka-agent", "fonoteka-mixer", "fonoteka-api"):
        text = (root / f"usr/lib/systemd/system/{unit}.service").read_text(encoding="utf-8")
        assert "ExecStart=/opt/fonoteka/bin/fonoteka" in text

    (root / "etc/fonoteka/fonoteka.toml").write_text("# changed\n", encoding="utf-8")
    _run(root, "dpkg", "--install", "/fonoteka.deb")
    assert (root / "etc/fonoteka/fonoteka.toml").read_text(encoding="utf-8") == "# changed\n"

    recording = root / "var/lib/fonoteka/objects/recording"
    recording.parent.mkdir(exist_ok=True)
    recording.write_bytes(b"sound")
    _run(root, "dpkg", "--remove", "fonoteka")
    assert not (root / "opt/fonoteka").exists()
    assert (root / "etc/fonoteka/fonoteka.toml").exists()
    assert "/var/lib/fonoteka is kept" in _run(root, "dpkg", "--purge", "fonoteka")
    assert not (root / "etc/fonoteka").exists()
    assert recording.read_bytes() == b"sound"
    assert (root / "var/lib/fonoteka/fonoteka.db").exists()
    assert "fonoteka" in _run(root, "id", "fonoteka"), "the files stay somebody's"
