"""Check the disks of the spool and of the recordings: free space, and how long it lasts."""

from collections.abc import Iterator
from typing import Final

from api.readiness import LEAST_FREE_BYTES
from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration
from fonoteka.core.disk_forecast import DiskState
from fonoteka.core.disk_watch import DiskWatch, of_objects, of_spool
from fonoteka.core.errors import ConfigurationError
from store.objects.places import workspace_of

_SPOOL: Final = "recordings wait here until they are shipped; with less than pbx.least_free_mb no recording begins: free some space"
_STORE: Final = "without space recordings wait on the PBX: free some, or shorten retention_days"


def check(configuration: Configuration) -> Iterator[Finding]:
    """Check the disks that are on this machine."""
    yield from _room("spool", of_spool(configuration.pbx), _SPOOL)
    try:
        objects = workspace_of(configuration.store)
    except ConfigurationError:
        return  # the check of the store says so
    yield from _room("store", of_objects(objects, floor_bytes=LEAST_FREE_BYTES), _STORE)


def _room(part: str, watch: DiskWatch, mend: str) -> Iterator[Finding]:
    if watch.folder.is_dir():
        look = watch.look()
        yield Finding(part=part, check="room on the disk", ok=look.state is DiskState.OK, detail=str(look), mend=mend)
