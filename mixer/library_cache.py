"""Keeping the codecs' libraries small in memory, also right after they were installed.

A file that was just written lies in the page cache in large pieces, and each piece that is touched counts as the worker's memory as
a whole: 70 MB instead of 52 (ext4, Linux 6.18). Read in again, piece by piece as it is used, it does not; a reboot
would do the same.
"""

import os
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_LIBRARIES: Final = ("av", "numpy")


@cache
def let_go_of_installed_libraries() -> None:
    """Drop the codecs' libraries from the page cache, once; what another process uses stays."""
    for name in _LIBRARIES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            continue
        package = Path(spec.origin).parent
        for folder in (package, package.with_name(f"{name}.libs")):
            for library in folder.rglob("*.so*"):
                with suppress(OSError):
                    _let_go(library)


def _let_go(library: Path) -> None:
    descriptor = os.open(library, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)  # only what is on the disk can be dropped
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
