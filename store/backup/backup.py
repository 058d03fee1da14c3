"""Make a backup of a store, while the service runs.

First the index is copied, then the files that it names and the backup lacks. A file that was
deleted meanwhile (retention, an erasure) is missing then: index and files are taken once more,
until nothing is missing but what the store itself has lost. `backup.json` is replaced last.
"""

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final
from uuid import uuid4

from fonoteka import __version__
from fonoteka.core.atomic_file import create_private, sync_folder
from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, ObjectDamaged, StoreError
from fonoteka.core.naming import peaks_key
from store.audit.signing import key_file
from store.backup.files import content_of, place
from store.backup.folder import FORMAT, BackupFolder, ListedFile, NamedFile, Recording, Summary
from store.backup.snapshot import audio_count, audio_keys, check_places, master_key_id, take_snapshot, unopened
from store.encryption.master_key import MasterKeySource

MASTER_KEY: Final = "keys/master.key"
AUDIT_KEY: Final = "keys/audit.key"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

Progress = Callable[[int, int], None]
"""Called with the recordings that were looked at, and how many there are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """Where the keys of a store are."""

    master: MasterKeySource
    audit: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """What was done. `lost` are the keys of objects that the store itself lacks or cannot read."""

    summary: Summary
    copied: int
    copied_bytes: int
    dropped: int
    lost: tuple[str, ...]


def make_backup(
    section: StoreSection,
    target: Path,
    *,
    with_keys: bool = False,
    verify_all: bool = False,
    progress: Progress = lambda done, total: None,
) -> Backup:
    """Make the folder `target` a backup of a store; a former one there becomes it.

    New files are read again after they were written; with `verify_all` all others too. Raises
    ConfigurationError and StoreError.
    """
    store, objects, index = unopened(section)
    _check_places(index, objects.root, target)
    folder = BackupFolder(target)
    with ExitStack() as stack:
        stack.enter_context(folder.locked())
        try:
            # A new key would not be in the copy of the index that was made before.
            stack.enter_context(objects.replacing())
        except BlockingIOError as error:
            raise ConfigurationError("`fonoteka keys` replaces recordings: make the backup after its end") from error
        try:
            audit_key = key_file(section.audit_key, objects.root)
            run = _Run(index, objects.root, folder, verify_all=verify_all, progress=progress)
            return run.run(Keys(master=store.keys.source, audit=audit_key) if with_keys else None)
        except OSError as error:
            reason = "is full: free space there" if error.errno in _FULL else f"cannot be written: {error}"
            raise StoreError(f"'{target}' {reason}; the former backup in it, if there is one, stays usable") from error


def _check_places(index: Path, objects: Path, target: Path) -> None:
    """Raises ConfigurationError if there is nothing to save, or the folder is of something else."""
    if not index.is_file():
        raise ConfigurationError(f"store.database: there is no index '{index}'; is this the right configuration?")
    if not (objects / ".incoming").is_dir():
        raise ConfigurationError(f"store.objects: '{objects}' is not a folder of recordings: is its disk mounted?")
    root, kept = target.resolve(), objects.resolve()
    if root.is_relative_to(kept) or kept.is_relative_to(root) or index.resolve().is_relative_to(root):
        raise ConfigurationError(f"'{target}' holds the store, or is inside it: name another folder, best on another disk")
    summary = BackupFolder(target).summary()
    if summary is not None and (summary.database, summary.objects) != (str(index), str(objects)):
        raise ConfigurationError(f"'{target}' is a backup of '{summary.database}' and '{summary.objects}': name another folder")


@dataclass(slots=True)
class _Pass:
    """The recordings of one copy of the index."""

    recordings: int = 0
    size_bytes: int = 0
    lost: list[str] = field(default_factory=list)


class _Run:
    """One backup: the copies of the index, the files, the summary."""

    def __init__(self, index: Path, objects: Path, folder: BackupFolder, *, verify_all: bool, progress: Progress) -> None:
        self._index, self._objects, self._folder = index, objects, folder
        self._verify_all, self._progress = verify_all, progress
        self._id = uuid4().hex[:8]
        self._changed = {folder.root, folder.objects}  # folders to sync
        self._copied = self._copied_bytes = 0

    def run(self, keys: Keys | None) -> Backup:
        former = self._folder.summary()
        self._folder.sweep()
        index = self._folder.root / f"index-{self._id}.db"
        list_name = former.list.name if former is not None and self._is_intact(former.list) else None
        lost: list[str] | None = None
        for number in count():
            made_at = datetime.now(UTC)
            take_snapshot(self._index, index)
            check_places(index)
            listed = f"list-{self._id}-{number}.jsonl"
            found = self._pass(index, list_name, listed)
            list_name = listed
            if not found.lost or found.lost == lost:
                break
            lost = found.lost
        for changed in self._changed:
            sync_folder(changed)
        summary = Summary(
            format=FORMAT,
            version=__version__,
            made_at=made_at,
            database=str(self._index),
            objects=str(self._objects),
            index=self._named(index.name),
            list=self._named(listed),
            recordings=found.recordings,
            size_bytes=found.size_bytes,
            master_key_id=master_key_id(index),
            keys=tuple(self._saved(keys, index)) if keys is not None else (),
        )
        self._folder.publish(summary)
        self._folder.sweep()
        dropped = self._folder.prune(listed)
        return Backup(
            summary=summary, copied=self._copied, copied_bytes=self._copied_bytes, dropped=dropped, lost=tuple(found.lost)
        )

    def _is_intact(self, file: NamedFile) -> bool:
        """Return whether the former list is what was written; if not, all is copied again."""
        try:
            return content_of(self._folder.root / file.name, from_disk=True) == (file.sha256, file.size_bytes)
        except (FileNotFoundError, ObjectDamaged):
            return False

    def _pass(self, index: Path, former_list: str | None, listed: str) -> _Pass:
        """Take the files that an index names, and write the list of them."""
        former = _Former(self._folder.recordings(former_list) if former_list is not None else iter(()))
        found, total = _Pass(), audio_count(index)
        with (self._folder.root / listed).open("x", encoding="utf-8") as file:
            for done, key in enumerate(audio_keys(index), 1):
                if (recording := self._recording(key, former.of(key), found.lost)) is not None:
                    file.write(json.dumps(recording) + "\n")
                    found.recordings += 1
                    found.size_bytes += sum(part.size_bytes for _, part in recording.objects())
                self._progress(done, total)
            file.flush()
            os.fsync(file.fileno())
        return found

    def _recording(self, key: str, former: Recording | None, lost: list[str]) -> Recording | None:
        audio = self._kept(key, former.audio if former is not None else None, lost)
        peaks = self._kept(peaks_key(key), former.peaks if former is not None else None, lost)
        return Recording(key, audio, peaks) if audio is not None else None

    def _kept(self, key: str, former: ListedFile | None, lost: list[str]) -> ListedFile | None:
        """Return an object's file in the backup: the former one, or a new one if it has changed.

        An object that the store has lost stays in the backup.
        """
        path = self._objects / key
        is_there = former is not None and self._is_there(key, former)
        try:
            stat = path.stat()
            if is_there and former is not None and (former.size_bytes, former.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                return former
            return self._taken(key, path, stat.st_mtime_ns)
        except (FileNotFoundError, ObjectDamaged):
            lost.append(key)
            return former if is_there else None

    def _is_there(self, key: str, former: ListedFile) -> bool:
        path = self._folder.path(key, former)
        try:
            if path.stat().st_size != former.size_bytes:
                return False
            return not self._verify_all or content_of(path, from_disk=True).sha256 == former.sha256
        except (FileNotFoundError, ObjectDamaged):
            return False

    def _taken(self, key: str, path: Path, mtime_ns: int) -> ListedFile:
        draft = self._folder.incoming / self._id
        content = place(path, draft)
        taken = ListedFile(content.sha256, content.size_bytes, mtime_ns)
        target = self._folder.path(key, taken)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.replace(target)
        draft.unlink(missing_ok=True)  # the rename of a link to a file onto that file does nothing
        self._changed |= {target.parent, *(parent for parent in target.parents if parent.is_relative_to(self._folder.objects))}
        self._copied += 1
        self._copied_bytes += content.size_bytes
        return taken

    def _named(self, name: str) -> NamedFile:
        """Return the description of a file as it is on the disk."""
        content = content_of(self._folder.root / name, from_disk=True)
        return NamedFile(name=name, sha256=content.sha256, size_bytes=content.size_bytes)

    def _saved(self, keys: Keys, index: Path) -> Iterator[NamedFile]:
        """Write the keys into the backup."""
        self._folder.keys.mkdir(mode=0o700, exist_ok=True)
        if (key_id := master_key_id(index)) is not None:
            yield self._written(f"{MASTER_KEY}.{self._id}", f"{keys.master.load(key_id).text}\n".encode())
        if keys.audit.is_file():
            yield self._written(f"{AUDIT_KEY}.{self._id}", keys.audit.read_bytes())

    def _written(self, name: str, content: bytes) -> NamedFile:
        create_private(self._folder.root / name, content)
        return self._named(name)


class _Former:
    """The recordings of the former list, asked for in the order of their keys."""

    def __init__(self, recordings: Iterator[Recording]) -> None:
        self._rest = recordings
        self._next = next(self._rest, None)

    def of(self, key: str) -> Recording | None:
        while self._next is not None and self._next.key < key:
            self._next = next(self._rest, None)
        return self._next if self._next is not None and self._next.key == key else None
