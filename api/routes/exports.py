"""`/api/calls.csv`, `.xlsx` and `.zip`: a whole selection as a file (manual, IV: «выгрузка»)."""

import asyncio
import errno
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api.audit.trail import Entry
from api.dependencies.access import Person, account_by, actor, own_navigation, session_token
from api.dependencies.services import Services, Shared
from api.exports import csv_format as csv_text
from api.exports.archive import Archive
from api.exports.columns import Row, row
from api.exports.labels import WORDS, Language, Words, preferred
from api.exports.streaming import Sending
from api.exports.workbook import CallWorkbook
from api.http.client_disconnect import unless_gone
from api.http.parameters import SelectionQuery
from api.http.problems import Responses
from api.schemas import models
from fonoteka.core.errors import ObjectsFull, SessionEnded, StoreError
from fonoteka.core.naming import export_name
from store.people.accounts import Account
from store.queries.audio import StoredAudio, audio_of_calls
from store.queries.calls import SeenCall
from store.queries.export_reader import all_calls
from store.selection.selection import Selection, Sort

router = APIRouter(prefix="/api", tags=["exports"], dependencies=[Depends(own_navigation)])

CSV: Final = "text/csv; charset=utf-8"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP: Final = "application/zip"
_BLOCK: Final = 256 * 1024
_SESSION_CHECKED_EACH_S: Final = 10.0
_LONGEST_TOLD: Final = 500  # of a parameter, in the audit


class ExportQuery(SelectionQuery):
    """Which calls, in which order and language."""

    sort: Sort = Sort.STARTED_DOWN
    lang: Language | None = Field(default=None, description="of titles and words; default by Accept-Language, else ru")


Asked = Annotated[ExportQuery, Query()]


def _answers(media_type: str, what: str) -> Responses:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    refused: Responses = {status: {"model": models.Problem} for status in (401, 403, 422, 429)}
    return {200: {"content": content, "description": what}} | refused


@dataclass(kw_only=True, slots=True)
class Export:
    """One export on its way: what was asked by whom, and how many calls it holds so far."""

    services: Services
    account: Account
    zone: ZoneInfo
    selection: Selection
    sort: Sort
    now: datetime
    words: Words
    token: str | None
    calls: int = 0

    async def stretches(self) -> AsyncGenerator[tuple[SeenCall, ...], None]:
        """The calls, counted."""
        scope = self.account.scope
        async for some in all_calls(self.services.store, scope, self.selection, sort=self.sort, now=self.now):
            self.calls += len(some)
            yield some

    async def rows(self) -> AsyncGenerator[list[Row], None]:
        """The same as rows of the table."""
        async for some in self.stretches():
            yield await asyncio.to_thread(self._rows, some)

    async def sounds(self) -> AsyncGenerator[list[tuple[SeenCall, Sequence[StoredAudio]]], None]:
        """The same, each with what this person may hear of it."""
        async for some in self.stretches():
            audio = await audio_of_calls(self.services.store, self.account.scope, [seen.call_id for seen in some])
            yield [(seen, audio.get(seen.call_id, ())) for seen in some]

    async def while_allowed(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The same pieces, as long as the session holds and sees what it saw. Raises SessionEnded.

        A client that reads slowly makes an export last for days, and gets what has come meanwhile.
        """
        checked = time.monotonic()
        async for piece in pieces:
            if time.monotonic() - checked >= _SESSION_CHECKED_EACH_S:
                account = await account_by(self.services, self.token)
                if account is None or account.scope != self.account.scope:
                    raise SessionEnded(self.account.login)
                checked = time.monotonic()
            yield piece

    def name(self, extension: str) -> str:
        """What the file is called."""
        period = self.selection.period
        last = (period.end - timedelta(microseconds=1)).astimezone(self.zone).date()
        first = min(period.start.astimezone(self.zone).date(), last)
        return f"{export_name(self.account.domain, first, last)}.{extension}"

    def _rows(self, some: Sequence[SeenCall]) -> list[Row]:
        return [row(seen, self.zone, self.words) for seen in some]


def _begun(query: ExportQuery, request: Request, account: Account, services: Services) -> Export:
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
    "/calls.csv", operation_id="exportCsv", response_class=Response, responses=_answers("text/csv", "UTF-8 with a byte order mark")
)
async def export_csv(query: Asked, request: Request, account: Person, services: Shared) -> Response:
    """The table of calls as CSV: `;` between the cells in Russian, `,` in English. What begins a formula gets an apostrophe."""
    with ExitStack() as ending:
        ending.enter_context(services.exports.entered(account.user_id))
        export = _begun(query, request, account, services)
        pieces = await _first_made(export.while_allowed(_csv(export)))
        ending.callback(_written_down, export, request, "csv")
        return Sending(pieces, name=export.name("csv"), media_type=CSV, ending=ending.pop_all())


@router.get("/calls.xlsx", operation_id="exportXlsx", response_class=Response, responses=_answers(XLSX, "a workbook of Excel"))
async def export_xlsx(query: Asked, request: Request, account: Person, services: Shared) -> Response:
    """The table of calls as a workbook of Excel. It is made whole first, some 13 s of a processor for 100,000 calls."""
    with ExitStack() as ending:
        ending.enter_context(services.exports.entered(account.user_id))
        export = _begun(query, request, account, services)
        file = ending.enter_context(services.exports.nameless_file())
        await unless_gone(request, _write_workbook(export, file))
        size = file.seek(0, 2)
        file.seek(0)
        ending.callback(_written_down, export, request, "xlsx")
        return Sending(
            export.while_allowed(_file(file)), name=export.name("xlsx"), media_type=XLSX, size=size, ending=ending.pop_all()
        )


@router.get("/calls.zip", operation_id="exportZip", response_class=Response, responses=_answers(ZIP, "recordings, and index.csv"))
async def export_zip(query: Asked, request: Request, account: Person, services: Shared) -> Response:
    """What this person may hear of the calls, and `index.csv`: a row for each call, with its file or why it has none."""
    with ExitStack() as ending:
        ending.enter_context(services.exports.entered(account.user_id))
        export = _begun(query, request, account, services)
        index = ending.enter_context(services.exports.nameless_file())
        archive = Archive(objects=services.store.objects, cache=services.audio, zone=export.zone, words=export.words, index=index)
        pieces = await _first_made(export.while_allowed(archive.pieces(export.sounds())))
        ending.callback(_written_down, export, request, "zip", archive)
        return Sending(pieces, name=export.name("zip"), media_type=ZIP, ending=ending.pop_all())


async def _csv(export: Export) -> AsyncIterator[bytes]:
    before = csv_text.titles(export.words)
    async for rows in export.rows():
        yield before + await asyncio.to_thread(csv_text.lines, rows, export.words)
        before = b""
    if before:
        yield before


async def _write_workbook(export: Export, target: IO[bytes]) -> None:
    """Raises StoreError."""
    try:
        async with export.services.exports.desk() as folder:
            workbook = CallWorkbook(target, folder, export.words)
            try:
                async for rows in export.rows():
                    await _to_its_end(workbook.add, rows)
                await _to_its_end(workbook.finish)
            finally:
                workbook.abandon()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ObjectsFull("no space is left to make the export in: free space beside store.objects") from error
        raise StoreError(f"an export cannot be written: {error}") from error


async def _to_its_end(work: Any, *given: object) -> None:
    """Work in a thread that is waited for even when nobody wants it any more: its files are deleted next."""
    working = asyncio.create_task(asyncio.to_thread(work, *given))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


async def _first_made(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same pieces, the first of them made already: what fails until then can still be told as a problem."""
    first = await anext(pieces)

    async def all_of_them() -> AsyncGenerator[bytes, None]:
        yield first
        async for piece in pieces:
            yield piece

    return all_of_them()


async def _file(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    while block := await asyncio.to_thread(file.read, _BLOCK):
        yield block


def _written_down(export: Export, request: Request, form: str, archive: Archive | None = None) -> None:
    """Into the audit, when the export has ended: how many calls have left the house is only known then."""
    period = export.selection.period
    detail = {"format": form, "calls": str(export.calls)}
    if archive is not None:
        detail["recordings"] = str(archive.recordings)
    detail |= {"from": period.start.astimezone(export.zone).isoformat(), "to": period.end.astimezone(export.zone).isoformat()}
    asked = ((name, ", ".join(filter(None, request.query_params.getlist(name)))) for name in request.query_params if name != "lang")
    # A thousand users' names are as much again in every entry: an index can be filled with them.
    detail |= {name: value if len(value) <= _LONGEST_TOLD else f"{value[:_LONGEST_TOLD]}…" for name, value in asked if value}
    account = export.account
    by = actor(request, account)
    entry = Entry(at=export.now, scope=account.scope, by=by, action="exported", call="calls", detail=detail)
    export.services.audit.tell(entry)
