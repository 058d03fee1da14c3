"""Work on the files of a folder of objects; all of it blocks."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from fonoteka.core.errors import StoreError
from store.encryption.encrypted_file import HEADER_BYTES, parse_header
from store.objects.object_store import Beginning
from store.objects.set_aside import SET_ASIDE, UPLOADED_WITHIN_S, is_of


def beginning_of(path: Path) -> Beginning | None:
    """Read the header of a file; None if it does not exist."""
    header = None
    try:
        found = path.lstat()
    except OSError:
        return None
    with suppress(OSError), path.open("rb") as file:
        header = parse_header(file.read(HEADER_BYTES))
    return Beginning(size=found.st_size, modified_at=found.st_mtime, header=header)


def rename_all(moves: Iterable[tuple[Path, Path]]) -> None:
    """Rename drafts, durably; new folders are made."""
    changed = set[Path]()
    for draft, path in moves:
        missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(path)
        # A new folder is durable only when its parent is synced.
        changed |= {path.parent, *(new.parent for new in missing)}
    _sync_folders(changed)


def delete_files(paths: Iterable[Path]) -> None:
    """Delete files, durably. Raises OSError, and StoreError if a folder is missing."""
    folders, missing = set[Path](), set[Path]()
    try:
        for path in paths:
            try:
                path.unlink()
                folders.add(path.parent)
            except FileNotFoundError:
                if not path.parent.is_dir():  # nothing deletes folders
                    missing.add(path.parent)
    finally:
        _sync_folders(folders)  # also of what was deleted before an error
    if missing:
        raise StoreError(
            f"the folder {str(min(missing))!r} of an object is missing: is the disk mounted? "
            "If the folder is lost for ever, create it empty"
        )


def _sync_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def move_aside(path: Path, target: Path) -> None:
    """Rename a file; one that has the new name stays, and the name gets longer."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while os.path.lexists(target):
        target = target.with_name(target.name + "~")
    path.rename(target)


def files_below(top: Path) -> Iterator[Path]:
    """Yield all files below a folder."""
    for folder, _, files in os.walk(top):
        yield from (Path(folder) / file for file in files)


def strays_below(root: Path, wanted: dict[str, set[str]], tops: Iterable[str]) -> list[str]:
    """Return the keys of files of segments, by folder and name, below each of the tops."""
    return [key for top in tops for folder, names in wanted.items() for key in _files_of(root, f"{top}{folder}", names)]


def _files_of(root: Path, folder: str, names: set[str]) -> Iterator[str]:
    youngest = time.time() - UPLOADED_WITHIN_S
    with suppress(FileNotFoundError), os.scandir(root / folder) as entries:
        for entry in entries:
            is_settled = folder.startswith(SET_ASIDE) or entry.stat(follow_symlinks=False).st_mtime < youngest
            if is_of(entry.name, names) and is_settled:
                yield f"{folder}/{entry.name}"


def folders_below(root: Path) -> list[Path]:
    """Return the folders with objects, in order; names with a dot are not of objects."""
    found = []
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".")]
        if files:
            found.append(Path(folder))
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def old_files(folder: Path) -> list[str]:
    """Return the names of files of a folder that are older than any upload."""
    youngest = time.time() - UPLOADED_WITHIN_S
    found = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # deleted meanwhile
                if not entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < youngest:
                    found.append(entry.name)
    return sorted(found)
