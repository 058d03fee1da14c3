"""The folder of a backup.

    backup.json     says which files are the backup; it is replaced last, in one step
    index-ID.db     the SQLite index at one moment
    list-ID.jsonl   the recordings that this index names, in the order of their keys
    objects/        their files: the key, and the beginning of the SHA-256
    keys/           the master key and the key of the audit log, if they were asked for

A file whose bytes changed gets another name, so a backup that was interrupted alters no file of the
former one, which stays usable. What `backup.json` does not name is deleted by the next backup.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from fonoteka.core.atomic_file import write_atomically
from fonoteka.core.errors import ConfigurationError
from fonoteka.core.naming import peaks_key

FORMAT: Final = 1
_SUMMARY: Final = "backup.json"
_INTERRUPTED: Final = re.compile(r"\.lock|\.incoming|objects|keys|index-.*|list-.*|\.backup\.json\.new")  # the first backup


class ListedFile(NamedTuple):
    """A file of an object: its bytes, and its change time in the store when it was taken."""

    sha256: str
    size_bytes: int
    mtime_ns: int


class Recording(NamedTuple):
    """A recording of the list; the key is that of its audio. Missing peaks are None."""

    key: str
    audio: ListedFile
    peaks: ListedFile | None

    def objects(self) -> Iterator[tuple[str, ListedFile]]:
        """Yield the key and the file of each object."""
        yield self.key, self.audio
        if self.peaks is not None:
            yield peaks_key(self.key), self.peaks


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedFile:
    """A file of the backup beside the objects."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The content of `backup.json`. `database` and `objects` say of which store the backup is."""

    format: int
    version: str
    made_at: datetime
    database: str
    objects: str
    index: NamedFile
    list: NamedFile
    recordings: int
    size_bytes: int
    master_key_id: str | None
    keys: tuple[NamedFile, ...]

    def files(self) -> Iterator[NamedFile]:
        """Yield the files beside the objects."""
        yield from (self.index, self.list, *self.keys)


_ADAPTER: Final = TypeAdapter(Summary)


class BackupFolder:
    """The folder of a backup at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects, self.keys, self.incoming = root / "objects", root / "keys", root / ".incoming"

    def path(self, key: str, file: ListedFile) -> Path:
        """Return the path of an object's file."""
        return self.objects / f"{key}.{file.sha256[:16]}"

    def summary(self) -> Summary | None:
        """Return what the folder holds; None if it is empty. Raises ConfigurationError."""
        try:
            summary = _ADAPTER.validate_json((self.root / _SUMMARY).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise ConfigurationError(f"'{self.root / _SUMMARY}' is not of a backup: {error}") from error
        if summary.format != FORMAT:
            raise ConfigurationError(f"'{self.root}' is a backup of format {summary.format}; this version reads {FORMAT}")
        return summary

    def publish(self, summary: Summary) -> None:
        """Make the files of a summary the backup, durably."""
        write_atomically(self.root / _SUMMARY, _ADAPTER.dump_json(summary, indent=1) + b"\n", sync=True)

    def recordings(self, name: str) -> Iterator[Recording]:
        """Read a list, in the order of its keys."""
        with (self.root / name).open(encoding="utf-8") as lines:
            for line in lines:
                key, audio, peaks = json.loads(line)
                yield Recording(key, ListedFile(*audio), ListedFile(*peaks) if peaks is not None else None)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if it is missing; keep other backups out. Raises ConfigurationError."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.summary() is None and not all(_INTERRUPTED.fullmatch(path.name) for path in self.root.iterdir()):
                raise ConfigurationError(f"'{self.root}' is not empty, and not a backup: name an empty folder")
            with (self.root / ".lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.objects.mkdir(mode=0o700, exist_ok=True)
                self.incoming.mkdir(mode=0o700, exist_ok=True)
                yield
        except BlockingIOError as error:
            raise ConfigurationError(f"another backup into '{self.root}' runs: wait for its end") from error
        except PermissionError as error:
            raise ConfigurationError(f"'{error.filename}' cannot be written: {error.strerror} (uid {os.getuid()})") from error

    def sweep(self) -> None:
        """Delete what an interrupted backup left beside the objects."""
        summary = self.summary()
        named = {file.name for file in summary.files()} if summary is not None else set()
        for path in (*self.root.glob("index-*"), *self.root.glob("list-*"), *self.keys.glob("*"), *self.incoming.iterdir()):
            if path.relative_to(self.root).as_posix() not in named:
                path.unlink()

    def prune(self, list_name: str) -> int:
        """Delete the objects that a list does not name; return their number."""
        deleted, folders = 0, {self.objects}
        named = (self.path(key, file) for recording in self.recordings(list_name) for key, file in recording.objects())
        for folder, paths in groupby(named, lambda path: path.parent):  # keys of a folder are adjacent
            folders |= {folder, *folder.parents}
            names = {path.name for path in paths}
            deleted += _delete(path for path in folder.iterdir() if path.name not in names and not path.is_dir())
        for place, _, files in os.walk(self.objects, topdown=False):
            folder = Path(place)
            if folder not in folders:
                deleted += _delete(folder / name for name in files)
                with suppress(OSError):
                    folder.rmdir()
        return deleted


def _delete(paths: Iterator[Path]) -> int:
    found = list(paths)
    for path in found:
        path.unlink()
    return len(found)
