"""The quota of a domain: how much audio it may keep, and how much it has.

A domain that has more loses its oldest recordings, with the reason `quota`. What is under legal
hold neither counts nor is deleted.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select, update

from store.database.schema import HAS_AUDIO, calls, domains, segments
from store.database.store import Store

SIZE: Final = "quota_gb"
RECORDINGS: Final = "quota_recordings"
WARNS_AT: Final = 0.9  # of the quota
CALM_AT: Final = 0.8  # below it a later warning is a new one
_GB: Final = 10**9


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """The audio that a domain has: the number of recordings, and their size without peaks."""

    recordings: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """The most audio that a domain may keep; None: no limit."""

    gb: float | None = None
    recordings: int | None = None

    def __bool__(self) -> bool:
        return self.gb is not None or self.recordings is not None

    def used(self, usage: Usage) -> float:
        """Return the used share of the quota, 1 for all of it: the larger share of both limits."""
        return max(self._shares(usage).values(), default=0.0)

    def exceeded(self, usage: Usage) -> tuple[str, float] | None:
        """Return the key and the value of the limit that is exceeded most; None if none is."""
        key, share = max(self._shares(usage).items(), key=lambda each: each[1], default=(SIZE, 0.0))
        limit = self.gb if key == SIZE else self.recordings
        return (key, limit) if limit is not None and share > 1 else None

    def _shares(self, usage: Usage) -> dict[str, float]:
        shares = {}
        if self.gb is not None:
            shares[SIZE] = usage.size_bytes / (self.gb * _GB)
        if self.recordings is not None:
            shares[RECORDINGS] = usage.recordings / self.recordings
        return shares


async def usage_of(store: Store, domain_id: int) -> Usage:
    """Return what a domain has that counts against its quota."""
    counted = (calls.c.domain_id == domain_id, calls.c.recording_ms.is_not(None), calls.c.legal_hold.is_(False), HAS_AUDIO)
    columns = (func.count(), func.coalesce(func.sum(segments.c.size_bytes), 0))
    query = select(*columns).select_from(calls.join(segments, segments.c.call_id == calls.c.id)).where(*counted)
    async with store.reading() as connection:
        recordings, size_bytes = (await connection.execute(query)).one()
    return Usage(recordings=recordings, size_bytes=int(size_bytes))


async def note_warning(store: Store, domain_id: int, warned_at: datetime | None) -> bool:
    """Note when somebody was warned of a domain's quota, or with None that it is far away again.

    Returns False if that was noted before, by whichever process.
    """
    is_new = domains.c.quota_warned_at.is_(None) if warned_at is not None else domains.c.quota_warned_at.is_not(None)
    change = update(domains).where(domains.c.id == domain_id, is_new).values(quota_warned_at=warned_at)
    async with store.writing() as connection:
        return bool((await connection.execute(change)).rowcount)
