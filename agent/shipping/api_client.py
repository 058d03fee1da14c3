"""The agent's side of `/agent/v1`: settings down, calls and recordings up (fonoteka.agent_protocol)."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from fonoteka.core.agent_protocol import CallReceipts, Command, CommandOutcome, Commands, RecordingReceipt
from fonoteka.core.call_report import CallReport
from fonoteka.core.domains import DomainSettings
from fonoteka.core.errors import ShipError, ShipRefused
from fonoteka.core.manifest import MANIFEST_FILE, MIXED_FILE, Mixed

T = TypeVar("T")

_REPORTS: Final = TypeAdapter(tuple[CallReport, ...])
_CALL_RECEIPTS: Final = TypeAdapter(CallReceipts)
_RECORDING_RECEIPT: Final = TypeAdapter(RecordingReceipt)
_COMMANDS: Final = TypeAdapter(Commands)
_OUTCOME: Final = TypeAdapter(CommandOutcome)
_SETTINGS: Final = TypeAdapter(DomainSettings)
_NEVER: Final = frozenset({400, 413, 422})  # the same request will be refused again
_PIECE_BYTES: Final = 64 * 1024
_UPLOAD_TIMEOUT: Final = httpx.Timeout(30, write=300, read=300)


class _InFewPieces(httpx.AsyncByteStream):
    """A form as httpx writes it, two dozen pieces for a recording, joined: each piece costs as much as several events do."""

    def __init__(self, form: httpx.SyncByteStream | httpx.AsyncByteStream) -> None:
        assert isinstance(form, httpx.AsyncByteStream)
        self._form = form

    async def __aiter__(self) -> AsyncIterator[bytes]:
        joined = bytearray()
        async for piece in self._form:
            joined += piece
            if len(joined) >= _PIECE_BYTES:
                yield bytes(joined)
                joined.clear()
        if joined:
            yield bytes(joined)


class Api:
    """One connection pool to the API. Every method raises ShipError, with a line that says what to do."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(10),
            trust_env=False,
        )

    async def settings(self, known: int, wait_s: int) -> DomainSettings | None:
        """The settings once they are newer than `known`, or None if that did not happen within `wait_s` seconds."""
        answer = await self._ask(
            "GET",
            "/agent/v1/settings",
            params={"known": known, "wait_s": wait_s},
            timeout=httpx.Timeout(10, read=wait_s + 10),
        )
        return None if answer.status_code == httpx.codes.NO_CONTENT else self._read(answer, _SETTINGS)

    async def commands(self, after: int, wait_s: int) -> Sequence[Command]:
        """What people ask of recordings here and that came after a command, as soon as there is any, at most after `wait_s`."""
        how = {"params": {"after": after, "wait_s": wait_s}, "timeout": httpx.Timeout(10, read=wait_s + 10)}
        return self._read(await self._ask("GET", "/agent/v1/commands", **how), _COMMANDS).commands

    async def put_outcome(self, command: int, outcome: CommandOutcome) -> None:
        """Tell what came of a command."""
        content = _OUTCOME.dump_json(outcome)
        await self._ask("POST", f"/agent/v1/commands/{command}", content=content, headers={"Content-Type": "application/json"})

    async def put_calls(self, reports: Sequence[CallReport]) -> CallReceipts:
        """Ship calls (at most 200); one receipt each, in order."""
        answer = await self._ask(
            "PUT",
            "/agent/v1/calls",
            content=_REPORTS.dump_json(tuple(reports)),
            headers={"Content-Type": "application/json"},
        )
        return self._read(answer, _CALL_RECEIPTS)

    async def put_recording(self, item: Path, mixed: Mixed) -> RecordingReceipt:
        """Ship the mixed recording in an item's folder; the file is streamed from the disk. Raises OSError, too."""
        papers = {"manifest": MANIFEST_FILE, "mixed": MIXED_FILE, "peaks": mixed.peaks_file}
        data = await asyncio.to_thread(lambda: {name: (item / file).read_text(encoding="utf-8") for name, file in papers.items()})
        with (item / mixed.audio_file).open("rb") as audio:
            answer = await self._ask(
                "PUT",
                f"/agent/v1/recordings/{item.name}",
                data=data,
                files={"audio": (mixed.audio_file, audio, "application/octet-stream")},
                timeout=_UPLOAD_TIMEOUT,
            )
        return self._read(answer, _RECORDING_RECEIPT)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, **how: object) -> httpx.Response:
        try:
            request = self._http.build_request(method, path, **how)  # type: ignore[arg-type]
            if "files" in how:
                request.stream = _InFewPieces(request.stream)
            answer = await self._http.send(request)
        except httpx.HTTPError as error:
            raise ShipError(f"agent.api = {self._base_url}: {error or type(error).__name__}") from error
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise ShipError(
                f"agent.api = {self._base_url} does not know agent.token: register this PBX there with `fonoteka pbx add NAME`"
            )
        if answer.status_code in _NEVER:
            raise ShipRefused(f"agent.api = {self._base_url}{path}: {answer.status_code} {_problem(answer)}")
        if answer.is_error:
            raise ShipError(f"agent.api = {self._base_url}{path}: {answer.status_code} {_problem(answer)}")
        return answer

    def _read(self, answer: httpx.Response, shape: TypeAdapter[T]) -> T:
        try:
            return shape.validate_json(answer.content)
        except ValidationError as error:
            raise ShipError(f"agent.api = {self._base_url} answered something else than the Fonoteka API: {error}") from error


def _problem(answer: httpx.Response) -> str:
    """What an RFC 9457 document says, or the beginning of whatever came instead."""
    try:
        problem = answer.json()
        return str(problem.get("detail") or problem.get("title"))
    except (json.JSONDecodeError, AttributeError):
        return answer.text[:200]
