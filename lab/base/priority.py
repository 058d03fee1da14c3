"""Who comes first on a small machine: voice, as on a PBX whose Asterisk runs in real time (`-p`).

Telephones are machines of their own in life: the other work of this machine must not delay them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_REAL_TIME: Final = os.sched_param(1)


def _is_allowed() -> bool:
    """Whether this process may run in real time; tried, as a container may forbid it to root."""
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, _REAL_TIME)
    except PermissionError:
        return False
    os.sched_setscheduler(0, before, parameters)
    return True


_ALLOWED: Final = _is_allowed()
FIRST: Final = ("chrt", "--rr", str(_REAL_TIME.sched_priority)) if _ALLOWED else ()  # before a command


@contextmanager
def foremost() -> Iterator[None]:
    """Run this thread in real time while the block runs, and the threads that it starts.

    Without the right to it nothing changes.
    """
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    if _ALLOWED:
        os.sched_setscheduler(0, os.SCHED_RR, _REAL_TIME)
    yield
    os.sched_setscheduler(0, before, parameters)
