"""Every block as a file of every kind, and on paper.

It opens, its Cyrillic is right, its figures are the screen's.
"""

import csv
import re
import struct
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import openpyxl
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.portal.browser import at_a_desk, log_on, watched_page
from tests.portal.reported import admin_token, context, look, report, served
from tests.portal.served import Served
from tests.portal.test_statistics import block

# Fixtures, which take the place of conftest's.
__all__ = ["admin_token", "context", "report", "served"]

_WHOLE = "/stats?from=2026-01-01&compare=1&longer_than=30"
_SVG = "{http://www.w3.org/2000/svg}"
_HOURLY, _SHARES, _LINES = "График вызовов", "Исходящие. Доли", "Входящие. По номерам"
BLOCKS = [
    "Итоги",
    _HOURLY,
    "Входящие. Общее количество",
    _LINES,
    "Входящие. По сотрудникам",
    _SHARES,
    "Исходящие. По номерам",
    "Исходящие. По сотрудникам",
    "Ожидание. Сколько ждали",
    "Ожидание. По очередям",
    "Кто говорит. По сотрудникам",
    "Качество связи. Как было слышно",
    "Качество связи. По транкам",
    "Дни недели и часы",
    "Пропущенные без перезвона",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture
def whole(reader: Page) -> Page:
    """A report of all there is, compared and with «более N»."""
    look(reader, _WHOLE)
    return reader


@pytest.fixture(scope="module")
def kept(browser: Browser, admin_token: str, served: Served) -> Iterator[Page]:
    """The same report, opened once for the tests that only save its blocks."""
    with at_a_desk(browser, served.address) as context, watched_page(context, served.address) as page:
        log_on(page, admin_token, served.address)
        look(page, _WHOLE)
        yield page


def saved(page: Page, name: str, way: str, folder: Path) -> Path:
    """Choose a way in a block's menu; the file."""
    block(page, name).get_by_role("button", name="Экспорт").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=way).click()
    file = folder / download.value.suggested_filename
    assert file.name.startswith(f"{name} — Отчет за ") and file.suffix == f".{way.lower()}"
    download.value.save_as(file)
    return file


def plain(text: str) -> str:
    """Remove all spaces, and write the plain minus: `1 234` and `12,5 %` → `1234` and `12,5%`."""
    return re.sub(r"\s", "", text).replace("−", "-")


def on_screen(page: Page, name: str) -> list[list[str]]:
    """The rows of a block as the reader sees them, each its first words and its figures.

    A block far outside the screen has no inner text.
    """
    one: Locator = block(page, name)
    if name == "Итоги":
        cards = one.locator("dl > div").all()
        return [[card.locator("dt").inner_text().strip(), plain(card.locator(".count").inner_text())] for card in cards]
    rows = one.locator("tbody tr").evaluate_all(
        """rows => rows.map(row => [
            row.querySelector('.name a, .name > span')?.textContent ?? row.querySelector('th').title ?? '',
            ...[...row.querySelectorAll('td')].map(cell => cell.textContent.trim() || '0'),
        ])"""
    )
    if name in (_HOURLY, _SHARES):
        names = one.locator("tbody th").all_inner_texts()
        rows = [[names[place], *row[1:]] for place, row in enumerate(rows)]
    return [[row[0].strip(), *(plain(text) for text in row[1:])] for row in rows]


def figures_in(rows: list[list[str]]) -> list[list[str]]:
    """Each row's first words and its figures, without the words between."""
    return [[row[0], *(plain(cell) for cell in row[1:] if re.match(r"^[−-]?\d[\d\s\xa0]*([,:.]|$|\s?%)", cell))] for row in rows]


def agree(screen: list[list[str]], found: list[list[str]]) -> None:
    """Every row of the screen is there, in order, its figures first among the file's."""
    assert len(screen) > 0
    for row, other in zip(screen, found, strict=False):
        assert other[0] == row[0]
        assert [cell for cell in other[1:] if cell in row[1:]][: len(row) - 1] == row[1:], (row, other)
    assert len(found) >= len(screen)


@pytest.mark.filterwarnings("ignore:Workbook contains no default style")
@pytest.mark.parametrize("name", BLOCKS)
def test_csv_and_xlsx_hold_the_screens_figures(kept: Page, name: str, folder: Path) -> None:
    screen = on_screen(kept, name)
    text = saved(kept, name, "CSV", folder).read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    written = list(csv.reader(text.decode("utf-8-sig").splitlines(), delimiter=";"))
    agree(screen, figures_in(written[1:]))
    assert all(len(row) == len(written[0]) for row in written) and all(written[0])
    book = openpyxl.load_workbook(BytesIO(saved(kept, name, "XLSX", folder).read_bytes()))
    (sheet,) = book.worksheets
    table = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert table[0][0] == name and str(table[1][0]).startswith("ООО «Акме». Отчет за ")
    assert [str(cell) for cell in table[3]] == written[0]
    for cells, row in zip(table[4:], written[1:], strict=True):
        for cell, said, column in zip(cells, row, range(len(row)), strict=True):
            if said.isdecimal() and not isinstance(cell, str):
                assert cell == int(said), (row, column)
            elif isinstance(cell, str):
                assert cell == said
        assert sum(isinstance(cell, str) for cell in cells) >= 1
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


@pytest.mark.parametrize("name", BLOCKS)
def test_pdf_is_lines_and_letters_with_the_screens_figures(kept: Page, name: str, folder: Path) -> None:
    screen = on_screen(kept, name)
    file = saved(kept, name, "PDF", folder)
    text = subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, text=True, check=True).stdout
    assert text.strip().startswith(name) and "ООО «Акме». Отчет за " in text
    lines = [plain(line) for line in text.splitlines()]
    for first, *figures in screen:
        words = plain(first)
        assert any(line.startswith(words) and "".join(figures[:1]) in line for line in lines), (first, figures)
    fonts = subprocess.run(["pdffonts", file], capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in fonts.splitlines()[2:]} == {"DejaVu"}
    images = subprocess.run(["pdfimages", "-list", file], capture_output=True, text=True, check=True).stdout
    assert len(images.splitlines()) == 2, "a bitmap"


@pytest.mark.parametrize("name", BLOCKS)
def test_svg_and_png_are_the_same_picture(kept: Page, name: str, folder: Path) -> None:
    screen = on_screen(kept, name)
    root = ElementTree.fromstring(saved(kept, name, "SVG", folder).read_bytes())  # noqa: S314 (our own)
    lines: dict[str, list[str]] = {}
    for element in root.findall(f"{_SVG}text"):
        lines.setdefault(element.attrib["y"], []).append(plain(element.text or ""))
    (title,), (under,), _heading, *table = lines.values()
    assert title == plain(name) and under.startswith(plain("ООО «Акме». Отчет за"))
    for row, cells in zip(screen, table, strict=False):
        left = iter(cells)
        assert all(plain(cell) in left for cell in row), (row, cells)
    assert len(table) >= len(screen)
    kinds = {element.tag.removeprefix(_SVG) for element in root.iter()}
    assert kinds <= {"svg", "g", "rect", "path", "text", "defs", "clipPath", "tspan", "circle", "polyline", "polygon", "line"}
    picture = saved(kept, name, "PNG", folder).read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    assert (width, height) == (2 * int(root.attrib["width"]), 2 * int(root.attrib["height"]))
    assert len(picture) > 5_000


def test_the_picture_is_drawn_for_paper_whatever_the_theme(whole: Page, folder: Path) -> None:
    whole.get_by_role("button", name="Включить тёмную тему").click()
    root = ElementTree.fromstring(saved(whole, _HOURLY, "SVG", folder).read_bytes())  # noqa: S314 (our own)
    whole.get_by_role("button", name="Включить светлую тему").click()
    rects, texts = list(root.iter(f"{_SVG}rect")), list(root.iter(f"{_SVG}text"))
    assert rects[0].attrib["fill"] == "#ffffff" and texts[0].attrib["fill"] == "#171a21"


def test_a_long_list_goes_on_over_pages(whole: Page, folder: Path) -> None:
    file = saved(whole, "Исходящие. По сотрудникам", "PDF", folder)
    rows = on_screen(whole, "Исходящие. По сотрудникам")
    text = subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, text=True, check=True).stdout
    pages = text.split("\f")[:-1]
    assert len(rows) > 40 and len(pages) == 2
    for page, content in enumerate(pages):
        assert f"{page + 1} из 2" in content and "Сотрудник" in content


def test_a_series_taken_away_is_not_drawn(reader: Page, folder: Path) -> None:
    look(reader, "/stats?off=in&chart=bars")
    root = ElementTree.fromstring(saved(reader, _HOURLY, "SVG", folder).read_bytes())  # noqa: S314 (our own)
    chart = root.find(f"{_SVG}svg")
    assert chart is not None
    colours = {element.attrib.get("fill") for element in chart.iter()} | {element.attrib.get("stroke") for element in chart.iter()}
    assert "#2b5be0" in colours and "#0f8a6d" not in colours


def test_a_block_is_printed_alone(whole: Page, folder: Path) -> None:
    whole.evaluate("() => { window.print = () => { window.printed = (window.printed ?? 0) + 1; }; }")
    block(whole, _LINES).get_by_role("button", name="Экспорт").click()
    whole.get_by_role("menuitem", name="Печать").click()
    whole.wait_for_function("() => window.printed === 1")
    whole.emulate_media(media="print")
    expect(whole.locator(".sheets img").first).to_be_visible()
    expect(whole.locator("#portal")).to_be_hidden()
    whole.emulate_media(media="screen")
    expect(whole.locator(".sheets")).to_be_hidden()
    whole.emulate_media(media="print")
    file = folder / "printed.pdf"
    file.write_bytes(whole.pdf(prefer_css_page_size=True))
    text = subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, text=True, check=True).stdout
    assert text.strip().startswith(_LINES) and "График вызовов" not in text
    size = subprocess.run(["pdfinfo", file], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Pages: +1\n", size) and re.search(r"Page size: +59\d\S* x 84\d", size), size
    for first, figure, *_ in on_screen(whole, _LINES):
        assert re.search(rf"{first}.*\b{figure}\b", text)
    whole.evaluate("() => dispatchEvent(new Event('afterprint'))")
    expect(whole.locator(".sheets")).to_have_count(0)


def test_the_menu_is_the_keyboards_too(report: Page) -> None:
    button = block(report, _HOURLY).get_by_role("button", name="Экспорт")
    button.focus()
    report.keyboard.press("Enter")
    items = report.get_by_role("menuitem")
    expect(items).to_have_text(["Картинка PNG", "Картинка SVG", "Документ PDF", "Таблица CSV", "Таблица XLSX", "Печать"])
    expect(items.first).to_be_focused()
    report.keyboard.press("ArrowDown")
    expect(items.nth(1)).to_be_focused()
    report.keyboard.press("End")
    expect(items.last).to_be_focused()
    report.keyboard.press("Escape")
    expect(report.get_by_role("menu")).to_have_count(0)
    expect(button).to_be_focused()


def test_the_pointer_alone_opens_the_menu(report: Page) -> None:
    """«Необходимо навести на кнопку»."""
    block(report, _LINES).get_by_role("button", name="Экспорт").hover()
    expect(report.get_by_role("menu")).to_be_visible()
    report.mouse.move(5, 5)
    expect(report.get_by_role("menu")).to_have_count(0)
