"""Which segments and merges of a report count: those within its domain that no legal hold keeps.

A call that is merged with a call of another domain stays a call of its own domain, with its own
recordings. So does a call whose merge would close a cycle: no call of a cycle is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import CallReport, Reason, SegmentReport
from fonoteka.core.errors import SegmentOfOtherCall
from fonoteka.core.naming import call_id
from store.database.schema import calls, segments
from store.intake.bounds import FROZEN
from store.intake.row_mapping import IncomingReport

_NAMES_AT_A_TIME: Final = 5000  # PostgreSQL takes 32,767 parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class _Owner:
    """A stored call that has a segment, or into which another call is merged."""

    public_id: str
    domain_id: int
    is_frozen: bool

    def is_closed_to(self, public_id: str, domain_id: int) -> bool:
        """Whether a call may neither take segments from this call nor merge into it."""
        return self.public_id != public_id and (self.domain_id != domain_id or self.is_frozen)


async def within_domains(
    connection: AsyncConnection, pbx_id: int, incoming: Sequence[IncomingReport]
) -> tuple[list[IncomingReport], list[SegmentOfOtherCall]]:
    """Return the reports without segments and merges that do not count, and the refusals."""
    names = dict.fromkeys(segment.name for item in incoming for segment in item.report.segments)
    owners = await _owners(connection, pbx_id, list(names))
    targets, merges = await _targets(connection, incoming), await _merges(connection, incoming)
    kept, refusals = [], []
    for item in incoming:
        report = item.report
        public_id = call_id(report.pbx, report.linkedid)
        own = tuple(
            segment
            for segment in report.segments
            if (owner := owners.get(segment.name)) is None or not owner.is_closed_to(public_id, item.domain_id)
        )
        if len(own) < len(report.segments):
            refusals.append(
                SegmentOfOtherCall(f"call {report.linkedid!r} names segments of a call of another domain or a held one")
            )
        target = targets.get(call_id(report.pbx, report.merged_into)) if report.merged_into else None
        if target is not None and (target.is_closed_to(public_id, item.domain_id) or merges.leads_back(report)):
            report = replace(report, merged_into=None)
            own = await _with_stored(connection, public_id, own)
        merges.take(report)
        kept.append(replace(item, report=_with_segments(report, own)))
    return kept, refusals


def _with_segments(report: CallReport, own: tuple[SegmentReport, ...]) -> CallReport:
    if own == report.segments:
        return report
    return replace(report, segments=own, reason=None if own else report.reason or Reason.USER_OFF)


async def _owners(connection: AsyncConnection, pbx_id: int, names: Sequence[str]) -> Mapping[str, _Owner]:
    columns = (segments.c.name, calls.c.public_id, calls.c.domain_id, FROZEN.label("is_frozen"))
    query = select(*columns).join(calls, calls.c.id == segments.c.call_id).where(segments.c.pbx_id == pbx_id)
    owners = {}
    for start in range(0, len(names), _NAMES_AT_A_TIME):
        chunk = names[start : start + _NAMES_AT_A_TIME]
        for row in await connection.execute(query.where(segments.c.name.in_(chunk))):
            owners[row.name] = _Owner(public_id=row.public_id, domain_id=row.domain_id, is_frozen=bool(row.is_frozen))
    return owners


async def _targets(connection: AsyncConnection, incoming: Sequence[IncomingReport]) -> Mapping[str, _Owner]:
    """Return the calls into which calls are merged, by public id: stored, else of the batch."""
    wanted = {call_id(item.report.pbx, item.report.merged_into) for item in incoming if item.report.merged_into}
    if not wanted:
        return {}
    targets = {}
    for item in incoming:
        public_id = call_id(item.report.pbx, item.report.linkedid)
        targets[public_id] = _Owner(public_id=public_id, domain_id=item.domain_id, is_frozen=False)
    query = select(calls.c.public_id, calls.c.domain_id, FROZEN.label("is_frozen")).where(calls.c.public_id.in_(wanted))
    for row in await connection.execute(query):
        targets[row.public_id] = _Owner(public_id=row.public_id, domain_id=row.domain_id, is_frozen=bool(row.is_frozen))
    return targets


@dataclass(frozen=True, kw_only=True, slots=True)
class _Merges:
    """The call into which each call is merged, and the revisions of stored calls, by public id."""

    targets: dict[str, str | None]
    revisions: dict[str, int]

    def leads_back(self, report: CallReport) -> bool:
        """Whether the merge of a report would close a cycle, which hides all its calls."""
        public_id, target = call_id(report.pbx, report.linkedid), _target(report.pbx, report.merged_into)
        passed = set[str]()
        while target is not None and target not in passed:
            if target == public_id:
                return True
            passed.add(target)
            target = self.targets.get(target)
        return False

    def take(self, report: CallReport) -> None:
        """Take a report into account, unless it is older than the stored call."""
        public_id = call_id(report.pbx, report.linkedid)
        if report.revision > self.revisions.get(public_id, -1):
            self.targets[public_id] = _target(report.pbx, report.merged_into)


async def _merges(connection: AsyncConnection, incoming: Sequence[IncomingReport]) -> _Merges:
    """Return the merges of the reported calls and of all calls to which these lead.

    The caller has locked the PBX: no other transaction changes its merges.
    """
    merges = _Merges(targets={}, revisions={})
    if not any(item.report.merged_into for item in incoming):
        return merges
    pbx = incoming[0].report.pbx
    wanted = {
        call_id(pbx, linkedid) for item in incoming for linkedid in (item.report.linkedid, item.report.merged_into) if linkedid
    }
    query = select(calls.c.public_id, calls.c.merged_into, calls.c.revision)
    while wanted:
        rows = (await connection.execute(query.where(calls.c.public_id.in_(wanted)))).all()
        merges.targets.update({row.public_id: _target(pbx, row.merged_into) for row in rows})
        merges.revisions.update({row.public_id: row.revision for row in rows})
        wanted = {target for row in rows if (target := merges.targets[row.public_id]) is not None} - merges.targets.keys()
    return merges


def _target(pbx: str, merged_into: str | None) -> str | None:
    return call_id(pbx, merged_into) if merged_into else None


async def _with_stored(
    connection: AsyncConnection, public_id: str, reported: tuple[SegmentReport, ...]
) -> tuple[SegmentReport, ...]:
    """Return the reported segments and the stored ones of a call that stays."""
    query = select(segments).join(calls, calls.c.id == segments.c.call_id).where(calls.c.public_id == public_id)
    names = {segment.name for segment in reported}
    stored = (
        SegmentReport(name=row.name, user=row.user, started_at=row.started_at, reason=Reason(row.reason) if row.reason else None)
        for row in await connection.execute(query.order_by(segments.c.started_at, segments.c.name))
        if row.name not in names
    )
    return (*reported, *stored)
