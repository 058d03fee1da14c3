"""Where the lab's Asterisk comes from.

The one on PATH, else a Debian root that is built once and cached.

Debian 12 and 13 carry no Asterisk, forky does.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.base.debian_root import DebianRoot, Tell, built
from lab.base.errors import LabError

ROOT: Final = DebianRoot(
    name="asterisk",
    suite="forky",
    recipe=(
        "--variant=apt",
        '--aptopt=Acquire::Check-Valid-Until "false"',
        "--include=asterisk,asterisk-config,asterisk-modules",
    ),
    cost="half a minute, 350 MB",
)
_MODULE_FOLDERS: Final = (
    "/usr/lib/x86_64-linux-gnu/asterisk/modules",
    "/usr/lib/aarch64-linux-gnu/asterisk/modules",
    "/usr/lib64/asterisk/modules",
    "/usr/lib/asterisk/modules",
    "/usr/local/lib/asterisk/modules",
)
_DATA_FOLDERS: Final = ("/usr/share/asterisk", "/var/lib/asterisk", "/usr/local/share/asterisk")


@dataclass(frozen=True, kw_only=True, slots=True)
class AsteriskProgram:
    """An Asterisk that can be started.

    With a `root` it runs inside it (chroot), and all other paths are paths in there.
    """

    binary: Path
    modules: Path
    data: Path
    root: Path | None = None


def find_or_build(cache: Path | None = None, tell: Tell | None = None) -> AsteriskProgram:
    """The Asterisk to use.

    Builds one (half a minute, once) if there is none; raises LabError saying what is missing.
    """
    if (on_path := shutil.which("asterisk")) is not None:
        return _installed(Path(on_path))
    return in_root(built(ROOT, cache, tell))


def _installed(binary: Path) -> AsteriskProgram:
    return AsteriskProgram(
        binary=binary, modules=_first_folder(_MODULE_FOLDERS, Path("/")), data=_first_folder(_DATA_FOLDERS, Path("/"))
    )


def in_root(root: Path) -> AsteriskProgram:
    """The Asterisk inside a root made with the recipe."""
    return AsteriskProgram(
        binary=Path("/usr/sbin/asterisk"),
        modules=_first_folder(_MODULE_FOLDERS, root),
        data=_first_folder(_DATA_FOLDERS, root),
        root=root,
    )


def _first_folder(candidates: tuple[str, ...], root: Path) -> Path:
    for candidate in candidates:
        if (root / candidate.lstrip("/")).is_dir():
            return Path(candidate)
    raise LabError(f"Asterisk is there, but none of these folders is: {', '.join(candidates)} (under {root})")
