"""«Статистика» (manual, VII): every figure opens as many calls as it says."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.data.seed import PASSWORD
from tests.portal.browser import log_in, log_on, settled, whole_list
from tests.portal.reported import (
    admin_token,
    complete,
    context,
    counted,
    figure,
    look,
    opened,
    report,
    served,
)
from tests.portal.served import Served
from tests.portal.test_looks import COLOURS, assert_suits_everybody, violations

# Fixtures, which take the place of conftest's.
__all__ = ["admin_token", "context", "report", "served"]

SERIES = {"out": "Исходящие", "out_failed": "Неуспешные исходящие", "in": "Входящие", "in_missed": "Неотвеченные входящие"}
_TOP = "closest('section').getBoundingClientRect().top"  # of a block, on the screen
_KEEP_TOP = f"() => addEventListener('click', event => (window.topOfBlock = event.target.{_TOP}), {{capture: true, once: true}})"
_SAME_TOP = f"block => Math.abs(block.{_TOP} - window.topOfBlock) < 2"
_CHART = "() => document.querySelector('.chart-box .chart').chart"


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def block(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True).and_(page.locator("section"))


def told(page: Page, name: str, query: str = "") -> dict[str, Any]:
    answer = page.evaluate(f"() => fetch('/api/stats/{name}{query}').then(answer => answer.json())")
    assert isinstance(answer, dict)
    return answer


def follow(page: Page, link: Locator) -> None:
    """Click a figure, see as many calls, and come back to the same report."""
    address, text = page.url, link.text_content() or ""
    page.evaluate(_KEEP_TOP)
    link.click()
    assert opened(page) == figure(text), (text, page.url)
    page.go_back()
    counted(page)
    page.wait_for_function(_SAME_TOP, arg=link.locator("xpath=ancestor::section[1]").element_handle())
    assert page.url == address


def lead_to_their_calls(page: Page, links: Locator) -> None:
    """Ask the API for the selection of each link: it has as many calls as the figure says."""
    counts = links.evaluate_all(
        """links => Promise.all(links.map(async link => {
            const answer = await fetch('/api/calls' + link.search + '&limit=1');
            return [link.textContent, (await answer.json()).total];
        }))"""
    )
    assert counts and [figure(text) for text, _ in counts] == [total for _, total in counts], page.url


def spot(page: Page, series: str, hour: int) -> tuple[float, float]:
    """Where the point of a series at an hour is, in the page; the hours start at 0."""
    place = page.evaluate(
        """([series, at]) => {
            const element = document.querySelector('.chart-box .chart'), chart = element.chart;
            const box = element.getBoundingClientRect();
            const one = chart.getOption().series.find(one => one.id === series);
            const [x, y] = chart.convertToPixel({seriesId: series}, [at, one.data[at]]);
            return [box.x + x, box.y + y];
        }""",
        [series, hour],
    )
    return float(place[0]), float(place[1])


def bar(page: Page, series: str, hour: int) -> tuple[float, float]:
    """The middle of a bar, in the page."""
    return tuple(
        page.evaluate(
            """([series, at]) => {
                const element = document.querySelector('.chart-box .chart'), box = element.getBoundingClientRect();
                const model = element.chart.getModel().getSeries().find(one => one.id === series);
                const {x, y, width, height} = model.getData().getItemLayout(at);
                return [box.x + x + width / 2, box.y + y + height / 2];
            }""",
            [series, hour],
        )
    )


def alone(hours: list[dict[str, int]], series: str) -> int:
    """An hour in which no other series has a point where this one has: the highest of them."""
    found = [row for row in hours if row[series] > 0 and all(row[other] != row[series] for other in SERIES if other != series)]
    return max(found, key=lambda row: row[series])["hour"]


def test_the_menu_leads_to_it_for_everybody(page: Page) -> None:
    log_in(page, "152", PASSWORD)
    page.get_by_role("link", name="Статистика").click()
    complete(page)
    expect(page).to_have_title("Статистика · Fonoteka")
    expect(page.locator("h1")).to_have_text(re.compile(r"^Отчет за день, период с 0:00–24:00 за \d\d\.\d\d\.\d{4}$"))
    names = block(page, "Входящие. По сотрудникам").locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.key)")
    assert names == ["152"]
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(["Звонки", "Статистика", re.compile("Сейчас")])


def test_the_title_says_the_report(report: Page, served: Served) -> None:
    heading, today = report.locator("h1"), report.locator("h1 button").inner_text()
    report.get_by_role("button", name="Вчера").click()
    expect(heading).not_to_contain_text(today)
    expect(heading).to_have_text(re.compile(r"^Отчет за день, период с 0:00–24:00 за [\d.]{10}$"))
    report.get_by_label("Время от").fill("8")
    report.get_by_label("Время от").press("Enter")
    report.get_by_label("Время до").fill("20:00")
    report.get_by_label("Время до").press("Enter")
    expect(heading).to_contain_text("Отчет за день, период с 8:00–20:00 за ")
    report.get_by_role("button", name="Неделя").click()
    expect(heading).to_have_text(re.compile(r"^Отчет за 7 дней, период с 8:00–20:00 за [\d.]{10} – [\d.]{10}$"))
    report.get_by_label("Длительность от, секунд").fill("30")
    expect(heading).to_contain_text(", звонки от 30 сек")
    report.get_by_role("button", name="Сбросить время и продолжительность").click()
    expect(heading).to_have_text(re.compile(r"^Отчет за 7 дней, период с 0:00–24:00 за [\d.]{10} – [\d.]{10}$"))
    look(report, "/stats?from=2017-02-01&to=2017-02-01&time_from=08:00&time_to=20:00")
    expect(heading).to_have_text("Отчет за день, период с 8:00–20:00 за 01.02.2017")
    heading.get_by_role("button").click()
    expect(report.locator(".calendar .air-datepicker-cell").first).to_be_visible()


def test_the_table_by_hour_is_the_apis(report: Page) -> None:
    hours = told(report, "hourly")["rows"]
    table = report.locator("table", has=report.locator("tr[data-series]"))
    expect(table.locator("thead th")).to_have_text(["Час", *(f"{row['hour'] + 1}:00" for row in hours), "Всего"])
    for series, name in SERIES.items():
        expect(table.locator(f"tr[data-series='{series}'] th")).to_have_text(name)
        texts = table.locator(f"tr[data-series='{series}'] td").all_inner_texts()
        assert [figure(text) for text in texts] == [*(row[series] for row in hours), sum(row[series] for row in hours)]
        expect(
            report.get_by_role("button", name=name, exact=False).and_(report.locator(f"button:has(.mark.{series})"))
        ).to_contain_text(texts[-1])


def test_each_figure_of_the_table_opens_its_calls(report: Page) -> None:
    for series in SERIES:
        links = report.locator(f"tr[data-series='{series}'] td a")
        lead_to_their_calls(report, links)
        follow(report, links.last if series in ("in", "out") else links.first)


def test_an_hour_is_named_by_its_end(report: Page) -> None:
    """«При клике на 13:00 будут отображены звонки с 12:00 до 13:00»."""
    row = max(told(report, "hourly")["rows"], key=lambda row: sum(row[one] for one in SERIES))
    link = report.locator("thead th a", has_text=re.compile(f"^{row['hour'] + 1}:00$")).first
    link.click()
    assert asked(report)["time_from"] == [f"{row['hour']:02}:00"]
    assert opened(report) == sum(row[one] for one in SERIES)
    times = [text.strip() for text in report.locator("tr.call td.time").all_inner_texts()]
    assert times and all(text.startswith(f"{row['hour']:02}:") for text in times)


def test_the_reports_own_filters_travel_along(reader: Page) -> None:
    look(reader, "/stats?time_from=08:30&time_to=11:15&min_s=20&max_s=700")
    hours = reader.locator("table:has(tr[data-series]) thead th")
    expect(hours).to_have_text(["Час", "9:00", "10:00", "11:00", "12:00", "Всего"])
    lead_to_their_calls(reader, reader.locator("tr[data-series='in'] td a"))
    reader.locator("tr[data-series='in'] td a").first.click()
    here = asked(reader)
    assert (here["min_s"], here["max_s"]) == (["20"], ["700"])
    assert here["time_from"][0] >= "08:30"
    reader.go_back()
    complete(reader)
    for name in ("Входящие. По номерам", "Исходящие. По сотрудникам"):
        follow(reader, block(reader, name).locator("td a").first)


def test_an_hour_that_no_selection_can_name_is_no_link(reader: Page) -> None:
    """Over midnight a reader may hold the beginning and the end of one hour, without its middle."""
    look(reader, "/stats?from=2026-01-01")
    hours = told(reader, "hourly")["rows"]
    most, second = sorted(range(24), key=lambda hour: -hours[hour]["in"])[:2]
    look(reader, f"/stats?from=2026-01-01&time_from={most:02}:31&time_to={most:02}:30")
    cell = reader.locator("tr[data-series='in'] td").nth(most)
    assert figure(cell.inner_text()) > 0
    expect(cell.locator("a")).to_have_count(0)
    whole = reader.locator("tr[data-series='in'] td").nth(second)
    follow(reader, whole.locator("a"))


def click_each(report: Page, place_of: Callable[[Page, str, int], tuple[float, float]]) -> None:
    """Click a point or a bar of each series, see its calls, and come back to the same chart."""
    address, hours = report.url, told(report, "hourly")["rows"]
    for series in SERIES:
        hour = alone(hours, series)
        report.locator(".chart-box").scroll_into_view_if_needed()
        report.mouse.click(*place_of(report, series, hour))
        assert opened(report) == hours[hour][series], series
        report.go_back()
        expect(report.locator(".chart-box .chart")).to_have_attribute("data-drawn", "true")
        assert report.url == address


def test_a_point_opens_its_calls(report: Page) -> None:
    click_each(report, spot)


def test_a_bar_opens_its_calls(report: Page) -> None:
    bars = report.get_by_role("button", name="Гистограмма")
    bars.click()
    expect(bars).to_have_attribute("aria-pressed", "true")
    click_each(report, bar)
    expect(bars).to_have_attribute("aria-pressed", "true")
    assert report.evaluate(f"() => ({_CHART})().getOption().series.map(one => one.type)") == ["bar"] * 4


def test_a_slice_opens_its_calls(reader: Page) -> None:
    look(reader, "/stats?from=2026-01-01")
    bands = told(reader, "durations", "?from=2026-01-01")["rows"]
    place = max(range(5), key=lambda at: bands[at]["calls"])
    ring = block(reader, "Исходящие. Доли").locator(".chart")
    ring.scroll_into_view_if_needed()
    x, y = ring.evaluate(
        """(element, at) => {
            const box = element.getBoundingClientRect(), data = element.chart.getModel().getSeriesByIndex(0).getData();
            const {cx, cy, r, r0, startAngle, endAngle} = data.getItemLayout(at), middle = (startAngle + endAngle) / 2;
            return [box.x + cx + Math.cos(middle) * (r + r0) / 2, box.y + cy + Math.sin(middle) * (r + r0) / 2];
        }""",
        place,
    )
    reader.mouse.move(x, y)
    tip = ring.locator(".chart-tip")
    expect(tip).to_contain_text(str(bands[place]["calls"]))
    expect(tip).to_contain_text("%")
    reader.mouse.click(x, y)
    assert opened(reader) == bands[place]["calls"]


def test_a_new_tab_is_the_readers_choice(report: Page) -> None:
    hours = told(report, "hourly")["rows"]
    hour = alone(hours, "in")
    address = report.url
    report.keyboard.down("Control")
    with report.context.expect_page() as by_chart:
        report.mouse.click(*spot(report, "in", hour))
    report.keyboard.up("Control")
    assert opened(by_chart.value) == hours[hour]["in"]
    link = report.locator("tr[data-series='in'] td a").last
    with report.context.expect_page() as by_table:
        link.click(modifiers=["Control"])
    assert opened(by_table.value) == figure(link.inner_text())
    assert report.url == address
    by_chart.value.close()
    by_table.value.close()


@pytest.mark.parametrize("which", ["any", "highest"])
def test_hovering_gives_the_figures(report: Page, which: str) -> None:
    hours = told(report, "hourly")["rows"]
    series = "in" if which == "any" else max(SERIES, key=lambda one: max(row[one] for row in hours))
    row = hours[alone(hours, "in")] if which == "any" else max(hours, key=lambda row: row[series])
    tip = report.locator(".chart-box .chart-tip")
    # A chart that is drawn anew in this moment takes its tip away: a hand moves on, too.
    for _ in range(20):
        x, y = spot(report, series, row["hour"])
        report.mouse.move(x + 40, y)
        report.mouse.move(x, y)
        if tip.locator("b").all_inner_texts() == [f"{row['hour']}:00–{row['hour'] + 1}:00"]:
            break
        report.wait_for_timeout(100)
    expect(tip.locator("b")).to_have_text(f"{row['hour']}:00–{row['hour'] + 1}:00")
    expect(tip.locator("span")).to_have_text(list(SERIES.values()))
    expect(tip.locator("strong")).to_have_text([str(row[series]) for series in SERIES])


def test_a_series_is_taken_away_and_back(report: Page) -> None:
    # One taken away leaves a gap.
    drawn = f"() => ({_CHART})().getOption().series.filter(one => one).map(one => one.id)"
    button = report.locator("button:has(.mark.in)")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    report.wait_for_function(f"() => ({drawn})().length === 3")
    assert report.evaluate(drawn) == ["out", "out_failed", "in_missed"]
    report.locator("button:has(.mark.out)").click()
    report.wait_for_function(f"() => ({drawn})().length === 2")
    assert sorted(asked(report)["off"]) == ["in", "out"]
    follow(report, report.locator("tr[data-series='in_missed'] td a").last)
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    report.wait_for_function(f"() => ({drawn})().length === 3")
    report.go_back()
    report.wait_for_function(f"() => ({drawn})().length === 2")


@pytest.mark.parametrize(
    "names",
    [
        ("Входящие. Общее количество", "Входящие. По номерам", "Входящие. По сотрудникам"),
        ("Исходящие. Доли", "Исходящие. По номерам", "Исходящие. По сотрудникам"),
    ],
    ids=["incoming", "outgoing"],
)
def test_the_figures_of_each_table_open_their_calls(report: Page, names: tuple[str, ...]) -> None:
    for name in names:
        links = block(report, name).locator("tbody td a")
        assert links.count() >= 3
        lead_to_their_calls(report, links)
        follow(report, links.last)


def test_the_figures_of_waiting_open_their_calls(report: Page) -> None:
    totals = told(report, "waiting")["totals"]
    shown = block(report, "Ожидание. Сколько ждали").locator("tbody tr:nth-child(-n+4) td").all_text_contents()
    soon, answered = totals["answered_within"], totals["answered"]
    assert [figure(text) for text in shown] == [totals["calls"], soon, answered - soon, totals["abandoned"]]
    lead_to_their_calls(report, block(report, "Ожидание. Сколько ждали").locator("tbody tr:nth-child(-n+4) td a"))
    bars = [block(report, "Ожидание. Сколько ждали").locator(f"tbody tr:nth-child({row}) .bar").count() for row in range(1, 7)]
    assert bars == [0, 1, 1, 1, 0, 0], "a bar only where it has a part"
    for name in ("По очередям", "По номерам", "По часам"):
        lead_to_their_calls(report, block(report, f"Ожидание. {name}").locator("tbody td:nth-of-type(-n+3) a"))
    queue = block(report, "Ожидание. По очередям").locator("tbody td a").first
    count = figure(queue.text_content() or "")
    queue.click()
    assert opened(report) == count


def test_the_longest_wait_opens_the_calls_that_waited_so_long(report: Page) -> None:
    longest = block(report, "Ожидание. По очередям").locator("tbody td:nth-of-type(5) a").first
    expect(longest).to_have_text("0:31")
    longest.click()
    expect(report.locator("ul.chips li")).to_contain_text(["Очередь: ", "Ожидание от 31 с"])
    assert opened(report) > 0


def test_the_threshold_of_waiting_is_chosen(report: Page) -> None:
    soon = block(report, "Ожидание. По очередям").get_by_role("columnheader").nth(2)
    expect(soon).to_have_text("До 20 с")
    report.get_by_label("Отвечать за, сек").fill("4")
    block(report, "Ожидание. Сколько ждали").get_by_role("button", name="Показать").click()
    expect(soon).to_have_text("До 4 с")
    assert asked(report)["within"] == ["4"]
    lead_to_their_calls(report, block(report, "Ожидание. По очередям").locator("tbody td:nth-of-type(2) a"))


def test_without_figures_the_report_says_so(reader: Page) -> None:
    look(reader, "/stats?from=2020-01-01&to=2020-01-02")
    for name in ("Ожидание. По очередям", "Кто говорит. По сотрудникам", "Качество связи. Как было слышно"):
        expect(block(reader, name)).to_contain_text("Нет данных")


def test_the_figures_of_quality_open_their_calls(report: Page) -> None:
    totals = told(report, "quality")["totals"]
    shown = block(report, "Качество связи. Как было слышно").locator("tbody td")
    counts = [figure(text) for text in shown.all_text_contents()[:3]]
    assert counts == [totals["calls"], totals["calls"] - totals["bad"], totals["bad"]] and counts[2] > 0
    expect(shown).to_contain_text([*[re.compile(r"\d")] * 3, "%", re.compile(r"\d,\d\d"), "3,05"])
    for name in ("Как было слышно", "По транкам", "По сотрудникам", "По часам"):
        counted_calls = f"tbody {'tr:nth-child(-n+3) td' if name == 'Как было слышно' else 'td:nth-of-type(-n+2)'} a"
        lead_to_their_calls(report, block(report, f"Качество связи. {name}").locator(counted_calls))
    worst = block(report, "Качество связи. По транкам").locator("tbody td").last
    expect(worst).to_have_text("3,05")
    worst.locator("a").click()
    expect(report.locator("ul.chips li")).to_have_text(["Транк: PJSIP/trunk", "MOS ниже 3,06"])
    assert 0 < opened(report) < counts[2]


def test_the_figures_of_speech_open_their_calls(report: Page) -> None:
    spoke = block(report, "Кто говорит. По сотрудникам")
    shown = {row.get_attribute("data-key"): row.locator("td").all_text_contents() for row in spoke.locator("tbody tr").all()}
    assert {key: [text.strip().replace("\xa0", " ") for text in texts] for key, texts in shown.items()} == {
        "152": ["2", "50 %", "0:03", "0:03", "0:01", "0:13", "0:12"],
        "421": ["1", "66,7 %", "0:03", "0:01", "0:00", "0:00", "0:00"],
        "": ["1", "72,7 %", "0:04", "0:01", "0:00", "0:00", "0:00"],
    }
    expect(spoke.locator("tr[data-key='']")).to_contain_text("Без сотрудника")
    expect(spoke.locator("tr[data-key=''] a")).to_have_count(0)
    lead_to_their_calls(report, spoke.locator("tbody td:first-of-type a"))
    spoke.locator("tr[data-key='152'] td a").last.click()
    expect(report.locator("ul.chips li")).to_have_text([re.compile(r"^Сотрудник: .*152"), "Тишина дольше 12 с"])
    assert opened(report) == 1


def test_silence_and_shares_are_columns_with_filters(reader: Page) -> None:
    reader.goto("/")
    settled(reader)
    reader.get_by_role("button", name="Столбцы").click()
    for name in ("Тишина", "Речь сотрудника"):
        reader.get_by_label(name, exact=True).check()
    reader.keyboard.press("Escape")
    with reader.expect_response(re.compile("silence_min_s=12")):
        reader.get_by_label("Тишина дольше, секунд").fill("12")
    expect(reader.locator("td.silence")).to_have_text(["12"])
    expect(reader.locator("td.share")).to_have_text([re.compile(r"^57,1\s%$")])
    expect(reader.locator("ul.chips li")).to_have_text(["Тишина дольше 12 с"])
    reader.locator("ul.chips button").click()
    expect(reader.locator("ul.chips")).to_have_count(0)
    with reader.expect_response(re.compile("employee_share_min=70")):
        reader.get_by_label("Сотрудник говорит больше, %").fill("70")
    expect(reader.locator("td.share")).to_have_text([re.compile(r"^72,7\s%$")])
    expect(reader.locator("ul.chips li")).to_have_text(["Сотрудник говорит больше 70 %"])


def test_a_name_and_its_bar_open_the_same_calls(report: Page) -> None:
    row = block(report, "Входящие. По номерам").locator("tbody tr").filter(has=report.locator(".bar a.in_missed")).first
    calls, missed = (figure(row.locator("td").nth(at).inner_text()) for at in (0, 1))
    row.locator(".name a").click()
    assert opened(report) == calls
    report.go_back()
    complete(report)
    row.locator(".bar a.in_missed").click()
    assert opened(report) == missed


def test_longer_than_so_many_seconds(report: Page) -> None:
    shares = block(report, "Исходящие. Доли")
    shares.get_by_label("Длительность более").fill("30")
    shares.get_by_role("button", name="Показать").click()
    expect(shares.locator("output")).to_contain_text("Более 30 сек:")
    assert asked(report)["longer_than"] == ["30"]
    longer = told(report, "durations", "?longer_than=30")["longer_than"]["calls"]
    expect(shares.locator("output a")).to_have_text(str(longer))
    follow(report, shares.locator("output a"))
    expect(shares.get_by_label("Длительность более")).to_have_value("30")


def test_missed_and_not_called_back(reader: Page) -> None:
    look(reader, "/stats?from=2026-01-01")
    one = block(reader, "Пропущенные без перезвона")
    found = told(reader, "callbacks", "?from=2026-01-01")
    assert found["called_back"] > 0 and found["not_called_back"] > 0
    expect(one.locator("tbody td")).to_have_text([str(found[key]) for key in ("not_called_back", "called_back", "missed")])
    expect(one.locator("dd").first).to_have_text(re.compile(r"^(\d+:)?\d+:\d\d$"))
    lead_to_their_calls(reader, one.locator("tbody td a"))
    follow(reader, one.locator("tbody td a").first)


@pytest.mark.parametrize("which", ["", "&heat=in", "&heat=out", "&heat=in_missed"])
def test_a_weekdays_hour_opens_its_calls(reader: Page, served: Served, which: str) -> None:
    first = (served.now - timedelta(days=11)).date()
    reader.goto(f"/stats?from={first}{which}&time_from=06:30")
    counted(reader)
    cells = block(reader, "Дни недели и часы").locator("tbody td.hot a")
    counts = [figure(text) for text in cells.all_text_contents()]
    follow(reader, cells.nth(counts.index(max(counts))))
    lead_to_their_calls(reader, block(reader, "Дни недели и часы").locator("tbody td.all a"))


def test_compared_with_the_period_before(report: Page) -> None:
    report.get_by_role("button", name="Вчера").click()
    report.get_by_role("checkbox", name="Сравнить с предыдущим периодом").check()
    summary = report.get_by_role("region", name="Итоги")
    expect(summary).to_contain_text("Предыдущий период: ")
    complete(report)
    period = asked(report)["from"][0]
    now = told(report, "hourly", f"?from={period}&to={period}")["rows"]
    before = report.evaluate(f"() => new Date(Date.parse('{period}T12:00Z') - 86400000).toISOString().slice(0, 10)")
    was = told(report, "hourly", f"?from={before}&to={before}")["rows"]
    counts = [(sum(row[name] for row in now), sum(row[name] for row in was)) for name in SERIES]
    for place, (count, earlier) in enumerate(counts):
        card = summary.locator("dl > div").nth(place + 1)
        expect(card.locator(".count")).to_have_text(str(count))
        expect(card.locator(".change")).to_contain_text(f"было {earlier}")
        assert earlier and count > earlier
        percent = f"{100 * (count - earlier) / earlier:.1f}".replace(".", ",").removesuffix(",0")
        said = re.sub(r"(?<=\d)\s(?=\d)", "", card.locator("b").inner_text()).replace("\xa0", " ")
        assert said == f"на {count - earlier} больше (+{percent} %)"
    link = summary.locator("dl > div .change a").first
    earlier = figure(link.inner_text().removeprefix("было"))
    link.click()
    assert opened(report) == earlier


def test_what_no_field_shows_is_a_chip_that_can_be_removed(reader: Page) -> None:
    look(reader, "/stats?from=2026-01-01")
    block(reader, "Исходящие. По сотрудникам").locator("tr[data-key='421'] td a").first.click()
    chips = reader.get_by_role("list", name="Условия из отчета").get_by_role("listitem")
    expect(chips).to_have_text(["Сотрудник: Солдатов Н.С. (421)"])
    narrowed = opened(reader)
    with reader.expect_response(re.compile(r"/api/calls\?")):
        chips.get_by_role("button").click()
    expect(chips).to_have_count(0)
    assert opened(reader) > narrowed
    for address, text in {
        "/?from=2026-01-01&talk_min_s=30&talk_max_s=59": "Разговор 30–59 с",
        "/?from=2026-01-01&talk_min_s=601": "Разговор от 601 с",
        "/?from=2026-01-01&talk_max_s=29": "Разговор до 29 с",
        "/?from=2026-01-01&weekday=1&weekday=7": "Дни недели: Пн, Вс",
        "/?from=2026-01-01&kind=missed_called_back": "Пропущенные с перезвоном",
    }.items():
        reader.goto(address)
        settled(reader)
        expect(chips).to_have_text([text])
        chips.get_by_role("button").click()
        expect(chips).to_have_count(0)
        assert asked(reader).keys() == {"from"}


def test_long_lists_scroll_inside_their_block(reader: Page) -> None:
    look(reader, "/stats?from=2026-01-01")
    for name in ("Входящие. По сотрудникам", "Исходящие. По номерам"):
        scroll = block(reader, name).locator(".scroll")
        assert block(reader, name).locator("tbody tr").count() > 20
        assert scroll.evaluate("box => box.scrollHeight > box.clientHeight + 100 && box.clientHeight <= 430")
        follow(reader, block(reader, name).locator("tbody td a").last)


def test_an_empty_period_says_so(reader: Page) -> None:
    look(reader, "/stats?from=2026-01-01&to=2026-01-02")
    for name in ("Входящие. По номерам", "Исходящие. Доли"):
        expect(block(reader, name)).to_contain_text("За выбранный период таких звонков нет")
    expect(reader.locator("section.block a")).to_have_count(0)


@pytest.mark.expects_console_error("status of 503")
def test_a_report_that_fails_says_so_and_can_be_asked_again(report: Page) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=503, json={"type": "about:blank", "title": "away", "status": 503})

    report.route("**/api/stats/incoming*", refuse)
    report.get_by_role("button", name="Вчера").click()
    expect(report.get_by_role("alert")).to_contain_text("Не удалось загрузить отчет")
    report.unroute_all()
    report.get_by_role("alert").get_by_role("button").click()
    expect(report.get_by_role("alert")).to_have_count(0)
    complete(report)


def test_nothing_moves_while_the_figures_come(reader: Page) -> None:
    reader.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => list.getEntries().forEach(one => window.moved += one.value))"
        ".observe({type: 'layout-shift', buffered: true})"
    )

    def late(route: Route) -> None:
        reader.wait_for_timeout(120)
        route.continue_()

    reader.route("**/api/stats/*", late)
    look(reader, "/stats?compare=1")
    assert reader.evaluate("() => window.moved") < 0.02
    reader.unroute_all()


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_serious(reader: Page, width: int) -> None:
    reader.set_viewport_size({"width": width, "height": 900})
    look(reader, "/stats?from=2026-01-01&compare=1&longer_than=30&off=in")
    assert violations(reader) == []
    block(reader, "График вызовов").get_by_role("button", name="Экспорт").click()
    expect(reader.get_by_role("menu")).to_be_visible()
    reader.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert violations(reader, COLOURS) == []
    assert reader.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    reader.goto("/?from=2026-01-01&talk_min_s=30&employee_login=421")
    expect(reader.get_by_role("list", name="Условия из отчета")).to_be_visible()
    settled(reader)
    assert_suits_everybody(reader)


def test_paper_gets_the_report_and_nothing_else(report: Page) -> None:
    report.emulate_media(media="print", color_scheme="dark")
    for hidden in ("header", ".filters", ".export button", ".kinds"):
        expect(report.locator(hidden).first).to_be_hidden()
    expect(report.locator(".page > .only-printed")).to_have_text("ООО «Акме»")
    expect(report.locator("h1")).to_contain_text("Отчет за день")
    assert report.evaluate("() => getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 0, 0)"
    assert len(report.pdf(format="A4", landscape=True)) > 10_000


def test_a_dark_screen_is_printed_light(report: Page) -> None:
    report.emulate_media(color_scheme="dark")
    colours = f"() => ({_CHART})().getOption().series.map(one => one.color)"
    report.wait_for_function(f"() => ({colours})().includes('#3fc59b')")
    report.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert report.evaluate(colours) == ["#2b5be0", "#b8690b", "#0f8a6d", "#c4314b"]
    assert report.evaluate("() => getComputedStyle(document.documentElement).backgroundColor") == "rgb(245, 246, 248)"
    report.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert "#3fc59b" in report.evaluate(colours)
    assert report.evaluate("() => document.documentElement.dataset.theme") == "dark"


def test_english(report: Page) -> None:
    report.get_by_role("button", name="EN").click()
    expect(report.locator("h1")).to_contain_text("Report for a day, from 0:00 to 24:00 on ")
    expect(report.get_by_role("heading", name="Incoming calls", exact=True)).to_be_visible()
    assert not re.search("[а-яё]", " ".join(report.locator("h2, h3, dt, thead th").all_inner_texts()), re.IGNORECASE)
    report.get_by_role("button", name="RU", exact=True).click()


def test_charts_come_with_the_report_alone(page: Page, admin_token: str, served: Served) -> None:
    log_on(page, admin_token, served.address)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto("/")
    whole_list(page)
    assert not [url for url in loaded if re.search("echarts|Statistics|pdf|xlsx|picture", url)]
    page.get_by_role("link", name="Статистика").click()
    complete(page)
    assert [url for url in loaded if "echarts" in url]
    assert not [url for url in loaded if re.search(r"/(pdf|xlsx)|\.ttf", url)]
    notice = page.request.get("/licences/echarts-NOTICE.txt")
    assert "Apache ECharts" in notice.text()
