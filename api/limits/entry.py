"""What a limiter remembers of one key, as plain numbers that another process can go on with."""

from collections.abc import Callable
from dataclasses import dataclass

State = list[int]
"""Counts, and moments in milliseconds; None in place of a state: nothing is remembered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A key, and what reads and replaces its state."""

    key: tuple[str, ...]
    read: Callable[[], State | None]
    replace: Callable[[State | None], None]
