"""The domain that a report names: of the rows of one name, the one of the call's start."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import CallReport
from store.database.schema import domains


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    id: int
    valid_from: datetime
    removed_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainNames:
    """All domains by name, removed ones too: a call that began before the removal is theirs."""

    rows: dict[str, list[_Row]]  # of a name, the newest first

    def id_of(self, report: CallReport) -> int | None:
        """Return the key of the domain of a call; None if there is none."""
        row = self._row(report)
        return None if row is None or _is_after(report, row) else row.id

    def refusal(self, report: CallReport) -> str | None:
        """Return why a call can never have a domain; None if it has one, or may get one."""
        row = self._row(report)
        if row is None or not _is_after(report, row):
            return None
        return f"domain {report.domain[:64]!r} was removed before the call began"

    def _row(self, report: CallReport) -> _Row | None:
        rows = self.rows.get(report.domain, ())
        return next((row for row in rows if row.valid_from <= report.started_at), None)


def _is_after(report: CallReport, row: _Row) -> bool:
    return row.removed_at is not None and report.started_at >= row.removed_at


async def domain_names(connection: AsyncConnection) -> DomainNames:
    """Read the names of all domains."""
    columns = (domains.c.name, domains.c.id, domains.c.valid_from, domains.c.removed_at)
    rows: dict[str, list[_Row]] = {}
    for row in await connection.execute(select(*columns).order_by(domains.c.valid_from.desc(), domains.c.id.desc())):
        rows.setdefault(row.name, []).append(_Row(id=row.id, valid_from=row.valid_from, removed_at=row.removed_at))
    return DomainNames(rows=rows)
