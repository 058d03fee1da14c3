"""`/api/calls/{id}/audio`: what somebody may hear of a call, as one file."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response

from api.audio.cache import Make
from api.audio.conversion import EXTENSIONS, recipe
from api.audit.trail import Entry
from api.dependencies.access import Person, actor
from api.dependencies.services import Services, Shared
from api.http.client_disconnect import unless_gone
from api.http.problems import NOT_FOUND, Problem, not_found
from api.schemas import models
from fonoteka.core.errors import StoreError, TooManyConversions
from fonoteka.core.manifest import AudioFormat
from fonoteka.core.naming import safe
from store.people.accounts import Account
from store.queries.audio import audio_of
from store.queries.calls import SeenCall, call_of

router = APIRouter(prefix="/api", tags=["calls"])

MEDIA_TYPES: Final = {
    AudioFormat.OPUS: "audio/ogg",
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.WAV: "audio/wav",
}
# Beyond 19 digits there is no file, and beyond 4300 no `int`: what is longer is no range that one need understand.
_RANGE: Final = re.compile(r"bytes=\s*(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))\s*", re.ASCII)


class Converted(StrEnum):
    """What a recording can be had as, besides as it is stored."""

    MP3 = "mp3"
    WAV = "wav"


@router.head("/calls/{id}/audio", include_in_schema=False)
@router.get(
    "/calls/{id}/audio",
    operation_id="getAudio",
    response_class=FileResponse,
    responses=NOT_FOUND
    | {
        200: {"content": {"audio/ogg": {}, "audio/mpeg": {}, "audio/wav": {}, "audio/flac": {}}, "description": "the whole file"},
        206: {"description": "the part that Range asks for"},
        416: {"model": models.Problem},
        429: {"model": models.Problem},
    },
)
async def get_audio(
    id: str,
    account: Person,
    services: Shared,
    request: Request,
    format: Annotated[Converted | None, Query(description="default: as it is stored")] = None,
    download: Annotated[bool, Query(description="as an attachment with a telling name")] = False,
) -> Response:
    """The segments this person may hear, in order, as one file. Range is honoured."""
    parts = await audio_of(services.store, account.scope, id)
    now = datetime.now(UTC)
    seen = await call_of(services.store, account.scope, id, now)
    if seen is None or not parts:
        raise not_found()
    wanted = AudioFormat(format) if format else parts[0].format
    how = recipe(services.store.objects.path, parts, wanted)
    tag = f'"{how.key}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    detail = {"format": str(wanted)} if format else {}
    action = "downloaded" if download else "listened"
    entry = Entry(at=now, scope=account.scope, by=actor(request, account), action=action, call=id, detail=detail)
    if request.headers.get("if-none-match") == tag:
        services.audit.tell(entry)  # it is heard again, from where it was kept
        return Response(status_code=304, headers=headers)
    if how.make is None:
        path = services.store.objects.path(parts[0].object_key)
    elif request.method != "HEAD":
        path = await _made(request, services, how.file, how.make, account)
    elif (found := await services.audio.find(how.file)) is not None:
        path = found
    else:
        return _not_made_yet(headers, MEDIA_TYPES[wanted])
    if not path.is_file():
        raise StoreError(f"the audio of call {id} is not where the index says: {path}")
    whole = request.headers.get("if-range", tag) != tag
    if (_mend_range(request, path.stat().st_size) == 0 or whole) and request.method != "HEAD":
        services.audit.tell(entry)  # once for each time it is begun: a player asks for the rest bit by bit
    name = file_name(seen, ZoneInfo(account.timezone), wanted) if download else None
    return FileResponse(path, headers=headers, media_type=MEDIA_TYPES[wanted], filename=name)


def file_name(seen: SeenCall, zone: ZoneInfo, audio_format: AudioFormat) -> str:
    """When and between whom, of letters, digits, `-` and `_` only: src and dst were written by the far end."""
    return f"{seen.started_at.astimezone(zone):%Y-%m-%d_%H-%M-%S}_{safe(seen.src)}_{safe(seen.dst)}.{EXTENSIONS[audio_format]}"


async def _made(request: Request, services: Services, file: str, make: Make, account: Account) -> Path:
    """The file, made where it is not there; given up when the client goes."""
    try:
        return await unless_gone(request, services.audio.get(file, make, who=account.user_id))
    except TooManyConversions:
        detail = "you wait for two recordings already; ask for this one when they have come"
        raise Problem(429, "too-many-conversions", detail, headers={"Retry-After": "5"}) from None


def _not_made_yet(headers: Mapping[str, str], media_type: str) -> Response:
    """What HEAD says of a file that only a GET makes: its length is not known."""
    response = Response(headers=headers, media_type=media_type)
    response.headers["Accept-Ranges"] = "bytes"
    del response.headers["content-length"]
    return response


def _mend_range(request: Request, size: int) -> int:
    """Answer an unsatisfiable range as a problem, and let what is no single byte range go unheard (RFC 9110, 14.2).

    Returns where the answer begins.
    """
    if (asked := request.headers.get("range")) is None:
        return 0
    match = _RANGE.fullmatch(asked.lower())
    first = int(match[1]) if match and match[1] else None
    if match is None or (first is not None and match[2] and int(match[2]) < first):
        request.scope["headers"] = [(name, value) for name, value in request.scope["headers"] if name != b"range"]
        return 0
    if (first is not None and first >= size) or (match[3] and int(match[3]) == 0):
        raise Problem(416, "range-not-satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return max(0, size - int(match[3])) if first is None else first
