"""Files that `fonoteka verify --fix-index` has moved into a folder of their own."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from fonoteka.core.errors import StoreError
from store.encryption.encrypted_file import HEADER_BYTES, parse_header

SET_ASIDE: Final = ".orphaned"
# A recording has its objects before its row; the row follows within seconds.
UPLOADED_WITHIN_S: Final = 3600.0


def set_aside(root: Path, key: str) -> str:
    """Move a file to the folder SET_ASIDE; a file that is there already under the name stays.

    Raises StoreError.
    """
    target = root / SET_ASIDE / key
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while os.path.lexists(target):
            target = target.with_name(target.name + "~")
        (root / key).rename(target)
    except OSError as error:
        raise StoreError(f"{key} cannot be moved to {SET_ASIDE}: {error.strerror}") from error
    return f"moved to {SET_ASIDE}/"


def all_set_aside(root: Path) -> Iterator[str]:
    """Yield the keys, below SET_ASIDE, of all files that are there."""
    for folder, _, files in os.walk(root / SET_ASIDE):
        for file in files:
            yield (Path(folder) / file).relative_to(root / SET_ASIDE).as_posix()


def stem(key: str) -> str:
    """Return what the keys of all files of a segment begin with: PBX, day and segment. Pure."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def strays(root: Path, stems: Iterable[str], *, also_in_place: bool) -> list[str]:
    """Return the keys, below the root, of files of segments that were set aside.

    `also_in_place` adds those that have their place still, but for files that may be of an upload.
    """
    wanted = dict[str, set[str]]()
    for each in stems:
        folder, _, name = each.rpartition("/")
        wanted.setdefault(folder, set()).add(name)
    tops = [f"{SET_ASIDE}/", ""] if also_in_place else [f"{SET_ASIDE}/"]
    return [key for top in tops for folder, names in wanted.items() for key in _files_of(root, f"{top}{folder}", names)]


def domain_in_header(path: Path) -> int | None:
    """Return the key of the domain of an encrypted file; None for any other."""
    try:
        with path.open("rb") as file:
            header = parse_header(file.read(HEADER_BYTES))
    except OSError:
        return None
    return header.domain_id if header is not None else None


def _files_of(root: Path, folder: str, names: set[str]) -> Iterator[str]:
    youngest = time.time() - UPLOADED_WITHIN_S
    with suppress(FileNotFoundError), os.scandir(root / folder) as entries:
        for entry in entries:
            is_settled = folder.startswith(SET_ASIDE) or entry.stat(follow_symlinks=False).st_mtime < youngest
            if entry.name.partition(".")[0] in names and is_settled:
                yield f"{folder}/{entry.name}"
