"""Removal of deleted rows from the files of an SQLite index.

`PRAGMA secure_delete` (`store.database.dialect`) overwrites a row in its page. Two copies stay: the
former pages, in the write-ahead log until it is truncated; and a cell that SQLite has moved to
another page, in the gap that it left. Only VACUUM clears such a gap, so it runs if the files still
have the text that was erased.
"""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import structlog

_WAITS_MS: Final = 50  # for readers of the log: new writers wait meanwhile
_LARGEST_BYTES: Final = 2**30  # of an index that is written again: writers wait for some 20 s
_ANSWERS: Final = {10: True, 11: False}  # 1 is that of an error
_SEARCH: Final = """
import mmap, sys
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
    sys.exit(10 if any(content.find(text) >= 0 for text in sys.stdin.buffer.read().split(b"\\0")) else 11)
"""

log = structlog.get_logger()


def truncate_journal(index: Path) -> bool:
    """Write the log into the index and cut it to no bytes; False if a transaction needs it."""
    with closing(sqlite3.connect(index, isolation_level=None, timeout=_WAITS_MS / 1000)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # most of it, while others write
        busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy


def has_any(index: Path, texts: Sequence[str]) -> bool:
    """Whether the file of an index has one of some texts anywhere. Raises OSError.

    Another process looks: to close a file drops all locks that the process has on it, and SQLite
    needs its own (sqlite.org/howtocorrupt.html, 2.2).
    """
    if not texts:
        return False
    command = [sys.executable, "-I", "-c", _SEARCH, str(index)]
    search = subprocess.run(command, input="\0".join(texts).encode(), capture_output=True, check=False)
    if search.returncode not in _ANSWERS:
        raise OSError(f"the index cannot be searched: {search.stderr.decode(errors='replace')[-200:]}")
    return _ANSWERS[search.returncode]


def vacuum(index: Path) -> None:
    """Write an index again without what was deleted, unless it is large: writers wait meanwhile."""
    if index.stat().st_size > _LARGEST_BYTES:
        log.warning("index.not_purged", reason="it is large: stop Fonoteka, and run VACUUM in it")
        return
    begun = time.perf_counter()
    with closing(sqlite3.connect(index, isolation_level=None, timeout=10)) as connection:
        connection.execute("VACUUM")
    log.info("index.vacuumed", seconds=round(time.perf_counter() - begun, 3))
