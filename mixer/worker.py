"""A worker process: `python -m mixer.worker`, orders on stdin, replies on stdout.

It stays warm, since starting Python with numpy and FFmpeg takes longer than a ten-second call. It loads neither pydantic
nor asyncio nor logging, so that it stays small, and it yields to Asterisk whenever both want the processor. When the
mixer goes, however it goes, stdin ends and the worker leaves at once, in the middle of an item too.
"""

import errno
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from fonoteka.core.errors import AudioError
from mixer.job import Broke, NoRoom, Order, Refused, Reply, read_order, write_reply
from mixer.mix import mix_legs

_LEAST_URGENT: Final = 19
_AUTOGROUP: Final = Path("/proc/self/autogroup")  # sched(7): else a nice process weighs as much as Asterisk, being a session too
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


def carry_out(order: Order) -> Reply:
    """Mix one item; whatever happens is a reply."""
    try:
        return mix_legs(
            order.item,
            order.outside_leg,
            order.employee_leg,
            order.audio_format,
            order.layout,
            order.talked_hz,
            order.muted,
        )
    except AudioError as error:
        return Refused(reason=error.reason, detail=str(error))
    except OSError as error:
        if error.errno in _FULL:
            return NoRoom(detail=str(error))
        return Broke(detail=repr(error))
    except Exception as error:  # one bad call never stops the next: the mixer tries again, logs and counts it
        return Broke(detail=repr(error))


def main() -> None:
    """Carry out orders until stdin ends."""
    for asked_of_all in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C and systemd reach the whole group: the mixer decides
        signal.signal(asked_of_all, signal.SIG_IGN)
    _yield_to_voice()
    replies = os.dup(1)
    os.dup2(2, 1)  # whatever a codec prints is no reply
    orders = SimpleQueue[bytes]()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    while True:
        os.write(replies, write_reply(carry_out(read_order(orders.get()))))


def _yield_to_voice() -> None:
    """Come after everything else that runs, in our session and, where Linux shares the processors out by sessions, with it."""
    with suppress(OSError):
        os.nice(_LEAST_URGENT)
    with suppress(OSError):  # a container may forbid it
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):  # a kernel without it, or with it switched off
        _AUTOGROUP.write_text(str(_LEAST_URGENT), encoding="ascii")


def _listen(orders: SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        orders.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
