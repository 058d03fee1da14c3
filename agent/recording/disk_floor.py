"""Refuse new recordings while the disk of the spool is almost full, in a fixed order.

Below the floor no recording of an internal call begins, below half of it no recording at all. A
talk that is recorded already goes on, also with its next segment, until Asterisk finds no space.
Waiting recordings are never deleted: the space below the floor is kept for mixing and reports.
"""

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fonoteka.core.call_report import CallReport, Direction

_EXHAUSTED_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskFloor:
    """The bytes that stay free on the disk of `folder`."""

    folder: Path
    floor_bytes: int

    def is_exhausted(self) -> bool:
        """Whether Asterisk finds no space now."""
        return shutil.disk_usage(self.folder).free < _EXHAUSTED_BYTES

    def check(self, segment: str, call: CallReport) -> None:
        """Raise OSError (ENOSPC) if this recording of a call may not begin now."""
        free_bytes = shutil.disk_usage(self.folder).free
        if is_refused(segment, call, free_bytes, self.floor_bytes):
            detail = f"{free_bytes // 10**6} MB are free, pbx.least_free_mb = {self.floor_bytes // 10**6}"
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {detail}", str(self.folder))


def is_refused(segment: str, call: CallReport, free_bytes: int, floor_bytes: int) -> bool:
    """Whether a recording may not begin with so much free space."""
    if any(other.name != segment and other.reason is None for other in call.segments):
        return False  # the talk is recorded already
    return free_bytes < (floor_bytes if call.direction is Direction.INTERNAL else floor_bytes / 2)
