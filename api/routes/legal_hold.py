"""`/api/calls/{id}/hold`: legal hold, which keeps a call beyond its retention period."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request

from api.dependencies.access import Administrator, actor
from api.dependencies.services import Shared
from api.http.problems import NOT_FOUND, Responses, not_found
from api.presenters.call import call_with_path
from api.schemas import models
from store.queries.calls import call_of, path_of
from store.retention.legal_hold import set_legal_hold

_FOR_ADMINISTRATORS: Responses = {status: {"model": models.Problem} for status in (401, 403)}
router = APIRouter(prefix="/api", responses=_FOR_ADMINISTRATORS)


@router.put("/calls/{id}/hold", operation_id="holdCall", tags=["calls"], responses=NOT_FOUND)
async def hold_call(
    id: str, change: models.LegalHoldRequest, account: Administrator, request: Request, services: Shared
) -> models.CallWithPath:
    """Place a call under legal hold, or release it. `note` is the reason, for the audit.

    For a call that was merged into another one meanwhile, that call is held and returned.
    """
    now, by = datetime.now(UTC), actor(request, account)
    held = await set_legal_hold(services.store, account.scope, id, legal_hold=change.hold, why=change.note, by=by, now=now)
    if held is None:
        raise not_found()
    services.object_locks.hold_changed()
    seen = await call_of(services.store, account.scope, held, now)
    if seen is None:
        raise not_found()
    return call_with_path(seen, await path_of(services.store, account.scope, held), ZoneInfo(account.timezone))
