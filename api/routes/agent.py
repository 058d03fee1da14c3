"""`/agent/v1`: the protocol between agents and the store (`fonoteka.core.agent_protocol`)."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile

from api.audio.peaks import StoredPeaks
from api.dependencies.access import Agent, address_of
from api.dependencies.services import Services, Shared
from api.http.problems import Problem, Responses, invalid
from api.schemas import models
from fonoteka.core.agent_protocol import CallReceipt, CallReceipts, Command, CommandOutcome, Commands, PbxLink, RecordingReceipt
from fonoteka.core.call_report import CallReport
from fonoteka.core.domains import DomainSettings
from fonoteka.core.errors import AudioStored, DomainChanged, DomainNotServed, IntakeRefused
from fonoteka.core.manifest import Manifest, Mixed
from store import recorder_commands as commands
from store.database.signals import Signal, SignalKind
from store.intake.intake import CallsTaken, store_recording, upsert_calls
from store.people.accounts import Pbx
from store.provisioning.directory import domain_settings

router = APIRouter(prefix="/agent/v1", tags=["agent"], responses={401: {"model": models.Problem}})

T = TypeVar("T")

_TOO_MANY: Final[Responses] = {429: {"model": models.Problem}}
_BLOCK_BYTES: Final = 256 * 1024
_MAX_REPORTS: Final = 200
_REPORT: Final = TypeAdapter(CallReport)
_MANIFEST: Final = TypeAdapter(Manifest)
_MIXED: Final = TypeAdapter(Mixed)
_OUTCOME: Final = TypeAdapter(CommandOutcome)
_PEAKS: Final = TypeAdapter(StoredPeaks)
_DOCUMENTS: Final = ("manifest", "mixed", "peaks")
_REPORTS: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "array",
                "maxItems": _MAX_REPORTS,
                "items": {"title": "CallReport", "description": "an invalid report gets a receipt with `refused`"},
            },
        }
    },
}
_OUTCOME_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {"application/json": {"schema": {"type": "object", "title": "CommandOutcome"}}},
}
_FORM: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [*_DOCUMENTS, "audio"],
                "properties": {name: {"type": "string", "contentMediaType": "application/json"} for name in _DOCUMENTS}
                | {"audio": {"type": "string", "contentMediaType": "application/octet-stream"}},
            }
        }
    },
}


async def _poll_slot(pbx: Agent, services: Shared) -> AsyncIterator[None]:
    """Hold one of the PBX's slots for long polls. Raises Problem 429."""
    async with services.agent_polls.try_enter(pbx.id) as entered:
        if not entered:
            detail = "this PBX holds too many requests open; is its token used by several agents?"
            raise Problem(429, "too-many-polls", detail, headers={"Retry-After": "10"})
        yield


@router.get(
    "/settings",
    operation_id="agentSettings",
    response_model=DomainSettings,
    dependencies=[Depends(_poll_slot, scope="function")],
    responses=_TOO_MANY | {204: {"description": "no other settings"}},
)
async def get_settings(
    pbx: Agent,
    services: Shared,
    known: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    wait_s: Annotated[float, Query(ge=0, le=60)] = 0,
) -> DomainSettings | Response:
    """Return the settings if their version is not `known`, or changes within `wait_s` seconds.

    They have the domains that the PBX serves.
    """
    if await services.settings.has_changed(known, wait_s):
        return await domain_settings(services.store, pbx)
    return Response(status_code=204)


@router.get("/commands", operation_id="agentCommands", dependencies=[Depends(_poll_slot, scope="function")], responses=_TOO_MANY)
async def get_commands(
    pbx: Agent,
    services: Shared,
    request: Request,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    wait_s: Annotated[float, Query(ge=0, le=60)] = 0,
    link: PbxLink = PbxLink.UP,
    clock_s: Annotated[float | None, Query(ge=0, lt=1e11, allow_inf_nan=False)] = None,
) -> Commands:
    """Return commands for recorders of the PBX, as soon as there are any or after `wait_s` s.

    `link` is the agent's connection to Asterisk, and `clock_s` the time of Asterisk's clock, in
    seconds since 1970, for `/readyz`.
    """
    await services.store.tell(Signal(kind=SignalKind.LINK, of=pbx.id, what=link))
    if clock_s is not None:
        ahead_s = clock_s - time.time()
        services.metrics.set_clock_ahead(pbx.name, ahead_s)
        await services.store.tell(Signal(kind=SignalKind.CLOCK, of=pbx.id, what=f"{ahead_s:.0f}"))

    async def pending() -> Sequence[Command] | None:
        if await request.is_disconnected():  # an agent that died must not take commands from the next
            return ()
        taken = await commands.take(services.store, pbx, after, datetime.now(UTC))
        if taken.refused:
            services.metrics.count_refused(pbx.name, DomainNotServed.counted_as, taken.refused)
        return taken.commands or None

    return Commands(commands=tuple(await services.commands.first_result(pending, wait_s) or ()))


# The routes read these bodies themselves: FastAPI would read a long one before it authenticates.
@router.post("/commands/{id}", operation_id="agentCommandOutcome", status_code=204, openapi_extra={"requestBody": _OUTCOME_BODY})
async def put_outcome(id: Annotated[int, Path(ge=0, lt=2**63)], pbx: Agent, services: Shared, request: Request) -> None:
    """Store the outcome of a command, and the call after it.

    422 if the call is of a domain that the PBX does not serve, or of another one than it was.
    """
    try:
        outcome = _OUTCOME.validate_json(await request.body())
    except ValidationError as error:
        raise invalid("body", _first_error(error)) from error
    if outcome.report is not None:
        stored = await _store_calls(services, pbx, [outcome.report])
        for refusal in stored.refusals:
            if isinstance(refusal, DomainNotServed | DomainChanged):
                raise refusal
    with _counting(services, pbx):
        await commands.answer(services.store, pbx, id, outcome.refusal or commands.DONE)


@router.put("/calls", operation_id="agentCalls", openapi_extra={"requestBody": _REPORTS})
async def put_calls(pbx: Agent, services: Shared, request: Request) -> CallReceipts:
    """Store reports of calls; each report gets its own receipt."""
    reports = _reports(await request.body())
    stored = await _store_calls(services, pbx, [report for report in reports if isinstance(report, CallReport)])
    receipts = iter(stored.receipts)
    return CallReceipts(receipts=tuple(next(receipts) if isinstance(report, CallReport) else report for report in reports))


async def _store_calls(services: Services, pbx: Pbx, reports: Sequence[CallReport]) -> CallsTaken:
    now = datetime.now(UTC)
    stored = await upsert_calls(services.store, pbx, reports, now=now)
    _count(services, pbx, stored.refusals)
    for change in stored.changes:
        services.metrics.count(change, now)
    return stored


def _count(services: Services, pbx: Pbx, refusals: Iterable[IntakeRefused | AudioStored]) -> None:
    for refusal in refusals:
        services.metrics.count_refused(pbx.name, refusal.counted_as)


@contextmanager
def _counting(services: Services, pbx: Pbx) -> Iterator[None]:
    """Count the refusal that the block raises."""
    try:
        yield
    except (IntakeRefused, AudioStored) as refusal:
        _count(services, pbx, [refusal])
        raise


@router.put(
    "/recordings/{segment}",
    operation_id="agentRecording",
    openapi_extra={"requestBody": _FORM},
    responses={status: {"model": models.Problem} for status in (409, 410, 503, 507)},
)
async def put_recording(segment: str, pbx: Agent, services: Shared, request: Request) -> RecordingReceipt:
    """Store a recording; a receipt is sent when it is on the disk and in the index.

    Stored audio never changes: 409 `audio-stored` for other bytes of a stored recording, and 410
    `retention-ended` for audio or a call that was deleted by its age: the PBX deletes it too.
    503 `too-many-uploads` and 507 are answered before the body is read: send it again later.
    """
    now = datetime.now(UTC)
    async with services.uploads.receive(request, pbx.id, max_fields=len(_DOCUMENTS)) as form:
        manifest, mixed = _document(form, "manifest", _MANIFEST), _document(form, "mixed", _MIXED)
        peaks = _document(form, "peaks", _PEAKS)
        if manifest.name != segment:
            raise invalid("manifest", f"is of segment {manifest.name[:80]!r}, not of the one in the address")
        if not peaks.fit(mixed.duration_ms):
            raise invalid("peaks", "are of something longer than the audio")
        content, audio = peaks.model_dump_json().encode(), _blocks(_file(form, "audio"))
        address = address_of(request)
        with _counting(services, pbx):
            stored = await store_recording(services.store, pbx, manifest, mixed, content, audio, now, address=address)
    _count(services, pbx, stored.refusals)
    if stored.change is not None:
        services.metrics.count(stored.change, now)
    return stored.receipt


def _reports(body: bytes) -> list[CallReport | CallReceipt]:
    """Parse the reports of a body one by one; return a receipt in place of an invalid one."""
    try:
        values = from_json(body)
    except ValueError as error:
        raise invalid("body", f"is no JSON: {error}") from error
    if not isinstance(values, list) or len(values) > _MAX_REPORTS:
        raise invalid("body", f"must be a list of at most {_MAX_REPORTS} calls")
    return [_report(value) for value in values]


def _report(value: object) -> CallReport | CallReceipt:
    try:
        return _REPORT.validate_python(value)
    except ValidationError as error:
        fields = value if isinstance(value, dict) else {}
        linkedid, revision = fields.get("linkedid"), fields.get("revision")
        return CallReceipt(
            linkedid=linkedid if isinstance(linkedid, str) else "",
            revision=revision if isinstance(revision, int) else 0,
            refused=_first_error(error),
        )


def _first_error(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


async def _blocks(file: UploadFile) -> AsyncIterator[bytes]:
    while block := await file.read(_BLOCK_BYTES):
        yield block


def _file(form: FormData, name: str) -> UploadFile:
    if not isinstance(file := form.get(name), UploadFile):
        raise invalid(name, "a file is missing")
    return file


def _document(form: FormData, where: str, adapter: TypeAdapter[T]) -> T:
    text = form.get(where)
    if not isinstance(text, str):
        raise invalid(where, "is missing")
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        raise invalid(where, _first_error(error)) from error
