"""The files of a spool, while the parts of Fonoteka move and remove its folders."""

import os
from pathlib import Path


def spool_files(spool: Path) -> set[Path]:
    """Return the files of calls and recordings that are in a spool now.

    `Path.glob` fails where a folder is gone before it is listed.
    """
    found = ((Path(folder), names) for folder, _, names in os.walk(spool))
    return {folder / name for folder, names in found if folder != spool for name in names}
