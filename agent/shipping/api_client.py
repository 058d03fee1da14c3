"""The client of `/agent/v1` (see `fonoteka.core.agent_protocol`)."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from agent.shipping.upload import OpenedFile, stream_last_part
from fonoteka.core.agent_protocol import CallReceipts, Command, CommandOutcome, Commands, PbxLink, RecordingReceipt
from fonoteka.core.call_report import CallReport
from fonoteka.core.domains import DomainSettings
from fonoteka.core.errors import AlreadyShipped, RetentionOver, ShipBucketAway, ShipDeferred, ShipError, ShipRefused
from fonoteka.core.manifest import MANIFEST_FILE, MIXED_FILE, Mixed
from fonoteka.core.plain_file import open_plain, read_plain

T = TypeVar("T")

_REPORT: Final = TypeAdapter(CallReport)
_CALL_RECEIPTS: Final = TypeAdapter(CallReceipts)
_RECORDING_RECEIPT: Final = TypeAdapter(RecordingReceipt)
_COMMANDS: Final = TypeAdapter(Commands)
_OUTCOME: Final = TypeAdapter(CommandOutcome)
_SETTINGS: Final = TypeAdapter(DomainSettings)
_FINAL: Final = frozenset({400, 413, 422})  # the same request will be refused again
_BUSY: Final = frozenset({408, 429, 503, 507})  # so will every other request, for now
_AUDIO_STORED: Final = "/problems/audio-stored"
_RETENTION_ENDED: Final = "/problems/retention-ended"
_BUCKET_AWAY: Final = "/problems/bucket-away"
_JSON: Final = {"Content-Type": "application/json"}
# A half-open link is noticed by the time for one block, or for the answer: it comes after the store
# has encrypted and synced the audio.
_BLOCK_S: Final = 60.0
_STORED_BYTES_PER_S: Final = 1_000_000  # of a slow disk


class ApiClient:
    """A connection pool to the API. Every method raises ShipError, one line for the operator."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(10),
            trust_env=False,
        )

    async def settings(self, known: int, wait_s: int) -> DomainSettings | None:
        """Return the settings once their version is not `known`, or None after `wait_s` seconds."""
        response = await self._ask(
            "GET",
            "/agent/v1/settings",
            params={"known": known, "wait_s": wait_s},
            timeout=httpx.Timeout(10, read=wait_s + 10),
        )
        return None if response.status_code == httpx.codes.NO_CONTENT else self._read(response, _SETTINGS)

    async def commands(self, after: int, wait_s: int, link: PbxLink, clock_s: float | None) -> Sequence[Command]:
        """Return the commands with an id above `after`, or none after `wait_s` seconds.

        `clock_s` is the time of Asterisk's clock, if that is known.
        """
        clock = {} if clock_s is None else {"clock_s": round(clock_s, 3)}
        response = await self._ask(
            "GET",
            "/agent/v1/commands",
            params={"after": after, "wait_s": wait_s, "link": link, **clock},
            timeout=httpx.Timeout(10, read=wait_s + 10),
        )
        return self._read(response, _COMMANDS).commands

    async def put_outcome(self, command: int, outcome: CommandOutcome) -> None:
        """Send the outcome of a command."""
        content = _OUTCOME.dump_json(outcome)
        await self._ask("POST", f"/agent/v1/commands/{command}", content=content, headers=_JSON)

    async def put_calls(self, reports: Sequence[bytes]) -> CallReceipts:
        """Ship at most 200 encoded calls. Return one receipt for each, in the same order."""
        content = b"[" + b",".join(reports) + b"]"
        return self._read(await self._ask("PUT", "/agent/v1/calls", content=content, headers=_JSON), _CALL_RECEIPTS)

    async def put_recording(self, folder: Path, mixed: Mixed) -> RecordingReceipt:
        """Ship the mixed recording in a folder of the spool. Raises OSError, too."""
        documents, audio = await asyncio.to_thread(_open_parts, folder, mixed)
        with audio.file:
            request = self._http.build_request(
                "PUT",
                f"/agent/v1/recordings/{folder.name}",
                data=documents,
                files={"audio": (mixed.audio_file, b"", "application/octet-stream")},
                timeout=httpx.Timeout(30, write=_BLOCK_S, read=_BLOCK_S + audio.size_bytes / _STORED_BYTES_PER_S),
            )
            stream_last_part(request, audio)
            return self._read(await self._send(request), _RECORDING_RECEIPT)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self._send(self._http.build_request(method, path, **options))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._http.send(request)
        except httpx.HTTPError as error:
            # What takes the API too long may be this request alone: a smaller one may pass.
            kind = ShipDeferred if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout) else ShipError
            raise kind(f"agent.api = {self._base_url}: {str(error) or type(error).__name__}") from error
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            mend = "register this PBX there with `fonoteka pbx add NAME --domain …`"
            raise ShipError(f"agent.api = {self._base_url} does not know agent.token: {mend}")
        if response.is_error:
            address = request.url.copy_with(query=None)
            raise _refusal(response)(f"agent.api = {address}: {response.status_code} {_problem(response)}")
        return response

    def _read(self, response: httpx.Response, shape: TypeAdapter[T]) -> T:
        try:
            return shape.validate_json(response.content)
        except ValidationError as error:
            raise ShipError(f"agent.api = {self._base_url} answered something else than the Fonoteka API: {error}") from error


def encoded(report: CallReport) -> bytes:
    """Return a report as `put_calls` takes it."""
    return _REPORT.dump_json(report)


def _open_parts(folder: Path, mixed: Mixed) -> tuple[dict[str, str], OpenedFile]:
    """Return the JSON documents of a recording, by part, and its open audio."""
    files = {"manifest": MANIFEST_FILE, "mixed": MIXED_FILE, "peaks": mixed.peaks_file}
    documents = {name: read_plain(folder / file).decode() for name, file in files.items()}
    return documents, OpenedFile.of(open_plain(folder / mixed.audio_file))


def _refusal(response: httpx.Response) -> type[ShipError]:
    """Return the error of a response: whether the same request, or another, may be accepted.

    An answer that is no problem document is not of the API, but of a proxy before it, which may be
    misconfigured: all it says for good is that a body is too large.
    """
    status, problem = response.status_code, str(_document(response).get("type"))
    if problem == _AUDIO_STORED:
        return AlreadyShipped
    if problem == _RETENTION_ENDED:
        return RetentionOver
    if problem == _BUCKET_AWAY:
        return ShipBucketAway
    ours = problem.startswith("/problems/")
    if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE or (ours and status in _FINAL):
        return ShipRefused
    return ShipDeferred if ours and status not in _BUSY else ShipError


def _problem(response: httpx.Response) -> str:
    """Return the detail of an RFC 9457 document, or the beginning of any other body."""
    document = _document(response)
    return str(document.get("detail") or document.get("title")) if document else response.text[:200]


def _document(response: httpx.Response) -> dict[str, Any]:
    """Return the RFC 9457 document of a response; empty for any other body."""
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
