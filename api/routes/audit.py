"""`/api/audit`: who did what."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from pydantic import Field

from api.dependencies.access import Administrator
from api.dependencies.services import Shared
from api.http import cursor
from api.http.parameters import Moment, Parameters, Text
from api.http.problems import Responses, invalid
from api.schemas import models
from store.audit.read import SeenEntry, page_of_audit
from store.selection.period import period

_FOR_ADMINISTRATORS: Responses = {status: {"model": models.Problem} for status in (401, 403)}
router = APIRouter(prefix="/api", responses=_FOR_ADMINISTRATORS)


class AuditQuery(Parameters):
    """Which entries, and which page of them."""

    from_: Moment | None = Field(default=None, alias="from", description="first day or time; default today")
    to: Moment | None = Field(default=None, description="last day, or the time before which; default today")
    action: list[Text] = Field(default=[], max_length=50)
    login: Text | None = Field(default=None, description="of who did it")
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=500, description="`next` of the page before; the rest unchanged")


@router.get("/audit", operation_id="listAudit", tags=["audit"], responses={422: {"model": models.Problem}})
async def list_audit(query: Annotated[AuditQuery, Query()], account: Administrator, services: Shared) -> models.Audit:
    """Who logged in, listened, downloaded, exported, changed a setting or a password, held a call; the newest first."""
    zone = ZoneInfo(account.timezone)
    try:
        after = cursor.read_entry(query.cursor) if query.cursor else None
    except ValueError as error:
        raise invalid("cursor", str(error)) from error
    now = after.now if after else datetime.now(UTC)
    within = period(query.from_, query.to, zone, now)
    page = await page_of_audit(
        services.store,
        account.domain_id,
        within,
        actions=tuple(query.action),
        login=query.login,
        after=after.place if after else None,
        limit=query.limit,
    )
    return models.Audit(
        items=[_entry(seen, zone) for seen in page.items],
        next=cursor.written_entry(page.next, now) if page.next else None,
        total=page.total,
        total_is_exact=page.total_is_exact,
    )


def _entry(seen: SeenEntry, zone: ZoneInfo) -> models.AuditEntry:
    call = None
    if seen.call is not None:
        started_at = seen.call.started_at.astimezone(zone)
        call = models.AuditedCall(src=seen.call.src, dst=seen.call.dst, started_at=started_at)
    return models.AuditEntry(
        at=seen.at.astimezone(zone),
        login=seen.login,
        name=seen.name,
        address=seen.address,
        action=seen.action,
        subject=seen.subject,
        detail=dict(seen.detail),
        call=call,
    )
