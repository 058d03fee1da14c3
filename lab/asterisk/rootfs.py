"""Where the lab's Asterisk comes from.

The one on PATH, else a Debian root that is built once and cached.

Debian 12 and 13 carry no Asterisk, forky does. The cache stands outside the checkout, under a name
made from the recipe, so a changed recipe builds another root.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.base.errors import LabError

SUITE: Final = "forky"
RECIPE: Final = (
    "--variant=apt",
    '--aptopt=Acquire::Check-Valid-Until "false"',
    "--include=asterisk,asterisk-config,asterisk-modules",
)
_MODULE_FOLDERS: Final = (
    "/usr/lib/x86_64-linux-gnu/asterisk/modules",
    "/usr/lib/aarch64-linux-gnu/asterisk/modules",
    "/usr/lib64/asterisk/modules",
    "/usr/lib/asterisk/modules",
    "/usr/local/lib/asterisk/modules",
)
_DATA_FOLDERS: Final = ("/usr/share/asterisk", "/var/lib/asterisk", "/usr/local/share/asterisk")

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class AsteriskProgram:
    """An Asterisk that can be started.

    With a `root` it runs inside it (chroot), and all other paths are paths in there.
    """

    binary: Path
    modules: Path
    data: Path
    root: Path | None = None


def default_cache() -> Path:
    """`$FONOTEKA_CACHE`, else /var/cache/fonoteka for root and ~/.cache/fonoteka for others."""
    if chosen := os.environ.get("FONOTEKA_CACHE"):
        return Path(chosen)
    return Path("/var/cache/fonoteka") if os.getuid() == 0 else Path.home() / ".cache" / "fonoteka"


def find_or_build(cache: Path | None = None, tell: Tell | None = None) -> AsteriskProgram:
    """The Asterisk to use.

    Builds one (half a minute, once) if there is none; raises LabError saying what is missing.
    """
    if (on_path := shutil.which("asterisk")) is not None:
        return _installed(Path(on_path))
    return _cached(cache or default_cache(), tell or _to_stderr)


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


def _cached(cache: Path, tell: Tell) -> AsteriskProgram:
    key = hashlib.sha256("\0".join((SUITE, *RECIPE)).encode()).hexdigest()[:12]
    root = cache / f"asterisk-{key}"
    if not root.is_dir():
        _require_builder()
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f"{root.name}.lock", tell):
            if not root.is_dir():
                _build(root, tell)
    return in_root(root)


def _require_builder() -> None:
    if os.getuid() != 0:
        raise LabError("no asterisk on PATH; install the package asterisk, or run as root so that the lab can build one")
    if shutil.which("mmdebstrap") is None:
        raise LabError("no asterisk on PATH and no mmdebstrap to build one with: apt-get install mmdebstrap")


@contextmanager
def _alone(lock: Path, tell: Tell) -> Iterator[None]:
    """Hold the lock of one build, so that two labs that start together build it once."""
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another process is building the lab's Asterisk; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(root: Path, tell: Tell) -> None:
    draft, log = root.with_name(f".{root.name}.new"), root.with_name(f"{root.name}.log")
    shutil.rmtree(draft, ignore_errors=True)
    tell(f"building the lab's Asterisk in {root} (once; half a minute, 350 MB)")
    with log.open("wb") as output:
        done = subprocess.run(
            ["mmdebstrap", *RECIPE, SUITE, str(draft)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
        raise LabError(f"mmdebstrap could not build the lab's Asterisk: {last[0]} (all of it in {log})")
    draft.rename(root)
    tell("the lab's Asterisk is ready")


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
