"""The disk of the recordings: its state for administrators, its forecast for operators."""

from collections.abc import Callable
from pathlib import Path

from api import readiness
from fonoteka.core.config import MailSection
from fonoteka.core.disk_forecast import DiskState
from fonoteka.core.disk_watch import DiskLook, follow, of_objects


class StoreDisk:
    """Watches the disk; `measured` is called with each look."""

    def __init__(self, objects: Path, mail: MailSection, *, measured: Callable[[DiskLook], None]) -> None:
        self._objects, self._mail, self._measured = objects, mail, measured
        self.state = DiskState.OK

    async def run(self) -> None:
        """Watch until cancelled. Raises OSError; may then be run again."""
        await follow(of_objects(self._objects, floor_bytes=readiness.LEAST_FREE_BYTES), self._mail, self._take)

    def _take(self, look: DiskLook) -> None:
        self.state = look.state
        self._measured(look)
