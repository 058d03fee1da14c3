"""`/api/audit`: the audit log."""

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
    """The selection of entries, and the page."""

    from_: Moment | None = Field(default=None, alias="from", description="first day or time; default today")
    to: Moment | None = Field(default=None, description="last day, or the time before which; default today")
    action: list[Text] = Field(default=[], max_length=50)
    login: Text | None = Field(default=None, description="login of the actor")
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=500, description="`next` of the previous page; the rest unchanged")


@router.get("/audit", operation_id="listAudit", tags=["audit"], responses={422: {"model": models.Problem}})
async def list_audit(query: Annotated[AuditQuery, Query()], account: Administrator, services: Shared) -> models.Audit:
    """List audit entries, the newest first.

    Logins, playback, downloads, exports, changes of settings and passwords, legal holds.
    """
    zone = ZoneInfo(account.timezone)
    try:
        after = cursor.decode_audit(query.cursor) if query.cursor else None
    except ValueError as error:
        raise invalid("cursor", str(error)) from error
    now = after.now if after else datetime.now(UTC)
    selected_period = period(query.from_, query.to, zone, now)
    page = await page_of_audit(
        services.store,
        account.domain_id,
        selected_period,
        actions=tuple(query.action),
        login=query.login,
        after=after.place if after else None,
        limit=query.limit,
    )
    return models.Audit(
        items=[_entry(seen, zone) for seen in page.items],
        next=cursor.encode_audit(page.next, now) if page.next else None,
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
