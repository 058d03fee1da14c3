"""Check what retention deletes and the quotas of domains, where the index is within reach."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import inspect

from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration
from fonoteka.core.errors import ConfigurationError, StoreError
from store.database.dialect import engine_for, index_file
from store.database.schema import calls
from store.database.store import Store
from store.retention.due import RetainedDomain, retained_domains
from store.retention.quota import WARNS_AT, usage_of
from store.retention.run import overdue_s

_DAY_S: Final = 24 * 3600.0
_LATE_S: Final = 2 * _DAY_S  # the alert of deploy/alerts.yml


async def check(configuration: Configuration) -> AsyncIterator[Finding]:
    """Yield a finding; nothing on a machine without the index, such as a PBX."""
    section = configuration.store
    try:
        store = Store(engine_for(section.database, create=False), section)  # migrates nothing
        try:
            if not await _has_index(store):
                return
            overdue = await overdue_s(store, datetime.now(UTC))
            quotas = [(domain.name, domain.quota.used(await usage_of(store, domain.id))) for domain in await _with_quota(store)]
        finally:
            await store.close()
    except (ConfigurationError, StoreError) as error:
        mend = "is the database of store.database running, and of this version? `fonoteka api` migrates it"
        yield Finding(part="store", check="retention", ok=None, detail=str(error), mend=mend)
        return
    late = f"what has expired waits for deletion since {overdue / _DAY_S:.1f} days"
    yield Finding(
        part="store",
        check="retention",
        ok=overdue <= _LATE_S,
        detail=late if overdue > _LATE_S else "what has expired was deleted",
        mend="does `fonoteka api` (or `up`) run? Look for `retention.` in its log; `fonoteka retention` deletes now",
    )
    for name, used in quotas:
        yield Finding(
            part="store",
            check=f"quota of {name}",
            ok=used < WARNS_AT,
            detail=f"{used:.0%} is used",
            mend="raise quota_gb or quota_recordings, or shorten retention_days: beyond the quota the oldest recordings go",
        )


async def _with_quota(store: Store) -> list[RetainedDomain]:
    return [domain for domain in await retained_domains(store) if domain.quota]


async def _has_index(store: Store) -> bool:
    if (file := index_file(store.engine)) is not None and not file.exists():
        return False
    async with store.reading() as connection:
        return await connection.run_sync(lambda on: inspect(on).has_table(calls.name))
