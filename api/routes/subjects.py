"""`/api/subjects/{number}`: the rights of an outside party, exercised by an administrator."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response
from pydantic import AfterValidator

from api.dependencies.access import Administrator, actor, refuse_cross_site, session_token
from api.dependencies.services import Services, Shared
from api.dependencies.while_allowed import while_allowed
from api.exports.streaming import FileStream, with_first_piece
from api.exports.subject_package import SubjectPackage
from api.http.parameters import without_nul
from api.http.problems import Responses, invalid
from api.presenters import subject as present
from api.schemas import models
from fonoteka.core.naming import export_name
from store.people.accounts import Account
from store.subjects.calls import SubjectCalls, find_calls
from store.subjects.erasure import EXPORTED, FOUND, erase_subject, subject_entry

_REFUSED: Responses = {status: {"model": models.Problem} for status in (401, 403, 422, 503)}
_ZIP: Final = "application/zip"
_ZIP_CONTENT: Final = {_ZIP: {"schema": {"type": "string", "format": "binary"}}}
_ZIP_RESPONSES: Final[Responses] = {
    200: {"content": _ZIP_CONTENT, "description": "recordings, calls.json and journal.json"},
    429: {"model": models.Problem},
}
router = APIRouter(prefix="/api/subjects", tags=["subjects"], responses=_REFUSED, dependencies=[Depends(refuse_cross_site)])

Number = Annotated[
    str, Path(max_length=60, description="number of the outside party, as dialled or E.164"), AfterValidator(without_nul)
]


@router.get("/{number}", operation_id="findSubject")
async def find_subject(number: Number, account: Administrator, request: Request, services: Shared) -> models.Subject:
    """Return what is kept of an outside party. The audit has the last two digits of the number."""
    now = datetime.now(UTC)
    found = await _found(services, account, number, now)
    await _audit(services, account, found, request, FOUND, now)
    return present.subject(found, ZoneInfo(account.timezone))


@router.get("/{number}/export", operation_id="exportSubject", response_class=Response, responses=_ZIP_RESPONSES)
async def export_subject(number: Number, account: Administrator, request: Request, services: Shared) -> Response:
    """Export the calls of an outside party with their audio, and the audit entries about them.

    The audit has the export before its first byte.
    """
    now, zone = datetime.now(UTC), ZoneInfo(account.timezone)
    async with AsyncExitStack() as cleanup:
        await cleanup.enter_async_context(services.exports.export_of(account.user_id))
        found = await _found(services, account, number, now)
        package = SubjectPackage(
            store=services.store, domain=account.domain, domain_id=account.domain_id, zone=zone, found=found, now=now
        )
        pieces = await with_first_piece(while_allowed(services, account, session_token(request), package.pieces()))
        await _audit(services, account, found, request, EXPORTED, now)
        today = now.astimezone(zone).date()
        name = f"{export_name(f'{account.domain}-subject', today, today)}.zip"
        return FileStream(pieces, name=name, media_type=_ZIP, cleanup=cleanup.pop_all())


@router.post("/{number}/erase", operation_id="eraseSubject")
async def erase_data_of_subject(number: Number, account: Administrator, request: Request, services: Shared) -> models.SubjectErased:
    """Erase the calls of an outside party with their audio, for good.

    Calls under legal hold and calls in progress stay and are listed.
    """
    by, now = actor(request, account), datetime.now(UTC)
    try:
        found, erased = await erase_subject(services.store, account.domain_id, number, by=by, now=now)
    except ValueError as error:
        raise invalid("number", str(error)) from error
    return present.erased(found, erased, ZoneInfo(account.timezone))


async def _found(services: Services, account: Account, number: str, now: datetime) -> SubjectCalls:
    """Return the calls of an outside party. Raises RequestValidationError."""
    try:
        return await find_calls(services.store, account.domain_id, number, now)
    except ValueError as error:
        raise invalid("number", str(error)) from error


async def _audit(services: Services, account: Account, found: SubjectCalls, request: Request, action: str, now: datetime) -> None:
    """Write an entry, durable on return. Raises StoreError."""
    entry = subject_entry(account.domain_id, found, actor(request, account), now, action=action)
    await services.audit.record(entry)
