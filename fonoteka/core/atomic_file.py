"""Files that appear under their name only when they are whole, in folders that others may write to as well."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

# Talk is the company's own: the group (Asterisk, agent and mixer may be different users of one) at most, never the world.
_MODE: Final = 0o660
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_atomically(path: Path, data: bytes, *, sync: bool) -> None:
    """Write or replace a file in one step. With `sync` it is on the disk, name and all, when this returns. Raises OSError.

    There is one draft per name, `.NAME.new`: a file has one writer at a time.
    """
    with drafted(path, path.with_name(f".{path.name}.new"), sync=sync) as file:
        file.write(data)
    if sync:
        sync_folder(path.parent)


@contextmanager
def drafted(path: Path, draft: Path, *, sync: bool) -> Iterator[BinaryIO]:
    """The draft, to be written in the block; when that ends it becomes `path`, on any error nothing of it is left.

    Both lie in one folder. With `sync` the content is on the disk before the file has its name; the name may yet not be.
    What lies under the draft's name is unlinked, never written through: it may be a link that somebody else has put there.
    Raises OSError.
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


def sync_folder(folder: Path) -> None:
    """Have the disk know the names in a folder as they are now. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
