"""Write files that appear under their name only when complete, also in shared folders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

# Recordings are private: readable for the group (Asterisk, agent and mixer may be different users
# of one group), never for other users.
_MODE: Final = 0o660
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_atomically(path: Path, data: bytes, *, sync: bool) -> None:
    """Write or replace a file in one step.

    With `sync` the content and the name are on the disk when this returns. The draft is
    `.NAME.new`, so a file must have one writer at a time. Raises OSError.
    """
    with drafted(path, path.with_name(f".{path.name}.new"), sync=sync) as file:
        file.write(data)
    if sync:
        sync_folder(path.parent)


@contextmanager
def drafted(path: Path, draft: Path, *, sync: bool) -> Iterator[BinaryIO]:
    """Yield a draft to write; rename it to `path` when the block ends, delete it on an error.

    Both are in the same folder. With `sync` the content is on the disk before the rename; the name
    itself may not be. An existing file under the draft's name is unlinked and never written
    through, as it may be a link that another user put there. Raises OSError.
    """
    try:
        descriptor = os.open(draft, _NEW, _MODE)
    except FileExistsError:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, _NEW, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def create_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, complete and durable; an existing one stays.

    Of several writers, in several processes, the first one wins. Raises OSError.
    """
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with os.fdopen(os.open(draft, _NEW, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
