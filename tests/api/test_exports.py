"""Exports have the same calls as the list, in three formats, with safe text and bounded memory."""

import asyncio
import csv
import tracemalloc
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, time, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from threading import Event
from typing import Any
from zipfile import ZipFile

import httpx
import openpyxl
import pytest

from api.exports.columns import Row, one_line
from api.exports.csv_format import disarmed
from api.exports.labels import WORDS, Language, preferred
from api.exports.workbook import CallWorkbook
from api.routes import exports
from fonoteka.core.call_report import CallReport, Direction, LiveReport, Quality, Reason, RecorderState, UserRecordingStatus
from fonoteka.core.naming import call_id
from store.database.store import Store
from store.queries.export_reader import all_calls
from tests.api.conftest import Site, report, ship
from tests.api.test_audio import audited, heard
from tests.data import seed
from tests.data.many_calls import repeat
from tests.support.eventually import eventually

BEGIN = datetime(2026, 11, 22, 16, 43, 42, 987000, tzinfo=UTC)
DAY = "from=2026-11-22&to=2026-11-22"
RU, EN = WORDS[Language.RU], WORDS[Language.EN]


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def table() -> dict[str, CallReport]:
    """Return calls of every kind by a letter; `a` and `b` have audio."""
    out: dict[str, Any] = {"direction": Direction.OUT, "number": None, "segments": (), "reason": Reason.USER_OFF}
    both = seed.a_call(2, BEGIN + minutes(1), talk_ms=5000)
    later = seed.but(both.segments[0], name="later", user="421", started_at=both.segments[0].started_at + timedelta(seconds=3))
    paused = UserRecordingStatus(user="152", recorder=RecorderState.PAUSED, reason=None, may_start=False, may_stop=False)
    failed = seed.a_call(6, BEGIN + minutes(5))
    return {
        "a": seed.but(
            seed.a_call(1, BEGIN), queue="sales", quality=Quality(mos=4.26, loss_pct=0.25, jitter_ms=4, rtt_ms=31)
        ),
        "b": seed.but(both, participants=("152", "421"), answered_by="421", segments=(both.segments[0], later)),
        "c": seed.but(seed.unanswered(seed.a_call(3, BEGIN + minutes(2))), employee=None, participants=(), number=None),
        "d": seed.but(
            seed.a_call(4, BEGIN + minutes(3), talk_ms=9000), src="421", dst="+79131234567", employee="421",
            participants=("421",), answered_by="+79131234567", **out,
        ),
        "e": seed.but(
            seed.a_call(5, BEGIN + minutes(4)), ended_at=None, live=LiveReport(sides=(paused,)), dst="2458888", number="2458888"
        ),
        "f": seed.but(failed, segments=(seed.but(failed.segments[0], reason=Reason.DISK_FULL),)),
    }  # fmt: skip


@pytest.fixture
async def filled(agent: httpx.AsyncClient) -> dict[str, CallReport]:
    """The calls of the table, shipped with their audio."""
    calls = table()
    await report(agent, *calls.values())
    await ship(agent, calls["a"], 5000)
    await ship(agent, calls["b"], 3000, 1000)  # a second short: partial
    return calls


def as_listed(call: dict[str, Any], language: Language = Language.RU) -> tuple[Any, ...]:
    """Return the row of an export that a call of `/api/calls` must give."""
    words, recording, at = WORDS[language], call["recording"], datetime.fromisoformat(call["started_at"])
    result = words.result[call["result"]]
    if call["ended_at"] is None:
        result = words.talking if call["answered_at"] else words.ringing
    text = words.reason[recording["reason"]] if recording["reason"] else words.state[recording["state"]]
    if recording["duration_ms"] is not None:
        length = f"{recording['duration_ms'] // 60000}:{recording['duration_ms'] // 1000 % 60:02}"
        text = length if recording["state"] == "ready" else f"{length} ({words.partial}: {text[0].lower()}{text[1:]})"
    elif call["live"] and call["live"]["recorder"] == "paused":
        text = words.paused
    return (
        (call["employee"] or {"name": ""})["name"], words.direction[call["direction"]], result, call["src"], call["dst"],
        call["answered_by"] or "", at.date(), at.time().replace(microsecond=0), call["duration_s"], text, *details(call),
    )  # fmt: skip


def details(call: dict[str, Any]) -> tuple[str, ...]:
    """Return the columns behind the portal's, as Russian text."""
    quality, speech = call["quality"] or {}, call["recording"]["speech"] or {}
    seconds = (speech.get(name) for name in ("outside_s", "employee_s", "silence_s", "longest_silence_s"))
    numbers = (
        call["wait_s"],
        quality.get("mos"),
        quality.get("loss_pct"),
        *(each if each is None else int(each + 0.5) for each in seconds),
    )
    return (call["trunk"] or "", call["queue"] or "", *map(in_russian, numbers))


def in_russian(number: float | None) -> str:
    """Return a number with at most one place, as a Russian spreadsheet has it."""
    return "" if number is None else f"{number:.1f}".removesuffix(".0").replace(".", ",")


async def listed(client: httpx.AsyncClient, query: str, language: Language = Language.RU) -> list[tuple[Any, ...]]:
    answer = await client.get(f"/api/calls?{query}&limit=500")
    assert answer.status_code == 200, answer.text
    return [as_listed(call, language) for call in answer.json()["items"]]


def read_csv(content: bytes, delimiter: str = ";", day: str = "%d.%m.%Y") -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return titles and rows, with parsed dates and durations."""
    assert content.startswith(b"\xef\xbb\xbf") and content.endswith(b"\r\n")
    titles, *texts = csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True)
    rows = [
        (*row[:6], datetime.strptime(row[6], day).date(), time.fromisoformat(row[7]), int(row[8]), *row[9:])  # noqa: DTZ007
        for row in texts
    ]
    return titles, rows


def read_xlsx(content: bytes) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return titles and rows of the first sheet."""
    lines: list[tuple[Any, ...]] = list(openpyxl.load_workbook(BytesIO(content)).worksheets[0].iter_rows(values_only=True))
    return list(lines[0]), [
        (
            *(cell or "" for cell in row[:6]),
            row[6].date(),
            *row[7:10],
            *(cell or "" for cell in row[10:12]),
            *map(in_russian, row[12:]),
        )
        for row in lines[1:]
    ]


def read_zip(content: bytes) -> tuple[dict[str, bytes], list[tuple[Any, ...]]]:
    with ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    assert list(files)[-1] == "index.csv"
    titles, rows = read_csv(files.pop("index.csv"))
    assert titles == [*RU.titles, RU.file, RU.no_file]
    return files, rows


async def got(client: httpx.AsyncClient, kind: str, query: str = DAY, **headers: str) -> bytes:
    answer = await client.get(f"/api/calls.{kind}?{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


def without_lengths(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Remove durations: a call in progress grows between two requests."""
    return [(*row[:8], row[8] if row[2] != RU.talking else None, *row[9:]) for row in rows]


SELECTIONS = [
    "", "direction=in", "direction=in&direction=out", "result=no_answer", "kind=missed", "kind=recorded", "kind=missed_called_back",
    "user=421", "user=421&user=152", "number=2458152", "src=913", "dst=913", "answered_by=421", "employee=%D0%9F%D0%B5%D1%82%D1%80",
    "employee_login=421", "recorded=true", "recorded=false", "min_s=6&max_s=6", "talk_min_s=6", "talk_max_s=4",
    "time_from=23:44&time_to=23:46",
    "sort=started_at", "sort=duration_s", "sort=-duration_s", "src=nobody",
]  # fmt: skip


async def test_every_selection_exports_the_calls_it_lists(filled: object, admin: httpx.AsyncClient) -> None:
    lengths = []
    for query in SELECTIONS:
        expected = without_lengths(await listed(admin, f"{DAY}&{query}"))
        titles, rows = read_csv(await got(admin, "csv", f"{DAY}&{query}&lang=ru"))
        assert (titles, without_lengths(rows)) == (list(RU.titles), expected), query
        titles, rows = read_xlsx(await got(admin, "xlsx", f"{DAY}&{query}&lang=ru"))
        assert (titles, without_lengths(rows)) == (list(RU.titles), expected), query
        _, rows = read_zip(await got(admin, "zip", f"{DAY}&{query}&lang=ru"))
        assert without_lengths([row[:-2] for row in rows]) == expected, query
        lengths.append(len(expected))
    assert (max(lengths), min(lengths)) == (6, 0)
    assert len(set(lengths)) > 4, "the selections must differ, or this shows nothing"


async def test_a_selection_of_another_day_and_of_today(filled: object, agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    assert read_csv(await got(admin, "csv", "from=2026-11-21&to=2026-11-21"))[1] == []
    now = datetime.now(UTC)
    await report(agent, seed.a_call(50, now - timedelta(seconds=1)))
    answer = await admin.get("/api/calls.csv")
    assert len(read_csv(answer.content)[1]) == 1


async def test_batches_have_each_call_once(filled: object, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "all_calls", lambda *given, **more: _by_twos(all_calls(*given, **more, stretch=2)))
    for sort in ("started_at", "-started_at", "duration_s", "-duration_s"):
        rows = read_csv(await got(admin, "csv", f"{DAY}&sort={sort}"))[1]
        assert without_lengths(rows) == without_lengths(await listed(admin, f"{DAY}&sort={sort}"))


async def _by_twos(stretches: AsyncIterator[tuple[Any, ...]]) -> AsyncIterator[tuple[Any, ...]]:
    async for some in stretches:
        assert 0 < len(some) <= 2
        yield some


LIKED = [
    (None, Language.RU), ("", Language.RU), ("*", Language.RU), ("de", Language.RU), ("ru-RU,ru;q=0.9,en;q=0.8", Language.RU),
    ("en-GB,en;q=0.9,ru;q=0.8", Language.EN), ("de,en;q=0.5", Language.EN), ("en;q=0.3, ru;q=0.7", Language.RU),
    ("en;q=0", Language.RU), ("EN-us", Language.EN), ("en;q=x,;;,=", Language.RU), ("english", Language.RU),
]  # fmt: skip


def test_the_language_that_is_liked_best() -> None:
    assert [(header, preferred(header)) for header, _ in LIKED] == LIKED


async def test_titles_and_words_are_in_the_users_language(filled: object, admin: httpx.AsyncClient) -> None:
    for query, header, language in (
        ("", "en", Language.EN), ("", "de", Language.RU), ("&lang=en", "ru", Language.EN), ("&lang=ru", "en", Language.RU),
    ):  # fmt: skip
        words, headers = WORDS[language], {"Accept-Language": header}
        content = await got(admin, "csv", DAY + query, **headers)
        titles, rows = read_csv(content, words.csv_delimiter, words.csv_date)
        assert titles == list(words.titles)
        assert {row[1] for row in rows} == {words.direction[Direction.IN], words.direction[Direction.OUT]}
        book = openpyxl.load_workbook(BytesIO(await got(admin, "xlsx", DAY + query, **headers)))
        assert [cell.value for cell in book.worksheets[0][1]] == titles
        assert book.sheetnames == [words.calls]
        assert book.worksheets[0].cell(2, 7).number_format == words.excel_date


HOSTILE = [
    ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
    ("+79131234567", "+79131234567"),
    ("+7913*1", "'+7913*1"),
    ("+", "'+"),
    ("-1+1", "'-1+1"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("  =1+1", "  '=1+1"),
    ("\uff1d1", "'\uff1d1"),
    ("8-913", "8-913"),
    ("89131234567", "89131234567"),
    ('x";=HYPERLINK("http://x")', 'x";\'=HYPERLINK("http://x")'),
    ("x,=1", "x,'=1"),
    ("Иванов; «Ромашка», ООО", "Иванов; «Ромашка», ООО"),
]


def test_no_spreadsheet_makes_a_formula_of_it() -> None:
    assert [(text, disarmed(text)) for text, _ in HOSTILE] == HOSTILE


def test_a_cell_has_one_line() -> None:
    assert one_line("\t=1\r\n+2\x00\u2028\ufffe end ") == "=1 +2  end"
    assert len(one_line("9" * 100_000)) == 1000


EVIL = [
    "=cmd|'/C calc'!A0",
    "+7913-1",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "a\"b;c,d'e",
    "x\r\n=1;2",
    "Жён ёжик «№ 1»",
    "http://evil/",
    "007",
    "{=1}",
]


async def test_what_callers_write_is_text_and_nothing_else(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    calls = [
        seed.but(seed.a_call(place, BEGIN + timedelta(seconds=place)), src=text, dst=text, answered_by=text, trunk=text, queue=text)
        for place, text in enumerate(EVIL)
    ]
    await report(agent, *calls)
    shown = [one_line(text) for text in EVIL]
    rows = read_csv(await got(admin, "csv", f"{DAY}&sort=started_at"))[1]
    assert [(*row[3:6], *row[10:12]) for row in rows] == [(disarmed(text),) * 5 for text in shown]
    assert not [row for row in rows for cell in row[3:6] if cell[0] in "=+-@\t\r"]
    sheet = openpyxl.load_workbook(BytesIO(await got(admin, "xlsx", f"{DAY}&sort=started_at"))).worksheets[0]
    cells = [[sheet.cell(line, column) for column in (4, 5, 6, 11, 12)] for line in range(2, len(EVIL) + 2)]
    assert [[cell.value for cell in line] for line in cells] == [[text] * 5 for text in shown]
    assert {(cell.data_type, cell.hyperlink) for line in cells for cell in line} == {("s", None)}


async def test_dates_times_and_lengths_are_numbers_and_the_sheet_is_handy(filled: object, admin: httpx.AsyncClient) -> None:
    sheet = openpyxl.load_workbook(BytesIO(await got(admin, "xlsx", f"{DAY}&sort=started_at"))).worksheets[0]
    (first,) = (row for row in sheet.iter_rows(min_row=2, max_row=2))
    assert [cell.value for cell in first] == [
        "Петров П.П.", "Входящий", "Успешный", "89131234567", "2458152", "152",
        datetime.fromisoformat("2026-11-22"), time(23, 43, 42), 6, "0:05",
        "PJSIP/trunk", "sales", 1, 4.3, 0.2, 2, 3, 0, 0,
    ]  # fmt: skip
    assert [cell.data_type for cell in first] == ["s"] * 6 + ["d", "d", "n", "s", "s", "s"] + ["n"] * 7
    assert [cell.number_format for cell in first[3:8]] == ["@", "@", "@", "dd.mm.yyyy", "hh:mm:ss"]
    assert (sheet.freeze_panes, sheet.auto_filter.ref, sheet.print_title_rows) == ("A2", "A1:S7", "$1:$1")
    assert min(sheet.column_dimensions[letter].width for letter in "ABCDEFGHIJKLMNOPQRS") >= 10


def test_more_rows_than_a_sheet_holds_go_on_on_the_next(tmp_path: Path) -> None:
    template = Row(
        employee="Е", direction="Входящий", result="Занят", src="1", dst="2", answered_by="", started_at=datetime(2026, 11, 22),  # noqa: DTZ001
        duration_s=0, recording="", trunk="", queue="", wait_s=None, mos=None, loss_pct=None, outside_s=None, employee_s=None,
        silence_s=None, longest_silence_s=None,
    )  # fmt: skip
    (tmp_path / "work").mkdir()
    with (tmp_path / "book.xlsx").open("w+b") as target:
        book = CallWorkbook(target, tmp_path / "work", RU, rows_of_a_sheet=3)
        for number in range(7):
            book.add([seed.but(template, duration_s=number)])  # type: ignore[type-var]
        book.finish()
        book.close()
    sheets = openpyxl.load_workbook(tmp_path / "book.xlsx").worksheets
    assert [sheet.title for sheet in sheets] == ["Звонки", "Звонки 2", "Звонки 3"]
    assert [[row[8] for row in sheet.iter_rows(values_only=True)] for sheet in sheets] == [
        ["Длительность", 0, 1, 2], ["Длительность", 3, 4, 5], ["Длительность", 6],
    ]  # fmt: skip
    assert [(sheet.freeze_panes, sheet.auto_filter.ref) for sheet in sheets] == [("A2", "A1:S4")] * 2 + [("A2", "A1:S2")]
    assert list((tmp_path / "work").iterdir()) == []


NAME_A, NAME_B = "2026-11-22_23-43-42_89131234567_2458152", "2026-11-22_23-44-42_89131234567_2458152"


async def test_the_archive_holds_what_each_may_hear(site: Site, filled: dict[str, CallReport], admin: httpx.AsyncClient) -> None:
    expected = {
        "900": {f"{NAME_A}.ogg": 5000, f"{NAME_B}.ogg": 4000},
        "152": {f"{NAME_A}.ogg": 5000, f"{NAME_B}.ogg": 3000},
        "421": {f"{NAME_B}.ogg": 1000},
        "130": {},
    }
    for login, sounds in expected.items():
        async with await site.log_in(login) as client:
            files, rows = read_zip(await got(client, "zip", f"{DAY}&sort=started_at"))
            assert {name: heard(content).duration_ms for name, content in files.items()} == sounds, login
            assert [row[-2] for row in rows if row[-2]] == list(sounds), login
            assert all(bool(row[-2]) != bool(row[-1]) for row in rows), login
            paths = [f"/api/calls/{call_id('pbx1', filled[letter].linkedid)}/audio" for letter in "ab"]
            same = [answer.content for path in paths if (answer := await client.get(path)).status_code == 200]
            assert list(files.values()) == same, login
    reasons = {row[7]: row[-1] for row in read_zip(await got(admin, "zip"))[1] if row[-1]}
    assert reasons == {
        time(23, 45, 42): "Разговора не было", time(23, 46, 42): "Запись выключена",
        time(23, 47, 42): "Запись на паузе", time(23, 48, 42): "Не хватило места на диске",
    }  # fmt: skip


async def test_file_names_are_unique_and_safe(agent: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    for place, text in enumerate(("../../etc/passwd", "C:\\8913\x00", "anonymous", "+7 (913) 1")):
        await ship(agent, seed.but(seed.a_call(place, BEGIN + timedelta(milliseconds=place)), src=text), 1000 + place)
    files, rows = read_zip(await got(admin, "zip", f"{DAY}&sort=started_at"))
    tail = "2458152"
    names = [f"unknown_{tail}.ogg", f"8913_{tail}.ogg", f"unknown_{tail}_2.ogg", f"79131_{tail}.ogg"]
    assert list(files) == [f"2026-11-22_23-43-{42 + (place > 12)}_{name}" for place, name in enumerate(names)]
    assert [heard(content).duration_ms for content in files.values()] == [1000, 1001, 1002, 1003]
    assert [row[-2] for row in rows] == list(files)


@pytest.mark.one_machine
async def test_damaged_and_missing_recordings_are_listed_in_the_index(
    site: Site, filled: dict[str, CallReport], agent: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await ship(agent, seed.a_call(7, BEGIN + minutes(6)), 2000)
    await ship(agent, seed.a_call(8, BEGIN + minutes(7)), 1500)
    objects = site.configuration.store.objects.removeprefix("file://")
    stored = sorted(path for path in Path(objects).rglob("*.opus"))
    assert len(stored) == 5
    by_segment = {path.name.split(".")[0]: path for path in stored}
    by_segment["pbx1-1-1"].unlink()
    by_segment["later"].write_bytes(by_segment["later"].read_bytes()[:-9] + b"\0" * 9)
    intact = by_segment["pbx1-8-1"].read_bytes()
    by_segment["pbx1-8-1"].write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    files, rows = read_zip(await got(admin, "zip", f"{DAY}&sort=started_at"))
    assert [heard(content).duration_ms for content in files.values()] == [2000]
    reasons = {row[7].minute: row[-1] for row in rows}
    assert [reasons[minute] for minute in (43, 44, 50)] == [RU.object_missing, RU.object_damaged, RU.object_damaged]
    assert [row[-2] for row in rows if row[-2]] == list(files)


async def test_exports_have_no_calls_of_others(site: Site, filled: object, agent: httpx.AsyncClient) -> None:
    foreign = seed.a_call(40, BEGIN)
    segment = seed.but(foreign.segments[0], user="900")
    await ship(agent, seed.but(foreign, domain="other", participants=("900",), employee="900", segments=(segment,)), 700)
    counts = {
        ("900", "acme"): (6, 2),
        ("152", "acme"): (4, 2),
        ("421", "acme"): (2, 1),
        ("130", "acme"): (0, 0),
        ("900", "other"): (1, 1),
    }
    for (login, domain), (calls, recordings) in counts.items():
        async with await site.log_in(login, domain) as client:
            for more in ("", "&user=152&user=421&user=900"):
                query = f"{DAY}{more}"
                assert without_lengths(read_csv(await got(client, "csv", query))[1]) == without_lengths(await listed(client, query))
                if not more:
                    assert (
                        len(read_xlsx(await got(client, "xlsx", query))[1])
                        == len(read_csv(await got(client, "csv", query))[1])
                        == calls
                    )
                    files, rows = read_zip(await got(client, "zip", query))
                    assert (len(files), len(rows)) == (recordings, calls), (login, domain)


async def test_each_export_is_audited_once(site: Site, filled: object) -> None:
    async with await site.log_in("152") as user:
        for kind in ("csv", "xlsx", "zip"):
            await got(user, kind, f"{DAY}&user=152&user=421&kind=in&lang=en")
        await got(user, "csv", "to=2026-11-22T23:45&src=913")
        assert (await user.get("/api/calls.csv?kind=some")).status_code == 422
    parameters = {"from": "2026-11-22", "to": "2026-11-22", "user": "152, 421", "kind": "in"}
    expected = [
        parameters | {"format": "csv", "calls": "4"},
        parameters | {"format": "xlsx", "calls": "4"},
        parameters | {"format": "zip", "calls": "4", "recordings": "2"},
        {"format": "csv", "calls": "2", "from": "2026-11-22T00:00:00+07:00", "to": "2026-11-22T23:45", "src": "913"},
    ]
    store = await Store.open(site.configuration.store)
    try:
        await eventually(lambda: exports_ended(store, len(expected)))
        rows = await audited(store)
    finally:
        await store.close()
    assert [row.detail for row in rows] == expected
    assert {(row.login, row.address, row.action, row.subject) for row in rows} == {("152", "127.0.0.1", "exported", "calls")}


@pytest.mark.parametrize(("kind", "media_type"), [("csv", exports.CSV), ("xlsx", exports.XLSX), ("zip", exports.ZIP)])
async def test_headers_and_errors_of_exports(site: Site, admin: httpx.AsyncClient, kind: str, media_type: str) -> None:
    for query, days in ((DAY, "2026-11-22"), ("from=2026-11-01&to=2026-11-22T12:00", "2026-11-01_2026-11-22")):
        answer = await admin.get(f"/api/calls.{kind}?{query}")
        assert answer.headers["content-type"] == media_type
        assert answer.headers["content-disposition"] == f'attachment; filename="fonoteka-acme-{days}.{kind}"'
        assert answer.headers["cache-control"] == "no-store"
        assert kind != "xlsx" or answer.headers["content-length"] == str(len(answer.content))
    for query, where in (
        ("lang=de", "lang"),
        ("limit=10", "limit"),
        ("cursor=x", "cursor"),
        ("kind=x", "kind"),
        ("sort=src", "sort"),
    ):
        answer = await admin.get(f"/api/calls.{kind}?{query}")
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert answer.json()["errors"][0]["where"] == where
    async with site.client() as nobody:
        answer = await nobody.get(f"/api/calls.{kind}")
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/not-logged-in")
    operation = (await admin.get("/api/openapi.json")).json()["paths"][f"/api/calls.{kind}"]["get"]
    assert list(operation["responses"]["200"]["content"]) == [media_type.partition(";")[0]]
    assert {"401", "422", "429"} <= set(operation["responses"])
    assert {"from", "kind", "sort", "lang"} <= {parameter["name"] for parameter in operation["parameters"]}


def left(site: Site) -> list[str]:
    """Return the files in the folder for exports."""
    return [path.name for path in Path(site.configuration.store.objects.removeprefix("file://") + "-exports").iterdir()]


async def accepts(client: httpx.AsyncClient) -> bool:
    return (await client.get(f"/api/calls.csv?{DAY}")).status_code == 200


async def refuses(client: httpx.AsyncClient) -> bool:
    return not await accepts(client)


async def exports_ended(store: Store, count: int) -> bool:
    """Whether the audit has so many exports that have ended."""
    return sum("calls" in row.detail for row in await audited(store)) >= count


class Slow:
    """A function that waits for `finish` before it runs."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.begun, self.finish, self._work = Event(), Event(), work

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.begun.set()
        assert self.finish.wait(120)
        return self._work(*given, **named)


@pytest.mark.one_machine
async def test_a_client_that_disconnects_leaves_no_file_and_frees_its_slot(
    site: Site, filled: object, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(CallWorkbook.add)
    with monkeypatch.context() as patch:
        patch.setattr(CallWorkbook, "add", lambda *given: slow(*given))
        requests = [asyncio.create_task(admin.get(f"/api/calls.xlsx?{DAY}")) for _ in range(2)]
        await eventually(slow.begun.is_set)
        await eventually(lambda: refuses(admin))
        answer = await admin.get(f"/api/calls.csv?{DAY}")
        assert (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) == (
            429,
            "/problems/too-many-exports",
            "10",
        )
        async with await site.log_in("152") as other:
            assert (await other.get(f"/api/calls.csv?{DAY}")).status_code == 200
        assert left(site)
        for request in requests:
            request.cancel()
        await asyncio.wait(requests)
        slow.finish.set()
        await eventually(lambda: not left(site))
        await eventually(lambda: accepts(admin))
    assert len(read_xlsx(await got(admin, "xlsx"))[1]) == 6


@pytest.fixture
async def long_history(site: Site, agent: httpx.AsyncClient, request: pytest.FixtureRequest) -> AsyncIterator[int]:
    """20,000 calls, or as many as the parameter says, a second apart."""
    count = getattr(request, "param", 20_000)
    call = seed.a_call(1, BEGIN)
    await ship(agent, call, 5000)
    store = await Store.open(site.configuration.store)
    await repeat(store, call.linkedid, count)
    await store.close()
    yield count + 1


LONG = "from=2026-11-01&to=2026-11-22"


@pytest.mark.one_machine
@pytest.mark.parametrize("long_history", [4_000], indirect=True)  # tracemalloc is slow
async def test_a_long_history_needs_no_more_memory_than_a_short_one(
    long_history: int, site: Site, admin: httpx.AsyncClient
) -> None:
    async def peak_of(kind: str, query: str) -> tuple[int, int]:
        tracemalloc.start()
        lines = 0
        async with admin.stream("GET", f"/api/calls.{kind}?{query}", timeout=300) as answer:
            async for piece in answer.aiter_raw():
                lines += piece.count(b"\r\n")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return lines, peak

    for kind in ("csv", "xlsx", "zip"):
        short_query = f"{LONG}&src=89130001&sort=started_at"  # 1000 of them
        await got(admin, kind, short_query)  # loads modules and fills caches
        _, short = await peak_of(kind, short_query)
        lines, long = await peak_of(kind, LONG)
        assert kind == "xlsx" or lines > long_history - 20, "a line's end may lie between two pieces"
        # 4,000 rows in memory would be some 8 MB.
        assert long - short < 3_000_000, (kind, short, long)
    assert left(site) == []


@pytest.mark.one_machine
async def test_a_client_that_disconnects_ends_the_export(long_history: int, site: Site, admin: httpx.AsyncClient) -> None:
    for kind in ("csv", "zip"):
        async with admin.stream("GET", f"/api/calls.{kind}?{LONG}") as answer:
            async for _ in answer.aiter_raw():
                break
    store = await Store.open(site.configuration.store)
    try:
        await eventually(lambda: exports_ended(store, 2))
        rows = await audited(store)
    finally:
        await store.close()
    assert [int(row.detail["calls"]) > 0 for row in rows] == [True, True]
    assert int(rows[0].detail["calls"]) < long_history, "rows that were not sent are not counted"
    assert left(site) == []
    assert (await admin.get(f"/api/calls.csv?{DAY}&src=nobody")).status_code == 200


@pytest.mark.one_machine
async def test_a_full_disk_is_answered_with_507(
    site: Site, filled: object, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CallWorkbook, "add", full)
    answer = await admin.get(f"/api/calls.xlsx?{DAY}")
    assert (answer.status_code, answer.json()["type"]) == (507, "/problems/storage-full")
    assert left(site) == []
