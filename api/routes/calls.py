"""`/api/calls`, `/api/calls/{id}` and `/api/calls/{id}/peaks`."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field, ValidationError

from api.audio.peaks import PlacedPeaks, StoredPeaks, joined
from api.dependencies.access import CurrentAccount
from api.dependencies.damage import DamageReports
from api.dependencies.listening import listening_event
from api.dependencies.query_slot import query_slot
from api.dependencies.services import Services, Shared
from api.http import cursor
from api.http.parameters import SelectionQuery
from api.http.problems import NOT_FOUND, invalid, not_found
from api.presenters.call import call, call_with_path
from api.schemas import models
from fonoteka.core.errors import ObjectDamaged
from store.intake.one_sound import Piece
from store.integrity.intact import intact_peaks
from store.queries.audio import StoredAudio, audio_of, sound_of
from store.queries.calls import call_of, page_of_calls, path_of
from store.selection.selection import Sort

router = APIRouter(prefix="/api", tags=["calls"], responses={401: {"model": models.Problem}})


class PageQuery(SelectionQuery):
    """The selection, its order, and the page."""

    sort: Sort = Sort.STARTED_DOWN
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(
        default=None, max_length=500, description="`next` of the previous page; the other parameters unchanged"
    )


@router.get(
    "/calls",
    operation_id="listCalls",
    dependencies=[Depends(query_slot, scope="function")],
    responses={422: {"model": models.Problem}},
)
async def list_calls(query: Annotated[PageQuery, Query()], account: CurrentAccount, services: Shared) -> models.Calls:
    """List one page of the selected calls."""
    zone, now = ZoneInfo(account.timezone), datetime.now(UTC)
    try:
        after = cursor.decode(query.cursor, query.sort) if query.cursor else None
    except ValueError as error:
        raise invalid("cursor", str(error)) from error
    # "Today" of a later page is that of the first page: midnight may pass in between.
    selection = query.selection(zone, after.now if after else now)
    page = await page_of_calls(services.store, account.scope, selection, sort=query.sort, after=after, limit=query.limit, now=now)
    return models.Calls(
        items=[call(seen, zone) for seen in page.items],
        next=cursor.encode(page.next) if page.next else None,
        total=page.total,
        total_is_exact=page.total_is_exact,
    )


@router.get("/calls/{id}", operation_id="getCall", responses=NOT_FOUND)
async def get_call(id: str, account: CurrentAccount, services: Shared) -> models.CallWithPath:
    """Return a call with the steps of its path."""
    seen = await call_of(services.store, account.scope, id, datetime.now(UTC))
    if seen is None:
        raise not_found()
    return call_with_path(seen, await path_of(services.store, account.scope, id), ZoneInfo(account.timezone))


@router.get("/calls/{id}/peaks", operation_id="getPeaks", responses=NOT_FOUND | {502: {"model": models.Problem}})
async def get_peaks(id: str, account: CurrentAccount, request: Request, services: Shared) -> models.Peaks:
    """Return the waveform of the audio that `/audio` sends; the audit has it with the listening."""
    parts = await audio_of(services.store, account.scope, id)
    if not parts:
        raise not_found()
    async with DamageReports(request=request, account=account, services=services).refusing(id):
        heard = [await _peaks(services, parts[piece.segment], piece) for piece in sound_of(parts).pieces]
    now = datetime.now(UTC)
    await services.audit.record(listening_event(request, account, id, detail={"peaks": True}, now=now))
    return joined(heard)


async def _peaks(services: Services, part: StoredAudio, piece: Piece) -> PlacedPeaks:
    """Read the peaks of a segment's piece. Raises ObjectMissing and ObjectDamaged."""
    content = await intact_peaks(services.store.objects, part)
    try:
        return PlacedPeaks(peaks=StoredPeaks.model_validate_json(content), piece=piece)
    except ValidationError as error:
        raise ObjectDamaged(f"the peaks of {part.object_key} are damaged: {error}") from error
