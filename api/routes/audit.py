"""`/api/audit`: the audit log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api.audit.numbers import without_number
from api.dependencies.access import Administrator, actor, refuse_cross_site, session_token
from api.dependencies.services import Shared
from api.dependencies.while_allowed import while_allowed
from api.exports.audit_csv import audit_lines, audit_titles
from api.exports.labels import Language, preferred
from api.exports.streaming import FileStream, with_first_piece
from api.http import cursor
from api.http.parameters import Moment, Parameters, Text
from api.http.problems import Responses, invalid
from api.presenters.audit import entry
from api.schemas import models
from fonoteka.core.naming import export_name
from store.audit.read import SeenEntry, all_entries, page_of_audit
from store.audit.write import NewEntry
from store.people.accounts import Account
from store.selection.period import Period, period

_FOR_ADMINISTRATORS: Responses = {status: {"model": models.Problem} for status in (401, 403)}
_CSV_CONTENT: Final = {"text/csv": {"schema": {"type": "string", "format": "binary"}}}
_REFUSED: Final[Responses] = {status: {"model": models.Problem} for status in (422, 429, 503)}
_CSV_RESPONSES: Final[Responses] = _REFUSED | {200: {"content": _CSV_CONTENT, "description": "UTF-8 with a byte order mark"}}
_MAX_LENGTH_IN_AUDIT: Final = 500  # of a parameter

router = APIRouter(prefix="/api", responses=_FOR_ADMINISTRATORS)


class AuditSelection(Parameters):
    """The selection of entries."""

    from_: Moment | None = Field(default=None, alias="from", description="first day or time; default today")
    to: Moment | None = Field(default=None, description="last day, or the time before which; default today")
    action: list[Text] = Field(default=[], max_length=50)
    login: Text | None = Field(default=None, description="login of the actor")
    call: Text | None = Field(default=None, description="id of the call that the entries are about")

    def period(self, zone: ZoneInfo, now: datetime) -> Period:
        """Return the period; days are of the domain's time zone."""
        return period(self.from_, self.to, zone, now)


class AuditQuery(AuditSelection):
    """The selection of entries, and the page."""

    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=500, description="`next` of the previous page; the rest unchanged")


class AuditExportQuery(AuditSelection):
    """The selection of entries, and the language."""

    lang: Language | None = Field(default=None, description="language of the file; default by Accept-Language, else ru")


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
    page = await page_of_audit(
        services.store,
        account.domain_id,
        query.period(zone, now),
        actions=tuple(query.action),
        login=query.login,
        subject=query.call,
        after=after.place if after else None,
        limit=query.limit,
    )
    return models.Audit(
        items=[entry(seen, zone) for seen in page.items],
        next=cursor.encode_audit(page.next, now) if page.next else None,
        total=page.total,
        total_is_exact=page.total_is_exact,
    )


@router.get(
    "/audit.csv",
    operation_id="exportAudit",
    tags=["audit"],
    response_class=Response,
    responses=_CSV_RESPONSES,
    dependencies=[Depends(refuse_cross_site)],
)
async def export_audit(
    query: Annotated[AuditExportQuery, Query()], request: Request, account: Administrator, services: Shared
) -> Response:
    """Export audit entries as CSV, the newest first; the audit has the export before it begins.

    Text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    zone, now = ZoneInfo(account.timezone), datetime.now(UTC)
    language = query.lang or preferred(request.headers.get("accept-language"))
    selected = query.period(zone, now)
    entries = all_entries(
        services.store, account.domain_id, selected, actions=tuple(query.action), login=query.login, subject=query.call
    )
    exported = _AuditExport(entries=entries, zone=zone, language=language)
    async with AsyncExitStack() as cleanup:
        await cleanup.enter_async_context(services.exports.export_of(account.user_id))
        pieces = while_allowed(services, account, session_token(request), exported.pieces())
        content = await with_first_piece(pieces)
        event = _export_event(query, selected, request, account, zone, now)
        event = replace(event, continues=await services.audit.record(event))
        cleanup.callback(lambda: services.audit.add(replace(event, at=datetime.now(UTC), detail={"rows": str(exported.rows)})))
        name = f"{export_name(f'{account.domain}-audit', *_days(selected, zone))}.csv"
        return FileStream(content, name=name, media_type="text/csv; charset=utf-8", cleanup=cleanup.pop_all())


@dataclass(kw_only=True, slots=True)
class _AuditExport:
    """An export that is being sent; `rows` counts its entries."""

    entries: AsyncIterator[tuple[SeenEntry, ...]]
    zone: ZoneInfo
    language: Language
    rows: int = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the file."""
        yield audit_titles(self.language)
        async for batch in self.entries:
            self.rows += len(batch)
            yield await asyncio.to_thread(audit_lines, batch, self.zone, self.language)


def _export_event(
    query: AuditExportQuery, selected: Period, request: Request, account: Account, zone: ZoneInfo, now: datetime
) -> NewEntry:
    detail = {
        "format": "csv",
        "from": selected.start.astimezone(zone).isoformat(),
        "to": selected.end.astimezone(zone).isoformat(),
        "action": ", ".join(map(without_number, query.action))[:_MAX_LENGTH_IN_AUDIT],
        "login": without_number(query.login or ""),
        "call": without_number(query.call or ""),
    }
    detail = {name: value for name, value in detail.items() if value}
    by = actor(request, account)
    return NewEntry(at=now, domain_id=account.domain_id, by=by, action="exported", subject="audit", detail=detail)


def _days(selected: Period, zone: ZoneInfo) -> tuple[date, date]:
    """Return the first and the last day of a period."""
    last = (selected.end - timedelta(microseconds=1)).astimezone(zone).date()
    return min(selected.start.astimezone(zone).date(), last), last
