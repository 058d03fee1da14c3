"""Who comes first on a small machine.

Voice, as on a PBX that runs Asterisk with real-time priority.

Telephones are machines of their own in life: what else this one does must not make them stammer.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_FOREMOST: Final = -15
FIRST: Final = ("nice", "-n", str(_FOREMOST)) if os.getuid() == 0 else ()  # before a command


@contextmanager
def foremost() -> Iterator[None]:
    """This thread, and those that it begins, come first while the block runs.

    Without the right to it nothing changes.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _FOREMOST)
    yield
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, before)
