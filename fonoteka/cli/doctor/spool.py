"""Check that the spool on this machine is writable."""

from collections.abc import Iterator

from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration
from fonoteka.core.errors import FonotekaError
from fonoteka.core.spool import Spool


def check(configuration: Configuration) -> Iterator[Finding]:
    """Check that recordings can be kept there until they are shipped."""
    spool = Spool(configuration.pbx.spool)
    try:
        spool.prepare()
    except FonotekaError as error:
        yield Finding(part="spool", check="writable", ok=False, detail=str(error))
    else:
        yield Finding(part="spool", check="writable", ok=True, detail=str(spool.root))
