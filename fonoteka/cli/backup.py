"""`fonoteka backup` and `fonoteka restore`."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from fonoteka.cli.progress_bar import progress_bar
from fonoteka.core.config import Configuration
from store.audit.signing import key_file
from store.backup import backup as making
from store.backup import restore as restoring
from store.backup.folder import Summary
from store.encryption.master_key import MasterKeySource
from store.objects.folder import folder_of

_SHOWN: Final = 20


def backup(configuration: Configuration, target: Path, *, with_keys: bool, verify_all: bool) -> int:
    """Make a backup; print what was done; return the exit code.

    Raises ConfigurationError and StoreError.
    """
    _yield_to_calls()
    with progress_bar("recordings") as progress:
        done = making.make_backup(configuration.store, target, with_keys=with_keys, verify_all=verify_all, progress=progress)
    print(f"backup of {_described(done.summary)}")
    copied = f"{done.copied} ({done.copied_bytes / 1e6:.1f} MB)"
    print(f"files copied and checked: {copied}; files of deleted recordings dropped: {done.dropped}")
    objects = folder_of(configuration.store.objects)
    if objects.stat().st_dev == target.stat().st_dev:
        print(f"{target} is on the disk of the recordings: if that disk fails, both are lost")
    if not with_keys:
        missing = ", ".join(_keys(configuration, done.summary, objects))
        print(f"not in the backup: {missing}; keep copies apart from it, or add --with-keys")
    if done.lost:
        print(
            f"recordings or waveforms that the store lacks or cannot read: {len(done.lost)}; run: fonoteka verify", file=sys.stderr
        )
    return 1 if done.lost else 0


async def restored(configuration: Configuration, source: Path, *, without_damaged: bool) -> int:
    """Restore a backup; print what was done; return the exit code.

    Raises ConfigurationError and StoreError.
    """
    with progress_bar("recordings, checked and restored") as progress:
        summary, damaged = await restoring.restore(configuration.store, source, without_damaged=without_damaged, progress=progress)
    for line in damaged[:_SHOWN]:
        print(f"damaged in the backup: {line}", file=sys.stderr)
    if damaged and not without_damaged:
        print(f"nothing was restored; files damaged: {len(damaged)}; --without-damaged restores the others", file=sys.stderr)
        return 1
    print(f"restored: {_described(summary)}")
    print("sessions have ended; what was erased after that moment is back: erase it again; check with: fonoteka verify")
    return 1 if damaged else 0


def _described(summary: Summary) -> str:
    size = (summary.size_bytes + summary.index.size_bytes) / 1e6
    return f"{summary.made_at:%Y-%m-%d %H:%M:%S} UTC: the index and {summary.recordings} recordings, {size:.1f} MB"


def _keys(configuration: Configuration, summary: Summary, objects: Path) -> Iterator[str]:
    if summary.master_key_id is not None:
        source = MasterKeySource(configuration.store, objects)
        yield f"master key {summary.master_key_id} ({source}), without which nobody can play the recordings"
    yield f"the key of the audit log ({key_file(configuration.store.audit_key, objects)})"


def _yield_to_calls() -> None:
    """Let other processes have the processor and the disk first."""
    os.nice(19)
    psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
