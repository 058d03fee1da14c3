"""What is shown, as a file and on paper: through the browser, as people do it."""

import csv
import json
import re
import subprocess
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
from playwright.sync_api import Locator, Page, Response, expect
from pypdf import PdfReader

from api.exports.labels import WORDS, Language
from fonoteka.core.call_report import Direction, Reason, RecordingState, Result
from tests.portal.browser import COLUMNS, answered, column, rows, settled
from tests.portal.test_looks import assert_suits_everybody

_PORTAL = Path(__file__).parents[2] / "portal"
_NODE = Path(__file__).parents[2] / ".venv" / "bin" / "node"
_ON_SCREEN = len(WORDS[Language.RU].columns)  # a file has further columns behind them
_ALL = "/?from=2020-01-01&to=2100-01-01"


def opener(page: Page) -> Locator:
    return page.get_by_role("button", name="Выгрузка")


def item(page: Page, name: str) -> Locator:
    return page.get_by_role("menuitem", name=name)


def shown(page: Page) -> list[tuple[str, ...]]:
    """The table as on the screen, a dash as nothing; without the length of calls that go on."""
    columns = [column(page, name) for name in COLUMNS]
    partial = page.locator("td.rec .warn .only-heard").all_inner_texts()
    assert partial == [], "none of the seed's: their text would have to be put together here"
    found = [tuple("" if text == "—" else text for text in row) for row in zip(*columns, strict=True)]
    return [row for row in found if row[2] not in ("Разговор", "Talking")]


def saved(page: Page, name: str) -> tuple[str, bytes]:
    """What the menu's entry downloads: its name and content."""
    opener(page).click()
    with page.expect_download() as download:
        item(page, name).click()
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(opener(page)).to_be_focused()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def in_xlsx(content: bytes) -> list[tuple[str, ...]]:
    sheet = openpyxl.load_workbook(BytesIO(content)).worksheets[0]
    lines: list[tuple[Any, ...]] = list(sheet.iter_rows(min_row=2, values_only=True))
    texts = [(*(cell or "" for cell in row[:6]), f"{row[6]:%d.%m.%Y}", f"{row[7]:%H:%M:%S}", str(row[8]), row[9]) for row in lines]
    return [row for row in texts if row[2] != "Разговор"]


def in_csv(content: bytes, delimiter: str = ";", cells: int | None = _ON_SCREEN) -> list[tuple[str, ...]]:
    lines = list(csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True))
    return [tuple(row[:cells]) for row in lines[1:] if row[2] not in ("Разговор", "Talking")]


SELECTIONS: dict[str, tuple[Callable[[Page], object], ...]] = {
    "busy": (lambda page: page.get_by_label("Фильтр: Тип").select_option("busy"),),
    "employee": (lambda page: page.get_by_label("Фильтр: Сотрудник").fill("солд"),),
    "incoming of 152": (
        lambda page: page.get_by_label("Фильтр: Направление").select_option("in"),
        lambda page: page.get_by_label("Отобразить: 152").check(),
    ),
    "by length": (lambda page: page.get_by_role("columnheader", name="Длительность").get_by_role("button").click(),),
}


def to_another_selection(page: Page) -> Callable[[Response], bool]:
    """Tell the answer to the next selection from one to a look at the present one."""
    before = page.url
    return lambda answer: "/api/calls?" in answer.url and page.url != before


@pytest.mark.parametrize("steps", SELECTIONS.values(), ids=SELECTIONS)
def test_the_files_hold_what_the_screen_shows(reader: Page, steps: tuple[Callable[[Page], object], ...]) -> None:
    reader.goto(f"{_ALL}&limit=200")
    settled(reader)
    for step in steps:
        with reader.expect_response(to_another_selection(reader)):
            step(reader)
        settled(reader)
    table = shown(reader)
    assert len(table) > 3
    name, content = saved(reader, "Excel (XLSX)")
    expect(reader.get_by_text("Файл готовится")).to_be_visible()
    assert (name, in_xlsx(content)) == ("fonoteka-acme-2020-01-01_2100-01-01.xlsx", table)
    name, content = saved(reader, "CSV")
    assert (name, in_csv(content)) == ("fonoteka-acme-2020-01-01_2100-01-01.csv", table)
    name, content = saved(reader, "Записи разговоров (ZIP)")
    assert name == "fonoteka-acme-2020-01-01_2100-01-01.zip"
    with ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        sounds = [file for file in archive.namelist() if file.endswith(".ogg")]
        index = in_csv(archive.read("index.csv"), cells=None)
    assert [row[:10] for row in index] == table
    assert [row[-2] for row in index if row[-2]] == sounds
    assert len(sounds) == sum(re.fullmatch(r"\d+:\d\d", row[9]) is not None for row in table)


def test_all_pages_are_exported_and_only_the_one_shown_is_printed(reader: Page) -> None:
    reader.goto(_ALL)
    settled(reader)
    with answered(reader):
        reader.get_by_role("button", name="Вперёд").click()
    total = int(re.sub(r"\D", "", reader.get_by_role("navigation", name="Страницы").inner_text().partition("из")[2].split("\n")[0]))
    opener(reader).click()
    expect(item(reader, "Напечатать показанное")).to_contain_text(f"51–100 из {total}")
    expect(reader.get_by_role("menu")).to_have_accessible_description(re.compile(f"^В выгрузке: {total} звон"))
    reader.keyboard.press("Escape")
    _, content = saved(reader, "Excel (XLSX)")
    assert openpyxl.load_workbook(BytesIO(content)).worksheets[0].max_row == total + 1
    reader.emulate_media(media="print")
    expect(reader.locator("p.only-printed")).to_have_text(f"51–100 из {total}")
    reader.goto("/?src=nobody")
    settled(reader)
    expect(reader.locator("p.only-printed")).to_have_count(0)


def test_the_menu_says_when_there_are_more_than_were_counted(admin: Page) -> None:
    def many(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"total": 10_000, "total_is_exact": False})

    admin.route(re.compile(r"/api/calls\?"), many)
    admin.goto(_ALL)
    settled(admin)
    opener(admin).click()
    expect(admin.get_by_text(re.compile(r"В выгрузке: более 10\s000 звонков"))).to_be_visible()


def test_english_files_for_the_english(reader: Page) -> None:
    reader.goto(f"{_ALL}&limit=200&result=busy")
    reader.get_by_role("button", name="EN").click()
    expect(reader.get_by_role("columnheader", name="Answered by")).to_be_visible()
    settled(reader)
    reader.get_by_role("button", name="Export").click()
    with reader.expect_download() as download:
        item(reader, "CSV").click()
    table = [(*row[:6], "-".join(reversed(row[6].split("."))), *row[7:]) for row in shown(reader)]
    assert in_csv(Path(download.value.path()).read_bytes(), ",") == table


def test_the_menu_by_keyboard(reader: Page) -> None:
    reader.goto(_ALL)
    settled(reader)
    reader.evaluate("window.print = () => { document.body.dataset.printed = 'yes'; }")
    menu = reader.get_by_role("menu", name="Печать и выгрузка")
    opener(reader).focus()
    expect(opener(reader)).to_have_attribute("aria-haspopup", "menu")
    for key, name in (("Enter", "Напечатать"), ("ArrowDown", "Напечатать"), ("ArrowUp", "Записи")):
        reader.keyboard.press(key)
        expect(opener(reader)).to_have_attribute("aria-expanded", "true")
        expect(item(reader, name)).to_be_focused()
        reader.keyboard.press("Escape")
        expect(menu).to_have_count(0)
        expect(opener(reader)).to_be_focused()
    reader.keyboard.press("ArrowDown")
    for key, name in (
        ("ArrowDown", "Excel"), ("End", "Записи"), ("ArrowDown", "Напечатать"), ("ArrowUp", "Записи"), ("ArrowUp", "CSV"),
        ("Home", "Напечатать"),
    ):  # fmt: skip
        reader.keyboard.press(key)
        expect(item(reader, name)).to_be_focused()
    reader.keyboard.press("Space")
    expect(menu).to_have_count(0)
    assert reader.evaluate("document.body.dataset.printed") == "yes"
    reader.keyboard.press("ArrowDown")
    reader.keyboard.press("Tab")
    expect(menu).to_have_count(0)
    reader.keyboard.press("Shift+Tab")
    opener(reader).focus()
    reader.keyboard.press("ArrowDown")
    reader.keyboard.press("ArrowDown")
    reader.keyboard.press("ArrowDown")
    with reader.expect_download() as download:
        reader.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".csv")
    expect(opener(reader)).to_be_focused()
    opener(reader).click()
    rows(reader).first.locator("td.src").click()
    expect(menu).to_have_count(0)


@pytest.mark.parametrize("width", [1440, 390])
def test_the_open_menu_suits_everybody(admin: Page, width: int) -> None:
    admin.set_viewport_size({"width": width, "height": 844})
    admin.goto(_ALL)
    settled(admin)
    opener(admin).click()
    box = admin.locator(".popup").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width
    assert admin.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert_suits_everybody(admin)


def test_a_long_list_on_paper(reader: Page) -> None:
    """Ten whole columns across each sheet of A4, lying, under their headings."""
    reader.goto(f"{_ALL}&limit=200")
    settled(reader)
    count = rows(reader).count()
    paper = PdfReader(BytesIO(reader.pdf(prefer_css_page_size=True)))
    assert len(paper.pages) > 2
    texts = [page.extract_text() for page in paper.pages]
    for page, text in zip(paper.pages, texts, strict=True):
        assert [round(float(side)) for side in (page.mediabox.width, page.mediabox.height)] == [842, 595]
        assert all(title in text for title in WORDS[Language.RU].columns), text[:300]
    assert sum(len(re.findall(r"\b\d\d:\d\d:\d\d\b", text)) for text in texts) == count
    reader.emulate_media(media="print")
    reader.set_viewport_size({"width": 1047, "height": 700})  # what 277 mm are
    box = reader.locator(".scroll").evaluate("box => [box.scrollWidth, box.clientWidth, getComputedStyle(box).overflowX]")
    assert (box[0] <= box[1], box[2]) == (True, "visible")
    assert reader.locator("table").first.evaluate("table => table.getBoundingClientRect().right <= innerWidth")


def test_the_words_are_the_portals_own() -> None:
    """The table and its files say the same, also where no call of the other tests has it."""
    both = "Promise.all(['ru', 'en'].map((name) => import(`./src/i18n/${name}.ts`)))"
    script = f"{both}.then(([{{ ru }}, {{ en }}]) => console.log(JSON.stringify({{ ru, en }})))"
    told = subprocess.run([_NODE, "-e", script], cwd=_PORTAL, capture_output=True, text=True, check=True)
    for language, said in json.loads(told.stdout).items():
        words = WORDS[Language(language)]
        assert [*words.columns, *words.details[:2]] == list(said["column"].values())[: len(words.columns) + 2]
        for ours, theirs, kind in (
            (words.direction, said["direction"], Direction),
            (words.result, said["result"], Result),
            (words.state, said["recording"]["state"], RecordingState),
            (words.reason, said["recording"]["reason"], Reason),
        ):
            assert (ours, set(ours)) == (theirs, set(kind))
        assert (words.ringing, words.talking) == (said["going"]["ringing"], said["going"]["talking"])
        assert (words.paused, words.partial) == (said["now"]["paused"], said["recording"]["partial"])
        assert words.calls == said["calls"]["title"]
