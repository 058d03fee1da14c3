"""Exchange the names of two files in one step (renameat2(2), RENAME_EXCHANGE).

A file that is replaced by a rename would come back if it was deleted in between; an exchange fails.
"""

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def exchange(draft: Path, path: Path) -> None:
    """Exchange two files. Raises FileNotFoundError if either does not exist, and OSError.

    File systems without the call, such as NFS, get a rename: `draft` does not exist then.
    """
    names = os.fsencode(draft), os.fsencode(path)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return
    if (code := ctypes.get_errno()) not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(code, os.strerror(code), str(path))
    path.stat()
    draft.replace(path)
