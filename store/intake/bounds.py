"""The bounds of a PBX's reports: its own domains, the domain of each stored call, legal holds."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.call_report import CallReport
from fonoteka.core.errors import CallHeld, DomainChanged, DomainNotServed, IntakeDeferred, IntakeRefused, RetentionEnded
from store.database.schema import LONGEST_LOGIN, calls, domains, erased_calls
from store.intake.domain_names import DomainNames, domain_names
from store.intake.row_ids import named_ids, possible_ids, row_id
from store.people.accounts import Pbx
from store.people.served_domains import ServedDomains, Serves, served_domains
from store.selection.retention_rule import expired_before

# A held call in progress is still completed: its end and its audio are what is to be kept.
FROZEN: ColumnElement[bool] = and_(calls.c.legal_hold, calls.c.ended_at.is_not(None))


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredCall:
    """The domain and revision of a stored call, and whether a legal hold lets nothing change it."""

    domain_id: int
    revision: int
    is_frozen: bool


@dataclass(kw_only=True, slots=True)
class Bounds:
    """The domains of a PBX and the stored calls that reports may concern.

    The first report of a new call decides its domain, for the other reports of the batch too.
    `expired_before` has the domains whose calls expire: a call that began until then was deleted.
    `erased` has the deleted calls among those that the reports name.
    """

    pbx: str
    served: ServedDomains
    names: DomainNames
    expired_before: Mapping[int, datetime]
    stored: Mapping[str, _StoredCall]
    erased: Set[str]
    _new: dict[str, int] = field(default_factory=dict)

    def problem(self, report: CallReport) -> IntakeRefused | IntakeDeferred | None:
        """Return why a report must not be written; None if it may."""
        problem = self.domain_problem(report)
        if problem is not None:
            return problem
        stored = self.stored.get(self.public_id_of(report))
        if stored is not None and stored.is_frozen and stored.revision < report.revision:
            return CallHeld(f"call {report.linkedid!r} is under legal hold: nothing changes it")
        return None

    def _retention_problem(self, report: CallReport, domain_id: int) -> RetentionEnded | None:
        """Return why a call that is not stored may not come back; None if it may come."""
        public_id = self._public_id(report, report.linkedid, domain_id)
        if public_id in self.stored:
            return None
        target = self._public_id(report, report.merged_into, domain_id) if report.merged_into else public_id
        if not self.erased.isdisjoint({public_id, target, *self._further_ids(report)}):
            return RetentionEnded(f"call {report.linkedid!r} was deleted")
        before = self.expired_before.get(domain_id)
        if before is None or report.started_at > before:
            return None
        return RetentionEnded(f"call {report.linkedid!r} is older than its domain keeps calls (calls_retention_days)")

    def domain_problem(self, report: CallReport) -> IntakeRefused | IntakeDeferred | None:
        """Return why a report cannot be of the domain that it names; None if it can."""
        domain_id, shown = self._domain_id(report), report.domain[:LONGEST_LOGIN]
        if domain_id is None and self.served.serves is Serves.NAMED:
            # The same answer whether the domain exists or not: a token names no customers.
            return DomainNotServed(f"PBX {self.pbx!r} does not serve domain {shown!r} (see: fonoteka pbx domains --help)")
        if refusal := self.names.refusal(report):
            return IntakeRefused(refusal)
        if domain_id is None:
            return IntakeDeferred(f"unknown domain {shown!r}: name it in the file that `fonoteka apply` takes")
        if problem := self._retention_problem(report, domain_id):
            return problem
        public_id = self._public_id(report, report.linkedid, domain_id)
        stored = self.stored.get(public_id)
        if domain_id != (stored.domain_id if stored is not None else self._new.setdefault(public_id, domain_id)):
            return DomainChanged(f"call {report.linkedid!r} is of another domain than {shown!r}, and never changes it")
        return None

    def id_of(self, report: CallReport) -> int:
        """Return the key of the domain of a report that has no domain problem."""
        domain_id = self._domain_id(report)
        assert domain_id is not None
        return domain_id

    def public_id_of(self, report: CallReport) -> str:
        """Return the public id of the row of a report that has no domain problem."""
        return self._public_id(report, report.linkedid, self.id_of(report))

    def _public_id(self, report: CallReport, linkedid: str, domain_id: int) -> str:
        """Return the public id of the domain's row of a call, stored or of the batch."""

        def is_of(public_id: str) -> bool | None:
            stored = self.stored.get(public_id)
            owner = self._new.get(public_id) if stored is None else stored.domain_id
            return None if owner is None else owner == domain_id

        return row_id(self.pbx, linkedid, report.domain, is_of=is_of, further=report.further)

    def _further_ids(self, report: CallReport) -> list[str]:
        """Return the ids that are erased with the domain's row, whichever id that row had."""
        linkedids = (report.linkedid, report.merged_into)
        return [possible_ids(self.pbx, linkedid, report.domain)[1] for linkedid in linkedids if linkedid]

    def _domain_id(self, report: CallReport) -> int | None:
        """Return the key of the served domain that the report's name meant when the call began."""
        domain_id = self.names.id_of(report)
        return domain_id if domain_id is not None and self.served.allows(domain_id) else None

    def is_frozen(self, public_id: str) -> bool:
        """Whether a stored call is under a legal hold that lets nothing change it."""
        stored = self.stored.get(public_id)
        return stored is not None and stored.is_frozen


async def read_bounds(
    connection: AsyncConnection,
    pbx: Pbx,
    reports: Iterable[CallReport],
    now: datetime,
    *,
    lock: bool = False,
    also: Iterable[int] = (),
) -> Bounds:
    """Read the bounds of reports.

    With `lock` the PBX, the domains of the reports and the domains with the keys `also` are locked
    until the transaction ends, so that no legal hold begins meanwhile
    (`store.retention.legal_hold` locks the domain too).
    """
    served = await served_domains(connection, pbx.id, lock=lock)
    names, named = await domain_names(connection), list(reports)
    if lock:
        ids = {domain_id for report in named if (domain_id := names.id_of(report)) is not None} | set(also)
        await connection.execute(
            select(domains.c.id).where(domains.c.id.in_(ids)).order_by(domains.c.id).with_for_update(key_share=True)
        )
    public_ids = {public_id for report in named for public_id in named_ids(pbx.name, report)}
    query = select(calls.c.public_id, calls.c.domain_id, calls.c.revision, FROZEN.label("is_frozen"))
    rows = await connection.execute(query.where(calls.c.public_id.in_(public_ids)))
    stored = {
        row.public_id: _StoredCall(domain_id=row.domain_id, revision=row.revision, is_frozen=bool(row.is_frozen)) for row in rows
    }
    # After the stored calls: a call that is deleted between the two queries is among the erased.
    found = select(erased_calls.c.public_id).where(erased_calls.c.public_id.in_(public_ids))
    erased = frozenset((await connection.execute(found)).scalars())
    retained = select(domains.c.id, domains.c.calls_retention_days).where(domains.c.calls_retention_days.is_not(None))
    expired = {row.id: expired_before(now, row.calls_retention_days) for row in await connection.execute(retained)}
    return Bounds(pbx=pbx.name, served=served, names=names, expired_before=expired, stored=stored, erased=erased)
