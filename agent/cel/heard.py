"""The time until which the spool has all that the agent heard of Asterisk: where a gap begins."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from fonoteka.core.atomic_file import write_atomically
from fonoteka.core.plain_file import read_plain

TOUCHED_EVERY: Final = timedelta(seconds=10)
_log = structlog.get_logger()


class HeardUntil:
    """A file with one time. `link_file` is what an older agent has left instead."""

    def __init__(self, path: Path, link_file: Path) -> None:
        self._path, self._link_file = path, link_file

    def read(self) -> datetime | None:
        """Return the time that the last run wrote; None if this spool has had no agent."""
        try:
            at = datetime.fromisoformat(read_plain(self._path).decode("ascii"))
            return at if at.tzinfo is not None else None
        except (OSError, ValueError):
            pass
        try:
            return datetime.fromtimestamp(self._link_file.stat().st_mtime, UTC) - TOUCHED_EVERY
        except OSError:
            return None

    def write(self, at: datetime) -> None:
        """Replace the time. It need not survive the machine: an older time only costs reading.

        On a full disk the older time stays: the calls since then are read again.
        """
        try:
            write_atomically(self._path, at.isoformat().encode(), sync=False)
        except OSError as error:
            _log.error("heard.not_written", file=str(self._path), reason=str(error))
