"""Restore a store from a backup, into a place where no store is.

Everything is checked before anything is written. The index gets its name last: a restore that was
interrupted leaves no store, and goes on when it is run again.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from sqlalchemy import delete, update

from fonoteka.core.atomic_file import create_private, sync_folder, write_atomically
from fonoteka.core.config import StoreSection
from fonoteka.core.errors import ConfigurationError, ObjectDamaged, StoreError
from store.audit.signing import key_file
from store.backup.backup import AUDIT_KEY, MASTER_KEY, Progress
from store.backup.files import content_of, place
from store.backup.folder import BackupFolder, ListedFile, Summary
from store.backup.snapshot import unopened
from store.database.schema import segments, sessions, settings
from store.database.store import Store

_MARK: Final = "restoring"  # in objects/.incoming: the backup that is being restored
_VERSIONS_SKIPPED: Final = 1_000_000


async def restore(
    section: StoreSection, source: Path, *, without_damaged: bool = False, progress: Progress = lambda done, total: None
) -> tuple[Summary, list[str]]:
    """Restore the backup in `source`; return its summary and what is damaged in it.

    If objects are damaged nothing is written, or `without_damaged` all others are. Raises
    ConfigurationError, and StoreError if the index itself is damaged.
    """
    folder = BackupFolder(source)
    if (summary := folder.summary()) is None:
        raise ConfigurationError(f"'{source}' has no backup.json: it is not a backup, or its first one was interrupted")
    store, objects, index = unopened(section)
    _check_target(index, objects.root, summary)
    damaged = _damaged(folder, summary, progress)
    if damaged and not without_damaged:
        return summary, damaged
    _restore_keys(folder, summary, store, key_file(section.audit_key, objects.root))
    try:
        _restore_objects(folder, summary, objects.root, progress)
        await _restore_index(folder.root / summary.index.name, index, section)
        (objects.root / ".incoming" / _MARK).unlink()
    except OSError as error:
        raise StoreError(f"'{error.filename or index}' cannot be written: {error.strerror}; run the command again") from error
    return summary, damaged


def _check_target(index: Path, objects: Path, summary: Summary) -> None:
    """Raises ConfigurationError if a store is there; what an earlier run has restored may be."""
    for path in (index, *(index.with_name(index.name + end) for end in ("-wal", "-journal"))):
        if path.exists():
            raise ConfigurationError(f"store.database: '{path}' exists; restore writes where no store is: move it away")
    mark = objects / ".incoming" / _MARK
    if mark.is_file() and mark.read_text(encoding="ascii") == summary.list.sha256:
        return
    if objects.is_dir() and any(path for path in objects.rglob("*") if not path.is_dir()):
        raise ConfigurationError(f"store.objects: '{objects}' is not empty; restore writes where no store is: move it away")


def _damaged(folder: BackupFolder, summary: Summary, progress: Progress) -> list[str]:
    """Compare the backup with its list. Raises StoreError if nothing can be restored."""
    for file in summary.files():
        try:
            found = content_of(folder.root / file.name, from_disk=True)
        except FileNotFoundError as error:
            raise StoreError(f"'{error.filename}' is missing: the backup cannot be restored") from error
        if found != (file.sha256, file.size_bytes):
            raise StoreError(f"'{folder.root / file.name}' is not what was written: the backup cannot be restored")
    damaged = []
    for done, recording in enumerate(folder.recordings(summary.list.name), 1):
        for key, listed in recording.objects():
            try:
                if content_of(folder.path(key, listed), from_disk=True) != listed[:2]:
                    damaged.append(f"{key}: has other bytes than were written")
            except FileNotFoundError:
                damaged.append(f"{key}: is missing")
            except ObjectDamaged as error:
                damaged.append(f"{key}: {error}")
        progress(done, 2 * summary.recordings)
    return damaged


def _restore_keys(folder: BackupFolder, summary: Summary, store: Store, audit: Path) -> None:
    """Put keys of the backup where there are none. Raises ConfigurationError if one is missing."""
    master = store.keys.source
    for kind, target in ((MASTER_KEY, master.file if master.is_file else None), (AUDIT_KEY, audit)):
        saved = next((file.name for file in summary.keys if file.name.startswith(kind)), None)
        if saved is not None and target is not None and not target.exists():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_private(target, (folder.root / saved).read_bytes())
    if summary.master_key_id is not None:
        master.load(summary.master_key_id)


def _restore_objects(folder: BackupFolder, summary: Summary, root: Path, progress: Progress) -> None:
    """Write every object that is not damaged."""
    incoming = root / ".incoming"
    incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(incoming / _MARK, summary.list.sha256.encode(), sync=True)
    changed = {root}
    for done, recording in enumerate(folder.recordings(summary.list.name), summary.recordings + 1):
        for key, listed in recording.objects():
            target = root / key
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _restored(folder.path(key, listed), listed, target, incoming / "restored"):
                changed |= {target.parent, *(parent for parent in target.parents if parent.is_relative_to(root))}
        progress(done, 2 * summary.recordings)
    for place_ in changed:
        sync_folder(place_)


def _restored(source: Path, listed: ListedFile, target: Path, draft: Path) -> bool:
    try:
        if target.exists() and content_of(target) == listed[:2]:
            return False
        if place(source, draft) == listed[:2]:
            draft.replace(target)
            return True
    except (FileNotFoundError, ObjectDamaged):
        pass
    finally:
        draft.unlink(missing_ok=True)
    return False


async def _restore_index(source: Path, index: Path, section: StoreSection) -> None:
    """Migrate a copy of the index, end its sessions, and give it its name."""
    draft = index.with_name(f"{index.name}.restoring")
    for left in (draft, *(draft.with_name(draft.name + end) for end in ("-wal", "-shm", "-journal"))):
        left.unlink(missing_ok=True)
    index.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        source.open("rb") as saved,
        os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file,
    ):
        shutil.copyfileobj(saved, file, 1024 * 1024)
    store = await Store.open(section.model_copy(update={"database": f"sqlite:///{draft}"}))
    try:
        async with store.writing() as connection:
            # Sessions that were ended after the backup would be open again.
            await connection.execute(delete(sessions))
            # Agents may know newer settings than the backup has: no version is used twice.
            await connection.execute(update(settings).values(version=settings.c.version + _VERSIONS_SKIPPED))
            # Objects that were about to be deleted are not in the backup.
            await connection.execute(update(segments).where(segments.c.expired_at.is_not(None)).values(object_key=None))
    finally:
        await store.close()  # the last connection writes the journal into the file
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(index)
    sync_folder(index.parent)
