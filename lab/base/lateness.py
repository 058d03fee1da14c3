"""The lateness of this machine: how long other work delays a program that waits for a packet.

The lengths of talks are compared with the telephones' clocks. A telephone that was delayed has sent
its packets late too.
"""

import threading
import time
from types import TracebackType
from typing import Final, Self

_EVERY_S: Final = 0.02  # a packet
_WAKE_UPS: Final = 4  # Asterisk says it, the agent hears and decides, Asterisk is asked, the recorder begins


class Lateness:
    """Sleeps for a packet's length again and again, and notes the delay of each wake-up."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lab-lateness", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def worst_s(self, since: float) -> float:
        """The longest delay since then (seconds of `time.monotonic`)."""
        return max((late_s for at, late_s in self._late if at >= since), default=0.0)

    def allowance_s(self, since: float) -> float:
        """How late a recording may be because of this machine, since then.

        Each delay of more than two packets may leave a gap in it. Between an answer and the begin
        of its recording, some processes wake up one after the other, each perhaps as late as the
        latest one here.
        """
        gaps_s = sum(late_s for at, late_s in self._late if at >= since and late_s > 2 * _EVERY_S)
        return gaps_s + _WAKE_UPS * self.worst_s(since)

    def _watch(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            time.sleep(_EVERY_S)
            now = time.monotonic()
            if (late_s := now - began - _EVERY_S) > 0.005:
                self._late.append((now, late_s))
