"""`/api/calls/{id}/audio`: the recording of a call, as one file."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from io import BufferedReader
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from api.audio.conversion import EXTENSIONS, Conversion, conversion
from api.audio.heard_file import Announce, HeardFile, size_of
from api.dependencies.access import CurrentAccount
from api.dependencies.damage import DamageReports
from api.dependencies.listening import listening_event
from api.dependencies.services import Services, Shared
from api.http.client_disconnect import cancel_on_disconnect
from api.http.problems import NOT_FOUND, Problem, Responses, not_found
from api.schemas import models
from fonoteka.core.errors import ObjectMissing, TooManyConversions
from fonoteka.core.manifest import AudioFormat
from fonoteka.core.naming import safe
from store.audit.write import NewEntry
from store.queries.audio import audio_of, sound_of
from store.queries.calls import SeenCall, call_of

router = APIRouter(prefix="/api", tags=["calls"])

MEDIA_TYPES: Final = {
    AudioFormat.OPUS: "audio/ogg",
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.WAV: "audio/wav",
}
# No file is so large that more than 19 digits are needed, and `int` refuses more than 4300.
_RANGE: Final = re.compile(r"bytes=\s*(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))\s*", re.ASCII)


class TargetFormat(StrEnum):
    """Formats to which a recording can be converted."""

    MP3 = "mp3"
    WAV = "wav"


_RESPONSES: Final[Responses] = NOT_FOUND | {
    200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}, "description": "the complete file"},
    206: {"description": "the range of the Range header"},
    307: {"description": "the same file at the S3 server, for an hour"},
    416: {"model": models.Problem},
    429: {"model": models.Problem},
    502: {"model": models.Problem},
    503: {"model": models.Problem},
}


@router.head("/calls/{id}/audio", include_in_schema=False)
@router.get("/calls/{id}/audio", operation_id="getAudio", response_class=FileResponse, responses=_RESPONSES)
async def get_audio(
    id: str,
    account: CurrentAccount,
    services: Shared,
    request: Request,
    format: Annotated[TargetFormat | None, Query(description="default: the stored format")] = None,
    download: Annotated[bool, Query(description="as an attachment, named by time and numbers")] = False,
) -> Response:
    """Send the segments that the account may hear as one file, each moment once, without pauses.

    Range is supported. The audit has the part that is sent before its first byte; 503 if it cannot
    be written. 502 if a stored file is missing or altered. If the operator lets browsers fetch
    recordings from S3, a stored file that is not encrypted is a redirect, and the audit has all of
    it.
    """
    parts = await audio_of(services.store, account.scope, id)
    seen = await call_of(services.store, account.scope, id, now := datetime.now(UTC))
    if seen is None or not parts:
        raise not_found()
    damage = DamageReports(request=request, account=account, services=services)
    target = AudioFormat(format) if format else parts[0].format
    plan = conversion(id, services.intact, parts, target)
    name = file_name(seen, ZoneInfo(account.timezone), target) if download else None
    detail = {"of_ms": sound_of(parts).duration_ms} | ({"format": str(target)} if format else {})
    action = "downloaded" if download else "listened"
    announce = _announcement(services, listening_event(request, account, id, action=action, detail=detail, now=now))
    if (address := await _address(request, services, plan, name)) is not None:
        return await _redirect(damage, plan, announce, address)
    await damage.check(id, parts)
    return await _send(damage, plan, announce, MEDIA_TYPES[target], name)


async def _address(request: Request, services: Services, plan: Conversion, name: str | None) -> str | None:
    """Return an address of the file outside of the API, or None if the API sends it.

    An address is signed for GET. `name` is the file's name for a download.
    """
    if plan.make is not None or plan.stored.encrypted or request.method != "GET":
        return None
    disposition = f'attachment; filename="{name}"' if name is not None else None
    return await services.store.objects.address(
        plan.stored.object_key, media_type=MEDIA_TYPES[plan.stored.format], disposition=disposition
    )


async def _redirect(damage: DamageReports, plan: Conversion, announce: Announce, address: str) -> Response:
    """Redirect to a file. Raises Problem 502 if it is missing; its content is not checked."""
    async with damage.refusing(plan.call):
        if not await damage.services.store.objects.exists(plan.stored.object_key):
            raise ObjectMissing(f"{plan.stored.object_key} does not exist")
    await announce(0, 1, 1)
    return RedirectResponse(address, status_code=307)


async def _send(damage: DamageReports, plan: Conversion, announce: Announce, media_type: str, name: str | None) -> Response:
    """Send a file, made of stored ones that were checked."""
    tag = f'"{plan.key}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if damage.request.headers.get("if-none-match") == tag:
        await announce(0, 1, 1)  # played again from the browser's cache
        return Response(status_code=304, headers=headers)
    file = await _file(damage, plan)
    if file is None:
        return _length_unknown(headers, media_type)
    try:
        _check_range(damage.request, size_of(file))
    except Problem:
        file.close()
        raise
    return HeardFile(file, announce, headers=headers, media_type=media_type, filename=name)


def _announcement(services: Services, event: NewEntry) -> Announce:
    """Return a function that writes a part to the audit.

    The part is in milliseconds, by its share of the bytes: exact for WAV, about right for others.
    """
    of_ms = event.detail["of_ms"]

    async def announce(first: int, end: int, size: int) -> None:
        heard = [first * of_ms // size, -(-end * of_ms // size)]
        await services.audit.record(replace(event, detail={**event.detail, "heard_ms": heard}))

    return announce


def file_name(seen: SeenCall, zone: ZoneInfo, audio_format: AudioFormat) -> str:
    """Name the file by time and numbers; src and dst come from the far end, so they are escaped."""
    return f"{seen.started_at.astimezone(zone):%Y-%m-%d_%H-%M-%S}_{safe(seen.src)}_{safe(seen.dst)}.{EXTENSIONS[audio_format]}"


async def _file(damage: DamageReports, plan: Conversion) -> BufferedReader | None:
    """Return the file; convert it, but for HEAD return None if it is not converted.

    The conversion is cancelled if the client disconnects. Raises Problem 429, and 502 if a
    recording has changed since it was checked.
    """
    request, services = damage.request, damage.services
    async with damage.refusing(plan.call):
        if plan.make is None:
            return await services.intact.open(plan.stored)
        if request.method == "HEAD":
            return await services.audio.find(plan.file)
        try:
            made = services.audio.get(plan.file, plan.make, owner=damage.account.user_id, check=plan.check)
            return await cancel_on_disconnect(request, made)
        except TooManyConversions:
            detail = "you wait for two recordings already; ask for this one when they have come"
            raise Problem(429, "too-many-conversions", detail, headers={"Retry-After": "5"}) from None


def _length_unknown(headers: Mapping[str, str], media_type: str) -> Response:
    """Answer HEAD for a file that is not converted yet."""
    response = Response(headers=headers, media_type=media_type)
    response.headers["Accept-Ranges"] = "bytes"
    del response.headers["content-length"]
    return response


def _check_range(request: Request, size: int) -> None:
    """Raise Problem 416 for an unsatisfiable range.

    A header that is not a single range of bytes is removed from the request (RFC 9110, 14.2).
    """
    if (header := request.headers.get("range")) is None:
        return
    match = _RANGE.fullmatch(header.lower())
    first = int(match[1]) if match and match[1] else None
    if match is None or (first is not None and match[2] and int(match[2]) < first):
        request.scope["headers"] = [(name, value) for name, value in request.scope["headers"] if name != b"range"]
        return
    if (first is not None and first >= size) or (match[3] and int(match[3]) == 0):
        raise Problem(416, "range-not-satisfiable", headers={"Content-Range": f"bytes */{size}"})
