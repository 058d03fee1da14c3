"""Objects that `fonoteka verify --fix-index` has moved below a prefix of their own."""

from collections.abc import Iterable
from typing import Final

SET_ASIDE: Final = ".orphaned"
# A recording has its objects before its row; the row follows within seconds.
UPLOADED_WITHIN_S: Final = 3600.0


def stem(key: str) -> str:
    """Return what the keys of all files of a segment begin with: PBX, day and segment. Pure."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def names_by_folder(stems: Iterable[str]) -> dict[str, set[str]]:
    """Return the names of segments by the folder of their stems. Pure."""
    wanted = dict[str, set[str]]()
    for each in stems:
        folder, _, name = each.rpartition("/")
        wanted.setdefault(folder, set()).add(name)
    return wanted


def is_of(key: str, names: set[str]) -> bool:
    """Whether an object is of one of the segments named, in their folder. Pure."""
    return key.rpartition("/")[2].partition(".")[0] in names
