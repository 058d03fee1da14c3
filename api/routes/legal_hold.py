"""`/api/calls/{id}/hold`: a call that is kept whatever its age."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request

from api.dependencies.access import Administrator, actor
from api.dependencies.services import Shared
from api.http.problems import NOT_FOUND, Responses, not_found
from api.presenters import call as shapes
from api.schemas import models
from store.queries.calls import call_of, path_of
from store.retention.legal_hold import set_legal_hold

_FOR_ADMINISTRATORS: Responses = {status: {"model": models.Problem} for status in (401, 403)}
router = APIRouter(prefix="/api", responses=_FOR_ADMINISTRATORS)


@router.put("/calls/{id}/hold", operation_id="holdCall", tags=["calls"], responses=NOT_FOUND)
async def hold_call(
    id: str, wanted: models.HoldRequest, account: Administrator, request: Request, services: Shared
) -> models.CallWithPath:
    """Keep a call whatever its age, or no longer. `note` says why, and stands in the audit."""
    now, by = datetime.now(UTC), actor(request, account)
    if not await set_legal_hold(services.store, account.scope, id, legal_hold=wanted.hold, why=wanted.note, by=by, now=now):
        raise not_found()
    services.live.tell_of(account.domain_id, id)
    seen = await call_of(services.store, account.scope, id, now)
    if seen is None:
        raise not_found()
    return shapes.call_with_path(seen, await path_of(services.store, account.scope, id), ZoneInfo(account.timezone))
