"""A copy of a SQLite index at one moment, while others write."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, StoreError
from fonoteka.core.naming import PLACED
from store.database.dialect import engine_for, index_file
from store.database.store import Store
from store.objects.bucket_place import is_bucket
from store.objects.folder import ObjectFolder, folder_of


def unopened(section: StoreSection) -> tuple[Store, ObjectFolder, Path]:
    """Return a store that is not opened, its folder of objects, and its SQLite file.

    So nothing is made or migrated. Raises ConfigurationError, which for PostgreSQL and for S3 says
    how their backups are made.
    """
    if is_bucket(section.objects):
        raise ConfigurationError(
            "store.objects is in S3: this command is for a folder of objects. Let the S3 server keep copies of the bucket "
            "(replication), and back up the index and the keys' files; see the operator's guide, Backup"
        )
    store = Store(engine_for(section.database, create=False), section)
    if (file := index_file(store.engine)) is None:
        raise ConfigurationError(
            "store.database is PostgreSQL: copy the folder of store.objects (rsync -a --delete), then run pg_dump or "
            "pg_basebackup, then copy the folder again (rsync -a); see the operator's guide, Backup"
        )
    return store, ObjectFolder(folder_of(section.objects), store.keys), file.absolute()


def take_snapshot(index: Path, target: Path) -> None:
    """Copy an index in one read transaction, durably, and check the copy. Raises StoreError.

    `VACUUM INTO` instead of SQLite's backup API: writers do not wait for either, but the API copies
    unused pages too, in which rows that were deleted or erased can still be read.
    """
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with opened(index, "rw") as source:
        source.execute("VACUUM INTO ?", (str(target),))
    with target.open("rb") as file:
        os.fsync(file.fileno())
    with opened(target, "ro") as copy:
        problems = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(3)") if row[0] != "ok"]
        problems += [f"a row of {row[0]} names a missing row of {row[2]}" for row in copy.execute("PRAGMA foreign_key_check")][:3]
    if problems:
        raise StoreError(f"the index '{index}' is damaged: {'; '.join(problems)}")


def audio_keys(index: Path) -> Iterator[str]:
    """Yield the keys of all audio that an index names, in their order. Raises StoreError."""
    query = "SELECT DISTINCT object_key FROM segments WHERE object_key IS NOT NULL AND expired_at IS NULL ORDER BY object_key"
    with opened(index, "ro") as connection:
        yield from (row[0] for row in connection.execute(query))


def check_places(index: Path) -> None:
    """Raise ConfigurationError if recordings are in buckets of domains, and StoreError."""
    query = "SELECT 1 FROM segments WHERE object_key LIKE ? AND expired_at IS NULL LIMIT 1"
    with opened(index, "ro") as connection:
        is_elsewhere = connection.execute(query, (f"{PLACED}%",)).fetchone() is not None
    if is_elsewhere:
        raise ConfigurationError(
            "recordings of some domains are in buckets of their own: this command is for a folder of objects. Copy the folder, "
            "let the S3 server keep copies of the buckets, and back up the index and the keys' files; see the operator's guide"
        )


def audio_count(index: Path) -> int:
    """Return the number of these keys. Raises StoreError."""
    query = "SELECT count(DISTINCT object_key) FROM segments WHERE object_key IS NOT NULL AND expired_at IS NULL"
    with opened(index, "ro") as connection:
        return int(connection.execute(query).fetchone()[0])


def master_key_id(index: Path) -> str | None:
    """Return the id of the master key of an index; None if its recordings are plain."""
    with opened(index, "ro") as connection:
        row = connection.execute("SELECT master_key_id FROM encryption").fetchone()
    return row[0] if row is not None else None


@contextmanager
def opened(index: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open an index that exists. Raises StoreError, also for errors of the block."""
    immutable = "&immutable=1" if mode == "ro" else ""  # a copy that nobody else has opened
    try:
        with closing(sqlite3.connect(f"file:{quote(str(index))}?mode={mode}{immutable}", uri=True, timeout=60)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise StoreError(f"the index '{index}' cannot be read: {error}") from error
