"""A worker process: `python -m mixer.worker`, jobs on stdin, replies on stdout.

The process stays warm, as starting Python with NumPy and FFmpeg takes longer than mixing a call of
ten seconds. It imports neither pydantic nor asyncio nor logging, so that it stays small, and it
yields to Asterisk whenever both want the processor. When the mixer ends, for any reason, stdin ends
and the worker exits at once, also in the middle of a recording.
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
from mixer.job import DiskFull, MixJob, MixRefused, Reply, WorkerFailed, read_job, write_reply
from mixer.mix import mix_legs

_LEAST_URGENT: Final = 19
# sched(7): without it a niced process weighs as much as Asterisk, because it is a session too.
_AUTOGROUP: Final = Path("/proc/self/autogroup")
# For tests, which must not wait for an idle processor. No setting: a production mixer yields.
_URGENT: Final = "FONOTEKA_MIXER_URGENT"
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


def carry_out(job: MixJob) -> Reply:
    """Mix one recording; every error becomes a reply."""
    try:
        return mix_legs(
            job.folder,
            job.outside_leg,
            job.employee_leg,
            job.audio_format,
            job.layout,
            job.talked_hz,
            job.muted,
        )
    except AudioError as error:
        return MixRefused(reason=error.reason, detail=str(error))
    except OSError as error:
        if error.errno in _FULL:
            return DiskFull(detail=str(error))
        return WorkerFailed(detail=repr(error))
    except Exception as error:  # one bad call never stops the next: the mixer retries and logs
        return WorkerFailed(detail=repr(error))


def main() -> None:
    """Carry out jobs until stdin ends."""
    # Ctrl-C and systemd signal the whole process group; the mixer decides when its workers end.
    for group_signal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(group_signal, signal.SIG_IGN)
    if os.environ.get(_URGENT) != "1":
        _yield_to_voice()
    replies = os.dup(1)
    os.dup2(2, 1)  # output that a codec prints is no reply
    jobs = SimpleQueue[bytes]()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    while True:
        os.write(replies, write_reply(carry_out(read_job(jobs.get()))))


def _yield_to_voice() -> None:
    """Run after every other process, in this session and, with autogroups, among all sessions."""
    with suppress(OSError):
        os.nice(_LEAST_URGENT)
    with suppress(OSError):  # a container may forbid it
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):  # the kernel has no autogroups, or they are off
        _AUTOGROUP.write_text(str(_LEAST_URGENT), encoding="ascii")


def _listen(jobs: SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        jobs.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
