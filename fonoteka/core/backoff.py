"""How long to wait before trying again: doubling, capped, with jitter so that many agents do not knock at once."""

import random


class Backoff:
    """Call `next_s()` after each failure, `reset()` after a success."""

    def __init__(self, first_s: float = 0.5, most_s: float = 30.0) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._tries = 0

    def next_s(self) -> float:
        """Seconds to wait now: between half and all of the doubled step."""
        step_s: float = min(self._most_s, self._first_s * float(2 ** min(self._tries, 16)))
        self._tries += 1
        return step_s * random.uniform(0.5, 1.0)  # noqa: S311 — spreading load is no secret

    def reset(self) -> None:
        """Begin anew."""
        self._tries = 0
