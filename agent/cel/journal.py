"""Read the CEL journal that `asterisk_conf/cel_custom.conf` lets Asterisk write.

The reader finds a row by its time and keeps no position, so it reads a rotated, truncated or
replaced file in the same way. It holds one row in memory, whatever the size of the file.
"""

import csv
import errno
import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

# Rows are written in the order in which Asterisk processes them, which is milliseconds from the
# order of their times.
DISORDER: Final = timedelta(seconds=2)
LONGEST_ROW: Final = 64 * 1024
_SEARCH_BYTES: Final = 256 * 1024
# Every quote in a value is doubled, so no value can look like the begin of a row on a line.
_BEGIN: Final = re.compile(rb'"[A-Z_]{1,40}","(\d{1,12}(?:\.\d{1,9})?)","')


class CelRow(NamedTuple):
    """One row: the columns of `asterisk_conf/cel_custom.conf` in their order.

    An older `cel_custom.conf` does not write the last two columns.
    """

    event: str
    at: datetime
    linkedid: str
    uniqueid: str
    channel: str
    number: str
    name: str
    exten: str
    context: str
    application: str
    peer: str
    extra: str
    arguments: str = ""
    account: str = ""


COLUMNS: Final = len(CelRow._fields)
FEWEST_COLUMNS: Final = COLUMNS - len(CelRow._field_defaults)


@dataclass(kw_only=True)
class CelJournal:
    """A journal and its rotated files. `damaged` counts what was no row."""

    path: Path
    damaged: int = field(default=0, init=False)

    def rows(self, since: datetime, until: datetime) -> Iterator[CelRow]:
        """Yield the rows of a time span, nearly in order of time. Raises OSError."""
        for path in self._files(since):
            with path.open("rb") as file:
                if path.suffix == ".gz":
                    rows = self._unpacked(file)
                else:
                    file.seek(_offset(file, (since - DISORDER).timestamp()))
                    rows = self._rows(file)
                # Not until the first later row: before a clock was set back, rows are later.
                yield from (row for row in rows if since <= row.at <= until)

    def last_columns(self) -> int | None:
        """Return the number of columns of the last row, None if there is no row. Raises OSError."""
        with self.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _SEARCH_BYTES))
            found = 0
            for text in _candidates(file):
                with suppress(ValueError):
                    found = len(_values(text))
        return found or None

    def _files(self, since: datetime) -> list[Path]:
        """Return the files that were written since then, the oldest first."""
        found = []
        for path in self.path.parent.iterdir():
            if path == self.path or path.name.startswith((f"{self.path.name}.", f"{self.path.name}-")):
                with suppress(FileNotFoundError):  # it may be rotated at this moment
                    if stat.S_ISREG((known := path.stat()).st_mode):  # a FIFO would hold the agent for ever
                        found.append((known.st_mtime, path))
        if not found:
            raise FileNotFoundError(errno.ENOENT, "there is no journal", str(self.path))
        return [path for mtime, path in sorted(found) if mtime >= since.timestamp()]

    def _unpacked(self, file: BinaryIO) -> Iterator[CelRow]:
        try:
            yield from self._rows(gzip.GzipFile(fileobj=file))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.damaged += 1

    def _rows(self, file: BinaryIO | gzip.GzipFile) -> Iterator[CelRow]:
        for text in _candidates(file):
            row = _parsed(text)
            if row is None:
                self.damaged += 1
            else:
                yield row


def _candidates(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    """Yield the text of each row, and each line after the first row that belongs to none.

    A value that holds a line end makes a row of several lines. Before the first row there may be
    the rest of another one, as reading begins anywhere.
    """
    row, quotes, began = b"", 0, False
    while line := file.readline(LONGEST_ROW):
        begins = _BEGIN.match(line) is not None
        if row and (begins or len(row) > LONGEST_ROW):
            yield row
            row, quotes = b"", 0
        began = began or begins
        if not began:
            continue
        row, quotes = row + line, quotes + line.count(b'"')
        if quotes % 2 == 0:
            yield row
            row, quotes = b"", 0
    if row:
        yield row


def _values(text: bytes) -> list[str]:
    """Return the columns of a row. Raises ValueError."""
    text = text.rstrip(b"\r\n")
    if not text.endswith(b'"'):
        raise ValueError("cut behind a comma")
    try:
        (values,) = csv.reader([text.decode("utf-8", "replace")], strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return values


def _parsed(text: bytes) -> CelRow | None:
    """Return the row, None if it is none."""
    try:
        columns = _values(text)[:COLUMNS]
        if len(columns) < FEWEST_COLUMNS:
            return None
        return CelRow(columns[0], datetime.fromtimestamp(float(columns[1]), UTC), *columns[2:])
    except (ValueError, OverflowError, OSError):
        return None


def _offset(file: BinaryIO, since_s: float) -> int:
    """Return a place in the file before which all rows are older: a binary search by time."""
    low, high = 0, os.fstat(file.fileno()).st_size
    while high - low > LONGEST_ROW:
        middle = (low + high) // 2
        at_s = _time_at(file, middle)
        if at_s is not None and at_s < since_s:
            low = middle
        else:
            high = middle
    return low


def _time_at(file: BinaryIO, offset: int) -> float | None:
    """Return the time of the first row that begins after this place and near it."""
    file.seek(offset)
    file.readline(_SEARCH_BYTES)
    while file.tell() < offset + _SEARCH_BYTES and (line := file.readline(LONGEST_ROW)):
        if begin := _BEGIN.match(line):
            return float(begin[1])
    return None
