"""Compute pauses between tries: doubling, capped, with jitter so that agents spread their load."""

import random


class Backoff:
    """Call `next_s()` after each failure and `reset()` after a success."""

    def __init__(self, first_s: float = 0.5, most_s: float = 30.0) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._tries = 0

    def next_s(self) -> float:
        """Return the seconds to wait: between half and all of the doubled step."""
        step_s: float = min(self._most_s, self._first_s * float(2 ** min(self._tries, 16)))
        self._tries += 1
        return step_s * random.uniform(0.5, 1.0)  # noqa: S311 — spreading load is no secret

    def reset(self) -> None:
        """Start again with the first pause."""
        self._tries = 0
