"""Deletion of files that `fonoteka verify` has set aside, when their recordings would expire.

A file is kept as long as its domain keeps audio, from the day in its name. The domain is that of
its segment, else the domain that encrypted it; a file without either is kept for the longest
period of all domains. A file of a call under legal hold stays.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.naming import safe
from store.audit.write import SYSTEM, NewEntry, write_entries
from store.database.schema import calls, pbxs, segments
from store.database.store import Store
from store.objects.set_aside import SET_ASIDE
from store.retention.due import retained_domains
from store.retention.expiry import HELD_COLUMNS, without_held
from store.selection.retention_rule import expired_before

_AT_A_TIME: Final = 100
_KEY: Final = re.compile(r"(?:~\d+/)?(?P<pbx>[^/]+)/(?P<day>\d{4}/\d\d/\d\d)/(?P<segment>[^/.]+)[^/]*")

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class FileOwner:
    """The domain of a file without a row, None if it is unknown; and whether its call is held."""

    domain_id: int | None
    is_held: bool = False


async def owner_of(connection: AsyncConnection, store: Store, key: str, *, below: str = "") -> FileOwner:
    """Return the owner of a file by its key; the file lies below a folder of the objects."""
    if (named := _KEY.fullmatch(key)) is not None:
        named_so = [row.id for row in await connection.execute(select(pbxs.c.id, pbxs.c.name)) if safe(row.name) == named["pbx"]]
        query: Select[Any] = select(segments.c.id, *HELD_COLUMNS).join(calls, calls.c.id == segments.c.call_id)
        query = query.join(pbxs, pbxs.c.id == calls.c.pbx_id)
        query = query.where(segments.c.pbx_id.in_(named_so), segments.c.name == named["segment"])
        if rows := (await connection.execute(query)).all():
            return FileOwner(domain_id=rows[0].domain_id, is_held=len(await without_held(connection, rows)) < len(rows))
    begun = await store.objects.beginning(f"{below}{key}")
    return FileOwner(domain_id=begun.header.domain_id if begun is not None and begun.header is not None else None)


async def expire_set_aside(store: Store, now: datetime) -> None:
    """Delete the files that were set aside and have expired. Raises StoreError.

    The audit of a domain has its files before they are deleted, the log all of them.
    """
    if not (keys := await store.objects.all_set_aside()):
        return
    days = {domain.id: domain.retention_days for domain in await retained_domains(store)}
    for start in range(0, len(keys), _AT_A_TIME):
        expired = dict[int | None, list[str]]()
        async with store.reading() as connection:
            for key in keys[start : start + _AT_A_TIME]:
                owner = await owner_of(connection, store, key, below=f"{SET_ASIDE}/")
                period = days.get(owner.domain_id or 0, max(days.values(), default=0))
                if not owner.is_held and await _day_of(store, key) <= expired_before(now, period):
                    expired.setdefault(owner.domain_id if owner.domain_id in days else None, []).append(key)
        await _delete(store, expired, days, now)


async def _delete(store: Store, expired: dict[int | None, list[str]], days: dict[int, int], now: datetime) -> None:
    entries = [
        NewEntry(
            domain_id=domain_id,
            at=now,
            by=SYSTEM,
            action="set_aside_expired",
            subject="",
            detail={"retention_days": days[domain_id], "files": files},
        )
        for domain_id, files in expired.items()
        if domain_id is not None
    ]
    if entries:
        async with store.writing() as connection:
            await write_entries(connection, entries)
    for key in (key for files in expired.values() for key in files):
        log.info("set_aside.expired", file=key)
        await store.objects.delete_all([f"{SET_ASIDE}/{key}"])


async def _day_of(store: Store, key: str) -> datetime:
    """Return the day of a recording by its key, else the time of the file's last change."""
    if (named := _KEY.fullmatch(key)) is not None:
        try:
            return datetime.strptime(named["day"], "%Y/%m/%d").replace(tzinfo=UTC)
        except ValueError:
            pass
    begun = await store.objects.beginning(f"{SET_ASIDE}/{key}")
    return datetime.fromtimestamp(begun.modified_at, UTC) if begun is not None else datetime.max.replace(tzinfo=UTC)
