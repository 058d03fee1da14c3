"""`/agent/v1`: what agents say to the store (`fonoteka.core.agent_protocol`)."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile

from api.audio.peaks import StoredPeaks
from api.dependencies.access import Agent
from api.dependencies.services import Services, Shared
from api.http.problems import Problem, Responses, invalid
from api.schemas import models
from fonoteka.core.agent_protocol import CallReceipt, CallReceipts, Command, CommandOutcome, Commands, RecordingReceipt
from fonoteka.core.call_report import CallReport
from fonoteka.core.domains import DomainSettings
from fonoteka.core.manifest import Manifest, Mixed
from store import recorder_commands as commands
from store.intake.intake import store_recording, upsert_calls
from store.people.accounts import Pbx
from store.provisioning.directory import domain_settings

router = APIRouter(prefix="/agent/v1", tags=["agent"], responses={401: {"model": models.Problem}})

T = TypeVar("T")

_TOO_MANY: Final[Responses] = {429: {"model": models.Problem}}
_BLOCK_BYTES: Final = 256 * 1024
_MOST_REPORTS: Final = 200
_REPORT: Final = TypeAdapter(CallReport)
_MANIFEST: Final = TypeAdapter(Manifest)
_MIXED: Final = TypeAdapter(Mixed)
_OUTCOME: Final = TypeAdapter(CommandOutcome)
_PEAKS: Final = TypeAdapter(StoredPeaks)
_PAPERS: Final = ("manifest", "mixed", "peaks")
_REPORTS: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "array",
                "maxItems": _MOST_REPORTS,
                "items": {"title": "CallReport", "description": "read each for itself: what is none gets a receipt that says so"},
            },
        }
    },
}
_TOLD: Final[dict[str, Any]] = {
    "required": True,
    "content": {"application/json": {"schema": {"type": "object", "title": "CommandOutcome"}}},
}
_FORM: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [*_PAPERS, "audio"],
                "properties": {name: {"type": "string", "contentMediaType": "application/json"} for name in _PAPERS}
                | {"audio": {"type": "string", "contentMediaType": "application/octet-stream"}},
            }
        }
    },
}


async def _poll(pbx: Agent, services: Shared) -> AsyncIterator[None]:
    """A place among the long polls of a PBX. Raises Problem 429."""
    with services.poll_places.entered(pbx.id) as inside:
        if not inside:
            detail = "this PBX holds too many requests open; is its token used by several agents?"
            raise Problem(429, "too-many-polls", detail, headers={"Retry-After": "10"})
        yield


@router.get(
    "/settings",
    operation_id="agentSettings",
    response_model=DomainSettings,
    dependencies=[Depends(_poll, scope="function")],
    responses=_TOO_MANY | {204: {"description": "none"}},
)
async def get_settings(
    _pbx: Agent,
    services: Shared,
    known: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    wait_s: Annotated[float, Query(ge=0, le=60)] = 0,
) -> DomainSettings | Response:
    """The settings, if their version is another than `known` or becomes so within `wait_s` seconds."""
    if await services.settings.other_than(known, wait_s):
        return await domain_settings(services.store)
    return Response(status_code=204)


@router.get("/commands", operation_id="agentCommands", dependencies=[Depends(_poll, scope="function")], responses=_TOO_MANY)
async def get_commands(
    pbx: Agent,
    services: Shared,
    request: Request,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    wait_s: Annotated[float, Query(ge=0, le=60)] = 0,
) -> Commands:
    """What is asked of recordings on this PBX, as soon as there is any or after `wait_s` seconds."""

    async def look() -> Sequence[Command] | None:
        if await request.is_disconnected():  # an agent that died must not be handed what the next one could do
            return ()
        return await commands.take(services.store, pbx, after, datetime.now(UTC)) or None

    return Commands(commands=tuple(await services.commands.until(look, wait_s) or ()))


# These bodies are read by hand: FastAPI would read them, however long, before it asks whose they are.
@router.post("/commands/{id}", operation_id="agentCommandOutcome", status_code=204, openapi_extra={"requestBody": _TOLD})
async def put_outcome(id: Annotated[int, Path(ge=0, lt=2**63)], pbx: Agent, services: Shared, request: Request) -> None:
    """Take what came of a command, and the call as it stands after it."""
    try:
        outcome = _OUTCOME.validate_json(await request.body())
    except ValidationError as error:
        raise invalid("body", _first_words(error)) from error
    if outcome.report is not None:
        await _take(services, pbx, [outcome.report])
    await commands.answer(services.store, pbx, id, outcome.refusal or commands.DONE)
    services.commands.wake()


@router.put("/calls", operation_id="agentCalls", openapi_extra={"requestBody": _REPORTS})
async def put_calls(pbx: Agent, services: Shared, request: Request) -> CallReceipts:
    """Take reports; what cannot be taken is refused one by one."""
    read = _reports(await request.body())
    receipts = iter(await _take(services, pbx, [one for one in read if isinstance(one, CallReport)]))
    return CallReceipts(receipts=tuple(next(receipts) if isinstance(one, CallReport) else one for one in read))


async def _take(services: Services, pbx: Pbx, reports: Sequence[CallReport]) -> tuple[CallReceipt, ...]:
    taken = await upsert_calls(services.store, pbx, reports)
    now = datetime.now(UTC)
    for change in taken.changes:
        services.metrics.count(change, now)
        services.live.tell(change, recording_only=False)
    return taken.receipts


@router.put(
    "/recordings/{segment}",
    operation_id="agentRecording",
    openapi_extra={"requestBody": _FORM},
    responses={409: {"model": models.Problem}, 507: {"model": models.Problem}},
)
async def put_recording(segment: str, pbx: Agent, services: Shared, request: Request) -> RecordingReceipt:
    """Take a recording; the receipt says that it is on the disk and in the index."""
    now = datetime.now(UTC)
    async with request.form(max_files=1, max_fields=len(_PAPERS)) as form:
        told, made, peaks = _paper(form, "manifest", _MANIFEST), _paper(form, "mixed", _MIXED), _paper(form, "peaks", _PEAKS)
        if told.name != segment:
            raise invalid("manifest", f"is of segment {told.name[:80]!r}, not of the one in the address")
        if not peaks.fit(made.duration_ms):
            raise invalid("peaks", "are of something longer than the audio")
        content, audio = peaks.model_dump_json().encode(), _blocks(_file(form, "audio"))
        taken = await store_recording(services.store, pbx, told, made, content, audio, now)
    if taken.change is not None:
        services.metrics.count(taken.change, now)
        services.live.tell(taken.change, recording_only=True)
    for change in taken.others:
        services.live.tell(change, recording_only=False)
    return taken.receipt


def _reports(body: bytes) -> list[CallReport | CallReceipt]:
    """The reports in a body, each read for itself; for one that is none, the receipt that says so."""
    try:
        values = from_json(body)
    except ValueError as error:
        raise invalid("body", f"is no JSON: {error}") from error
    if not isinstance(values, list) or len(values) > _MOST_REPORTS:
        raise invalid("body", f"must be a list of at most {_MOST_REPORTS} calls")
    return [_report(value) for value in values]


def _report(value: object) -> CallReport | CallReceipt:
    try:
        return _REPORT.validate_python(value)
    except ValidationError as error:
        said = value if isinstance(value, dict) else {}
        linkedid, revision = said.get("linkedid"), said.get("revision")
        return CallReceipt(
            linkedid=linkedid if isinstance(linkedid, str) else "",
            revision=revision if isinstance(revision, int) else 0,
            refused=_first_words(error),
        )


def _first_words(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


async def _blocks(file: UploadFile) -> AsyncIterator[bytes]:
    while block := await file.read(_BLOCK_BYTES):
        yield block


def _file(form: FormData, name: str) -> UploadFile:
    if not isinstance(file := form.get(name), UploadFile):
        raise invalid(name, "a file is missing")
    return file


def _paper(form: FormData, where: str, shape: TypeAdapter[T]) -> T:
    text = form.get(where)
    if not isinstance(text, str):
        raise invalid(where, "is missing")
    try:
        return shape.validate_json(text)
    except ValidationError as error:
        raise invalid(where, _first_words(error)) from error
