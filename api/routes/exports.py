"""`/api/calls.csv`, `.xlsx` and `.zip`: export a selection as a file (manual, IV: «выгрузка»)."""

import asyncio
import errno
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import IO, Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api.audit.numbers import without_number
from api.dependencies.access import CurrentAccount, actor, refuse_cross_site, session_token
from api.dependencies.damage import DamageReports
from api.dependencies.services import Services, Shared
from api.dependencies.while_allowed import while_allowed
from api.exports import csv_format
from api.exports.archive import Archive
from api.exports.columns import Row, row
from api.exports.labels import WORDS, Language, Words, preferred
from api.exports.streaming import FileStream, blocks, with_first_piece
from api.exports.workbook import CallWorkbook
from api.http.client_disconnect import cancel_on_disconnect
from api.http.parameters import SelectionQuery
from api.http.problems import Responses
from api.schemas import models
from fonoteka.core.errors import ObjectsFull, StoreError
from fonoteka.core.naming import export_name
from fonoteka.core.phone_numbers import SHORTEST_OUTSIDE
from store.audit.write import NewEntry
from store.people.accounts import Account
from store.queries.audio import StoredAudio, audio_of_calls
from store.queries.calls import SeenCall
from store.queries.export_reader import all_calls
from store.selection.selection import Selection, Sort
from store.subjects.calls import masked

router = APIRouter(prefix="/api", tags=["exports"], dependencies=[Depends(refuse_cross_site)])

CSV: Final = "text/csv; charset=utf-8"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP: Final = "application/zip"
MAX_LENGTH_IN_AUDIT: Final = 500  # of a parameter
_OF_OUTSIDE_PARTIES: Final = ("src", "dst", "answered_by")  # may be names too
_OF_THE_COMPANY: Final = ("user", "number", "employee", "employee_login")


class ExportQuery(SelectionQuery):
    """The selection, its order and language."""

    sort: Sort = Sort.STARTED_DOWN
    lang: Language | None = Field(default=None, description="language of the file; default by Accept-Language, else ru")


RequestedExport = Annotated[ExportQuery, Query()]


def _responses(media_type: str, description: str) -> Responses:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    refused: Responses = {status: {"model": models.Problem} for status in (401, 403, 422, 429, 503)}
    return {200: {"content": content, "description": description}} | refused


@dataclass(kw_only=True, slots=True)
class Export:
    """An export that is being made; `calls` counts the calls that it has so far."""

    services: Services
    account: Account
    zone: ZoneInfo
    selection: Selection
    sort: Sort
    now: datetime
    words: Words
    token: str | None
    calls: int = 0

    async def batches(self) -> AsyncGenerator[tuple[SeenCall, ...], None]:
        """Yield the calls, and count them."""
        scope = self.account.scope
        async for batch in all_calls(self.services.store, scope, self.selection, sort=self.sort, now=self.now):
            self.calls += len(batch)
            yield batch

    async def rows(self) -> AsyncGenerator[list[Row], None]:
        """Yield the calls as rows of the table."""
        async for batch in self.batches():
            yield await asyncio.to_thread(self._rows, batch)

    async def with_audio(self) -> AsyncGenerator[list[tuple[SeenCall, Sequence[StoredAudio]]], None]:
        """Yield the calls, each with the recordings that the account may hear."""
        async for batch in self.batches():
            audio = await audio_of_calls(self.services.store, self.account.scope, [seen.call_id for seen in batch])
            yield [(seen, audio.get(seen.call_id, ())) for seen in batch]

    def while_allowed(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the pieces while the session lasts and its scope is the same."""
        return while_allowed(self.services, self.account, self.token, pieces)

    def file_name(self, extension: str) -> str:
        """Return the name of the file."""
        period = self.selection.period
        last = (period.end - timedelta(microseconds=1)).astimezone(self.zone).date()
        first = min(period.start.astimezone(self.zone).date(), last)
        return f"{export_name(self.account.domain, first, last)}.{extension}"

    def _rows(self, batch: Sequence[SeenCall]) -> list[Row]:
        return [row(seen, self.zone, self.words) for seen in batch]


def _export(query: ExportQuery, request: Request, account: Account, services: Services) -> Export:
    zone, now = ZoneInfo(account.timezone), datetime.now(UTC)
    language = query.lang or preferred(request.headers.get("accept-language"))
    return Export(
        services=services,
        account=account,
        zone=zone,
        selection=query.selection(zone, now),
        sort=query.sort,
        now=now,
        words=WORDS[language],
        token=session_token(request),
    )


@router.get(
    "/calls.csv",
    operation_id="exportCsv",
    response_class=Response,
    responses=_responses("text/csv", "UTF-8 with a byte order mark"),
)
async def export_csv(query: RequestedExport, request: Request, account: CurrentAccount, services: Shared) -> Response:
    """Export the table of calls as CSV, separated by `;` in Russian, by `,` in English.

    Text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    async with AsyncExitStack() as cleanup:
        await cleanup.enter_async_context(services.exports.export_of(account.user_id))
        export = _export(query, request, account, services)
        pieces = await with_first_piece(export.while_allowed(_csv(export)))
        cleanup.callback(_audit_end, export, await _audit(export, request, "csv"))
        return FileStream(pieces, name=export.file_name("csv"), media_type=CSV, cleanup=cleanup.pop_all())


@router.get("/calls.xlsx", operation_id="exportXlsx", response_class=Response, responses=_responses(XLSX, "an Excel workbook"))
async def export_xlsx(query: RequestedExport, request: Request, account: CurrentAccount, services: Shared) -> Response:
    """Export the table of calls as an Excel workbook.

    The workbook is complete before the answer begins: some 13 s of a processor for 100,000 calls.
    """
    async with AsyncExitStack() as cleanup:
        await cleanup.enter_async_context(services.exports.export_of(account.user_id))
        export = _export(query, request, account, services)
        file = cleanup.enter_context(services.exports.nameless_file())
        await cancel_on_disconnect(request, _write_workbook(export, file))
        size = file.seek(0, 2)
        file.seek(0)
        cleanup.callback(_audit_end, export, await _audit(export, request, "xlsx"))
        pieces, name = export.while_allowed(blocks(file)), export.file_name("xlsx")
        return FileStream(pieces, name=name, media_type=XLSX, size=size, cleanup=cleanup.pop_all())


@router.get(
    "/calls.zip",
    operation_id="exportZip",
    response_class=Response,
    responses=_responses(ZIP, "recordings, and index.csv"),
)
async def export_zip(query: RequestedExport, request: Request, account: CurrentAccount, services: Shared) -> Response:
    """Export the recordings that the account may hear, as a ZIP archive.

    Its file `index.csv` has a row for each call, with the file name or the reason why it is absent.
    """
    async with AsyncExitStack() as cleanup:
        await cleanup.enter_async_context(services.exports.export_of(account.user_id))
        export = _export(query, request, account, services)
        index = cleanup.enter_context(services.exports.nameless_file())
        report = DamageReports(request=request, account=account, services=services).report
        intact, cache = services.intact, services.audio
        archive = Archive(intact=intact, cache=cache, zone=export.zone, words=export.words, report_damage=report, index=index)
        pieces = await with_first_piece(export.while_allowed(archive.pieces(export.with_audio())))
        cleanup.callback(_audit_end, export, await _audit(export, request, "zip"), archive)
        return FileStream(pieces, name=export.file_name("zip"), media_type=ZIP, cleanup=cleanup.pop_all())


async def _csv(export: Export) -> AsyncIterator[bytes]:
    header = csv_format.titles(export.words)
    async for rows in export.rows():
        yield header + await asyncio.to_thread(csv_format.lines, rows, export.words)
        header = b""
    if header:
        yield header


async def _write_workbook(export: Export, target: IO[bytes]) -> None:
    """Write the workbook into the target. Raises StoreError."""
    try:
        async with export.services.exports.workbook_folder() as folder:
            workbook = CallWorkbook(target, folder, export.words)
            try:
                async for rows in export.rows():
                    await _finish_in_thread(workbook.add, rows)
                await _finish_in_thread(workbook.finish)
            finally:
                workbook.close()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ObjectsFull("no space is left to make the export in: free space beside store.objects") from error
        raise StoreError(f"an export cannot be written: {error}") from error


async def _finish_in_thread(function: Any, *arguments: object) -> None:
    """Run a function in a thread; when cancelled, wait for its end: its files are deleted next."""
    task = asyncio.create_task(asyncio.to_thread(function, *arguments))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _audit(export: Export, request: Request, file_format: str) -> NewEntry:
    """Write the export to the audit before its first byte; return the event that ends the entry.

    Raises StoreError.
    """
    period, account, parameters = export.selection.period, export.account, request.query_params
    detail = {
        "format": file_format,
        "from": period.start.astimezone(export.zone).isoformat(),
        "to": period.end.astimezone(export.zone).isoformat(),
    }
    values = {name: [_in_audit(name, value) for value in parameters.getlist(name) if value] for name in parameters}
    given = ((name, ", ".join(of_name)) for name, of_name in values.items() if name != "lang")
    # The logins of a thousand users in each entry would fill the index.
    detail |= {
        name: value if len(value) <= MAX_LENGTH_IN_AUDIT else f"{value[:MAX_LENGTH_IN_AUDIT]}…" for name, value in given if value
    }
    event = NewEntry(
        at=export.now, domain_id=account.domain_id, by=actor(request, account), action="exported", subject="calls", detail=detail
    )
    return replace(event, continues=await export.services.audit.record(event), detail={})


def _in_audit(name: str, value: str) -> str:
    """Return a parameter as the audit has it, without the number of an outside party."""
    if name in _OF_OUTSIDE_PARTIES and len(value) >= SHORTEST_OUTSIDE:
        return masked(value)
    return without_number(value) if name in _OF_THE_COMPANY else value


def _audit_end(export: Export, event: NewEntry, archive: Archive | None = None) -> None:
    """Have the number of calls written that were sent, when the export has ended."""
    detail = {"calls": str(export.calls)} | ({"recordings": str(archive.recordings)} if archive else {})
    export.services.audit.add(replace(event, at=datetime.now(UTC), detail=detail))
