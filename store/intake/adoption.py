"""Which segments and merges of a report count: those within its domain that no legal hold keeps.

A call that is merged with a call of another domain stays a call of its own domain, with its own
recordings. So does a call whose merge would close a cycle: no call of a cycle is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import CallReport, Reason, SegmentReport
from fonoteka.core.errors import SegmentOfOtherCall
from store.database.schema import calls, domains, segments
from store.intake.bounds import FROZEN
from store.intake.row_ids import possible_ids, row_id
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
        public_id = item.public_id
        own = tuple(
            segment
            for segment in report.segments
            if (owner := owners.get(segment.name)) is None or not owner.is_closed_to(public_id, item.domain_id)
        )
        if len(own) < len(report.segments):
            refusals.append(
                SegmentOfOtherCall(f"call {report.linkedid!r} names segments of a call of another domain or a held one")
            )
        target_id = _target_id(item, targets)
        target = targets.get(target_id) if target_id else None
        if target is not None and (target.is_closed_to(public_id, item.domain_id) or merges.leads_back(public_id, target_id)):
            report, target_id = replace(report, merged_into=None), None
            own = await _with_stored(connection, public_id, own)
        merges.take(public_id, target_id, report.revision)
        kept.append(replace(item, report=_with_segments(report, own), target_id=target_id))
    return kept, refusals


def _target_id(item: IncomingReport, targets: Mapping[str, _Owner]) -> str | None:
    """Return the public id of the domain's row of the call into which a call is merged."""
    report = item.report
    if report.merged_into is None:
        return None

    def is_of(public_id: str) -> bool | None:
        target = targets.get(public_id)
        return None if target is None else target.domain_id == item.domain_id

    return row_id(report.pbx, report.merged_into, report.domain, is_of=is_of, further=report.further)


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
    wanted = {public_id for item in incoming for public_id in _possible_targets(item.report)}
    if not wanted:
        return {}
    targets = {item.public_id: _Owner(public_id=item.public_id, domain_id=item.domain_id, is_frozen=False) for item in incoming}
    query = select(calls.c.public_id, calls.c.domain_id, FROZEN.label("is_frozen")).where(calls.c.public_id.in_(wanted))
    for row in await connection.execute(query):
        targets[row.public_id] = _Owner(public_id=row.public_id, domain_id=row.domain_id, is_frozen=bool(row.is_frozen))
    return targets


@dataclass(frozen=True, kw_only=True, slots=True)
class _Merges:
    """The call into which each call is merged, and the revisions of stored calls, by public id."""

    targets: dict[str, str | None]
    revisions: dict[str, int]

    def leads_back(self, public_id: str, target: str | None) -> bool:
        """Whether the merge of a call would close a cycle, which hides all its calls."""
        passed = set[str]()
        while target is not None and target not in passed:
            if target == public_id:
                return True
            passed.add(target)
            target = self.targets.get(target)
        return False

    def take(self, public_id: str, target: str | None, revision: int) -> None:
        """Take a report into account, unless it is older than the stored call."""
        if revision > self.revisions.get(public_id, -1):
            self.targets[public_id] = target


async def _merges(connection: AsyncConnection, incoming: Sequence[IncomingReport]) -> _Merges:
    """Return the merges of the reported calls and of all calls to which these lead.

    The caller has locked the PBX: no other transaction changes its merges.
    """
    merges = _Merges(targets={}, revisions={})
    if not any(item.report.merged_into for item in incoming):
        return merges
    pbx = incoming[0].report.pbx
    owners = {item.public_id: item.domain_id for item in incoming}
    stored: dict[str, Row[Any]] = {}
    columns = (calls.c.public_id, calls.c.domain_id, domains.c.name.label("domain"), calls.c.merged_into, calls.c.revision)
    query: Select[Any] = select(*columns).join(domains, domains.c.id == calls.c.domain_id)
    asked, wanted = set[str](), {public_id for item in incoming for public_id in (item.public_id, *_possible_targets(item.report))}
    while wanted:
        asked |= wanted
        rows = (await connection.execute(query.where(calls.c.public_id.in_(wanted)))).all()
        stored |= {row.public_id: row for row in rows}
        wanted = {target for row in rows if row.merged_into for target in possible_ids(pbx, row.merged_into, row.domain)} - asked
    owners |= {public_id: row.domain_id for public_id, row in stored.items()}
    merges.revisions.update({public_id: row.revision for public_id, row in stored.items()})
    merges.targets.update({public_id: _stored_target(pbx, row, owners) for public_id, row in stored.items()})
    return merges


def _possible_targets(report: CallReport) -> tuple[str, ...]:
    return possible_ids(report.pbx, report.merged_into, report.domain) if report.merged_into else ()


def _stored_target(pbx: str, row: Row[Any], owners: Mapping[str, int]) -> str | None:
    """Return the public id of the row of the same domain into which a stored call is merged."""
    if row.merged_into is None:
        return None
    ids = possible_ids(pbx, row.merged_into, row.domain)
    return next((public_id for public_id in ids if owners.get(public_id) == row.domain_id), None)


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
