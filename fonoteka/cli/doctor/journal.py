"""Check the CEL journal: it can be read, has the columns that the agent reads, and grows."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from agent.cel.journal import COLUMNS, FEWEST_COLUMNS, CelJournal
from fonoteka.cli.doctor.finding import Finding

_CHECK: Final = "journal"
_KIT: Final = "take asterisk_conf/cel.conf and cel_custom.conf, then module reload cel and cel_custom.so"
_WRITTEN_WITHIN: Final = timedelta(seconds=5)
# The first release of each branch in which CEL no longer costs much on a busy PBX.
_CHEAP_FROM: Final = {20: 19, 22: 9, 23: 3}
_FIRST_CHEAP_BRANCH: Final = 24


def check(path: Path, newest_channel_at: datetime | None) -> Finding:
    """Check the journal. `newest_channel_at` is when the newest living channel began."""
    try:
        written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        columns = CelJournal(path=path).last_columns()
    except FileNotFoundError:
        detail = f"pbx.cel_journal = {str(path)!r} does not exist; Asterisk creates it at the first call"
        return _finding(None, detail, "pbx.cel_journal must be the file that cel_custom.conf names; its folder must exist")
    except OSError as error:
        return _finding(False, f"{path} cannot be read: {error.strerror}", "give Fonoteka's user Asterisk's group")
    if newest_channel_at is not None and written_at < newest_channel_at - _WRITTEN_WITHIN:
        detail = f"does not grow: a channel began at {newest_channel_at:%H:%M:%S}, the last row is of {written_at:%F %H:%M:%S}"
        return _finding(False, detail, _KIT)
    if columns is None and path.stat().st_size:
        return _finding(False, f"{path} ends with no row that the agent can read", _KIT)
    if columns is not None and columns < COLUMNS:
        missing = "who rings whom" if columns < FEWEST_COLUMNS + 1 else "the account code, which names a callback's company,"
        return _finding(False, f"its rows have {columns} columns of {COLUMNS}: {missing} is missing", _KIT)
    return _finding(True, f"{path} can be read" + ("" if columns else "; no call yet"), "")


def cost(version: str) -> Iterator[Finding]:
    """Warn if CEL costs much in this version of Asterisk."""
    found = re.search(r"(\d+)\.(\d+)", version)
    if found is None:
        return
    branch, release = int(found[1]), int(found[2])
    if branch < _FIRST_CHEAP_BRANCH and release < _CHEAP_FROM.get(branch, release + 1):
        yield Finding(
            part="kit",
            check="cost of the journal",
            ok=None,
            detail=f"Asterisk {version}: CEL costs much processor time before 20.19, 22.9 and 23.3",
            mend="watch the load of a busy PBX after enabling CEL, or upgrade Asterisk",
        )


def _finding(ok: bool | None, detail: str, mend: str) -> Finding:
    return Finding(part="kit", check=_CHECK, ok=ok, detail=detail, mend=mend)
