"""`/api/calls/{id}/evidence`: take a call out as a signed package."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.dependencies.access import Administrator, actor, refuse_cross_site, session_token
from api.dependencies.damage import DamageReports
from api.dependencies.services import Shared
from api.dependencies.while_allowed import while_allowed
from api.exports.streaming import FileStream, blocks
from api.http.problems import Responses, not_found
from api.schemas import models
from store.audit.write import NewEntry
from store.evidence.package import write_package
from store.queries.calls import call_of

_ZIP: Final = "application/zip"
_DESCRIPTION: Final = "a package for `fonoteka evidence verify`"
_CONTENT: Final = {_ZIP: {"schema": {"type": "string", "format": "binary"}}}
_RESPONSES: Final[Responses] = {
    200: {"content": _CONTENT, "description": _DESCRIPTION},
    **{status: {"model": models.Problem} for status in (401, 403, 404, 429, 502, 503)},
}

router = APIRouter(prefix="/api", tags=["calls"], dependencies=[Depends(refuse_cross_site)])


@router.get("/calls/{id}/evidence", operation_id="exportEvidence", response_class=Response, responses=_RESPONSES)
async def export_evidence(id: str, account: Administrator, request: Request, services: Shared) -> Response:
    """Export a call as evidence: recordings, the call as vCon, its audit, hashes and a signature.

    The audit has the export before its first byte. 502 if a recording is missing or altered.
    """
    now = datetime.now(UTC)
    if await call_of(services.store, account.scope, id, now) is None:
        raise not_found()
    async with AsyncExitStack() as cleanup:
        await cleanup.enter_async_context(services.exports.export_of(account.user_id))
        by = actor(request, account)
        event = NewEntry(at=now, domain_id=account.domain_id, by=by, action="evidence_exported", subject=id, detail={})
        await services.audit.record(event)
        file = cleanup.enter_context(services.exports.nameless_file())
        async with DamageReports(request=request, account=account, services=services).refusing(id):
            await write_package(services.store, services.audit_key, account.scope, id, file, made_by=account.login, now=now)
        size = file.seek(0, 2)
        file.seek(0)
        name = f"fonoteka-evidence-{id}.zip"
        pieces = while_allowed(services, account, session_token(request), blocks(file))
        return FileStream(pieces, name=name, media_type=_ZIP, size=size, cleanup=cleanup.pop_all())
