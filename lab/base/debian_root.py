"""Debian roots with programs that this machine lacks; each is built once and cached.

The cache stands outside the checkout, and a root's name is made from its recipe, so a changed
recipe builds another root.
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

from lab.base.errors import LabError

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class DebianRoot:
    """A root to build: a name, the Debian suite, arguments of mmdebstrap, and what it costs."""

    name: str
    suite: str
    recipe: tuple[str, ...]
    cost: str

    @property
    def folder_name(self) -> str:
        """The name of its folder in the cache."""
        key = hashlib.sha256("\0".join((self.suite, *self.recipe)).encode()).hexdigest()[:12]
        return f"{self.name}-{key}"


def default_cache() -> Path:
    """`$FONOTEKA_CACHE`, else /var/cache/fonoteka for root and ~/.cache/fonoteka for others."""
    if chosen := os.environ.get("FONOTEKA_CACHE"):
        return Path(chosen)
    return Path("/var/cache/fonoteka") if os.getuid() == 0 else Path.home() / ".cache" / "fonoteka"


def built(wanted: DebianRoot, cache: Path | None = None, tell: Tell | None = None) -> Path:
    """Return the folder of a root; build it if there is none. Raises LabError."""
    cache, tell = cache or default_cache(), tell or _to_stderr
    root = cache / wanted.folder_name
    if not root.is_dir():
        _require_builder(wanted)
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f"{root.name}.lock", wanted, tell):
            if not root.is_dir():
                _build(wanted, root, tell)
    return root


def _require_builder(wanted: DebianRoot) -> None:
    if os.getuid() != 0:
        raise LabError(f"no {wanted.name} here; install it, or run as root so that the lab can build one")
    if shutil.which("mmdebstrap") is None:
        raise LabError(f"no {wanted.name} here and no mmdebstrap to build one with: apt-get install mmdebstrap")


@contextmanager
def _alone(lock: Path, wanted: DebianRoot, tell: Tell) -> Iterator[None]:
    """Hold the lock of one build, so that two labs that start together build it once."""
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"another process is building the lab's {wanted.name}; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(wanted: DebianRoot, root: Path, tell: Tell) -> None:
    draft, log = root.with_name(f".{root.name}.new"), root.with_name(f"{root.name}.log")
    shutil.rmtree(draft, ignore_errors=True)
    tell(f"building the lab's {wanted.name} in {root} (once; {wanted.cost})")
    command = ["mmdebstrap", *wanted.recipe, wanted.suite, str(draft)]
    with log.open("wb") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
        raise LabError(f"mmdebstrap could not build the lab's {wanted.name}: {last[0]} (all of it in {log})")
    draft.rename(root)
    tell(f"the lab's {wanted.name} is ready")


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
