"""Check the spool on this machine: writable, with free space."""

import shutil
from collections.abc import Iterator
from typing import Final

from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration
from fonoteka.core.errors import FonotekaError
from fonoteka.core.spool import Spool

LEAST_FREE_BYTES: Final = 1 << 30


def check(configuration: Configuration) -> Iterator[Finding]:
    """Check that recordings can be kept there until they are shipped."""
    spool = Spool(configuration.pbx.spool)
    try:
        spool.prepare()
    except FonotekaError as error:
        yield Finding(part="spool", check="writable", ok=False, detail=str(error))
        return
    free = shutil.disk_usage(spool.root).free
    yield Finding(part="spool", check="writable", ok=True, detail=str(spool.root))
    yield Finding(
        part="spool",
        check="room on the disk",
        ok=free >= LEAST_FREE_BYTES,
        detail=f"{free / 1e9:.1f} GB free",
        mend="recordings are kept here until they are shipped: free some room",
    )
