"""Keep the reports of calls that the store refused for good, until an operator has looked at them.

One file per report in `refused/` of the spool: `NAME.json`, or `NAME.again` once it is to be sent
again (`fonoteka spool retry`). The report of a later revision replaces an earlier one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError

from fonoteka.core.atomic_file import write_atomically
from fonoteka.core.call_report import CallReport
from fonoteka.core.errors import SpoolError
from fonoteka.core.naming import safe
from fonoteka.core.plain_file import read_plain

ASIDE: Final = ".json"
AGAIN: Final = ".again"
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedCall:
    """A report that the store refused, with its reason."""

    at: datetime
    reason: str
    report: CallReport


_FILE: Final = TypeAdapter(RefusedCall)
_SEPARATOR: Final = "\n"


def report_key(report: CallReport) -> str:
    """Return the key of a call's report: its linkedid, for a further domain with the domain."""
    return f"{report.linkedid}{_SEPARATOR}{report.domain}" if report.further else report.linkedid


def linkedid_of(key: str) -> str:
    """Return the linkedid in the key of a report."""
    return key.partition(_SEPARATOR)[0]


def read_refused(path: Path) -> RefusedCall:
    """Read a file of `refused/`. Raises SpoolError."""
    try:
        return _FILE.validate_json(read_plain(path))
    except (OSError, ValidationError) as error:
        raise SpoolError(f"{path}: {error}") from error


class RefusedCalls:
    """The folder `refused/` of a spool, in which the agent alone writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = {path.stem for path in folder.glob(f"*{ASIDE}")} if folder.is_dir() else set()

    def __contains__(self, key: str) -> bool:
        """Whether a report is kept."""
        return safe(key) in self._names

    def keep(self, report: CallReport, reason: str) -> None:
        """Write a report with the reason of its refusal; it is then on the disk. Raises OSError."""
        content = _FILE.dump_json(RefusedCall(at=datetime.now(UTC), reason=reason, report=report))
        key = report_key(report)
        write_atomically(self._path(key, ASIDE), content, sync=True)
        self._path(key, AGAIN).unlink(missing_ok=True)
        self._names.add(safe(key))

    def remove(self, key: str) -> None:
        """Remove a report that the store has taken, or whose call it has deleted."""
        for kind in (ASIDE, AGAIN):
            self._path(key, kind).unlink(missing_ok=True)
        self._names.discard(safe(key))

    def asked_again(self) -> list[CallReport]:
        """Return the reports that are to be sent again. A broken file is logged and set aside."""
        return list(self._asked_again())

    def _asked_again(self) -> Iterator[CallReport]:
        for path in sorted(self._folder.glob(f"*{AGAIN}")):
            self._names.add(path.stem)
            try:
                yield read_refused(path).report
            except SpoolError as error:
                _log.error("refused_call.unreadable", file=str(path), reason=str(error))
                path.replace(path.with_suffix(ASIDE))

    def _path(self, key: str, kind: str) -> Path:
        return self._folder / f"{safe(key)}{kind}"
