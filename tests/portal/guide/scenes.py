"""What each picture of the guides shows: how to get there, and which part of the page is taken.

A scene finds its way by the page's structure, or by the words of the language it is in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.data.seed import PASSWORD
from tests.portal.browser import rows, settled, whole_list
from tests.portal.guide.office import live_calls
from tests.portal.reported import drawn
from tests.portal.served import Served

Language = Literal["ru", "en"]
Shot = Locator | FloatRect | None  # None: all of the window


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A page of somebody logged in, at some width, in one of the languages."""

    page: Page
    served: Served
    language: Language

    def said(self, russian: str, english: str) -> str:
        """What the portal says in the stage's language."""
        return russian if self.language == "ru" else english

    def calls(self, query: str = "") -> None:
        """Open the page of calls with a selection."""
        self.page.goto(f"/{query}")
        settled(self.page)
        if self.page.viewport_size and self.page.viewport_size["width"] > 1180:
            expect(self.page.locator("aside input.tick").first).to_be_visible()

    def top(self, height: float) -> FloatRect:
        """The uppermost part of the window."""
        return {
            "x": 0,
            "y": 0,
            "width": float(self.page.viewport_size["width"] if self.page.viewport_size else 0),
            "height": height,
        }


def _calls(stage: Stage) -> Shot:
    stage.calls()
    whole_list(stage.page)
    return None


def _period(stage: Stage) -> Shot:
    stage.calls("?from=2026-11-16&to=2026-11-24")
    stage.page.locator(".period .opener").click()
    expect(stage.page.locator(".air-datepicker-cell").first).to_be_visible()
    return stage.top(460)


def _filters(stage: Stage) -> Shot:
    stage.calls("?from=2026-11-18&to=2026-11-24&kind=in&result=answered&src=913&min_s=60")
    whole_list(stage.page)
    return stage.top(460)


def _panel(stage: Stage) -> Shot:
    stage.calls("?user=152&user=421")
    expect(stage.page.locator("aside input.tick").first).to_be_visible()
    return stage.top(640)


def _path(stage: Stage) -> Shot:
    stage.calls("?from=2026-09-01&to=2026-11-24&kind=in&employee_login=152&result=answered&min_s=60&recorded=true")
    _transferred(stage.page).locator("td.src").click()
    opened = stage.page.locator("tr.path")
    expect(opened.locator("ol li .sentence").first).to_be_visible()
    return _from_to(stage.page, rows(stage.page).filter(has=stage.page.locator("xpath=self::tr[contains(@class,'open')]")), opened)


def _transferred(page: Page) -> Locator:
    """The first call that somebody else took than it was for."""
    return rows(page).filter(has=page.locator("td.answered:not([title='152'])")).first


def _from_to(page: Page, first: Locator, last: Locator) -> FloatRect:
    """The part of the window from one element to another below it, with a little room."""
    above, below = first.first.bounding_box(), last.first.bounding_box()
    assert above is not None and below is not None
    bottom = below["y"] + below["height"]
    return {"x": above["x"], "y": above["y"] - 2, "width": above["width"], "height": bottom - above["y"] + 4}


def _sound(stage: Stage, at_s: int = 21) -> None:
    """The player, paused at a place that is always the same."""
    page = stage.page
    page.locator("td.rec button").first.click()
    page.wait_for_function("() => document.querySelector('audio')?.currentTime > 0.2")
    page.locator(".player .play").click()
    page.locator("audio").evaluate("(audio, at) => { audio.currentTime = at }", at_s)
    expect(page.locator(".player .clock b")).to_have_text(f"0:{at_s:02d}")
    page.mouse.move(2, 2)
    page.evaluate("() => document.activeElement.blur()")


def _player(stage: Stage) -> Shot:
    stage.calls("?from=2026-11-18&to=2026-11-24&kind=in&result=answered&min_s=60&max_s=95&recorded=true")
    _sound(stage)
    return stage.page.locator(".player")


def _reasons(stage: Stage) -> Shot:
    stage.calls("?from=2026-10-26&to=2026-11-24&result=answered&recorded=false&user=152&user=203&user=204&user=205&user=421")
    whole_list(stage.page)
    return stage.top(560)


def _nothing(stage: Stage) -> Shot:
    stage.calls("?src=495123")
    expect(stage.page.locator(".nothing")).to_be_visible()
    return stage.top(480)


def _pager(stage: Stage) -> Shot:
    stage.calls("?from=2026-11-01&to=2026-11-24")
    stage.page.get_by_role("navigation", name=stage.said("Страницы", "Pages")).get_by_role("button").last.click()
    settled(stage.page)
    stage.page.mouse.move(2, 2)
    foot = stage.page.locator("section.calls > *:last-child")
    foot.scroll_into_view_if_needed()
    return foot


def _users(stage: Stage) -> Shot:
    stage.page.goto("/users")
    expect(stage.page.locator("tbody tr td.login").first).to_be_visible()
    return stage.top(620)


def _now(stage: Stage) -> Shot:
    stage.served.report(*live_calls())
    stage.page.goto("/now")
    expect(stage.page.locator("li[data-call]").nth(3)).to_be_visible()
    return stage.top(420)


def _read_me(stage: Stage) -> Shot:
    stage.calls("?from=2026-11-24&to=2026-11-24")
    heard = rows(stage.page).filter(has=stage.page.locator("td.rec button"))
    heard.first.locator("td.src").click()
    expect(stage.page.locator("tr.path ol li .sentence").first).to_be_visible()
    _sound(stage, 7)
    return None


def _phone(stage: Stage) -> Shot:
    stage.calls("?from=2026-11-18&to=2026-11-24")
    _sound(stage, 7)
    return None


def _exports(stage: Stage) -> Shot:
    stage.calls("?from=2026-11-18&to=2026-11-24&kind=in")
    stage.page.get_by_role("button", name=stage.said("Выгрузка", "Export"), exact=True).click()
    expect(stage.page.get_by_role("menu")).to_be_visible()
    return stage.top(400)


def _hold(stage: Stage) -> Shot:
    stage.calls("?from=2026-11-24&to=2026-11-24")
    rows(stage.page).filter(has=stage.page.locator("td.rec button")).first.locator("td.src").click()
    stage.page.get_by_role("button", name=stage.said("Хранить бессрочно", "Keep for good")).click()
    dialog = stage.page.get_by_role("dialog")
    dialog.locator("textarea").fill(stage.said("Спор с клиентом по договору № 17", "A dispute about contract 17"))
    stage.page.evaluate("() => document.activeElement.blur()")
    return dialog


def _password(stage: Stage) -> Shot:
    stage.calls()
    stage.page.get_by_role("button", name=stage.said("Учётная запись", "Account")).click()
    stage.page.get_by_role("button", name=stage.said("Сменить пароль", "Change password")).click()
    dialog = stage.page.get_by_role("dialog")
    expect(dialog.locator("input").nth(2)).to_be_visible()
    stage.page.evaluate("() => document.activeElement.blur()")
    return dialog


def _audit(stage: Stage) -> Shot:
    """What an administrator has just done.

    A setting, a recording heard and saved, a call held and let go, and somebody's guess.
    """
    ask = stage.page.request
    ours = {"Sec-Fetch-Site": "same-origin"}
    ask.patch("/api/users/130", data={"record": "in"}, headers=ours)
    ask.patch("/api/users/130", data={"record": "off"}, headers=ours)
    ask.post("/api/login", data={"domain": "acme", "login": "421", "password": "wrong"}, headers=ours)
    call = ask.get("/api/calls?kind=recorded&from=2026-11-24&to=2026-11-24").json()["items"][0]["id"]
    ask.get(f"/api/calls/{call}/audio?download=1")
    ask.put(
        f"/api/calls/{call}/hold",
        data={"hold": True, "note": stage.said("Спор с клиентом по договору № 17", "A dispute about contract 17")},
        headers=ours,
    )
    ask.get("/api/calls.xlsx?from=2026-11-01&to=2026-11-24")
    stage.page.goto("/audit")
    expect(stage.page.locator("tr.entry").nth(6)).to_be_visible()
    return stage.top(560)


def _report(stage: Stage, query: str = "?from=2026-11-24&to=2026-11-24") -> None:
    """The page of statistics, its charts drawn."""
    stage.page.goto(f"/stats{query}")
    expect(stage.page.locator("section.block[aria-busy=false]").nth(6)).to_be_attached()
    expect(stage.page.locator("section.block[aria-busy=true]")).to_have_count(0)
    drawn(stage.page)


def _statistics(stage: Stage) -> Shot:
    _report(stage, "?from=2026-11-24&to=2026-11-24&time_from=08:00&time_to=20:00")
    return None


def _hourly(stage: Stage) -> Shot:
    _report(stage)
    block = stage.page.locator("section.block").filter(has=stage.page.locator(".kinds"))
    block.locator(".kinds button").nth(1).click()
    block.locator(".series button").nth(2).click()
    stage.page.mouse.move(2, 2)
    return block


def _incoming(stage: Stage) -> Shot:
    _report(stage, "?from=2026-11-01&to=2026-11-24")
    return stage.page.locator("main .three").nth(0)


def _outgoing(stage: Stage) -> Shot:
    _report(stage, "?from=2026-11-01&to=2026-11-24")
    return stage.page.locator("main .three").nth(1)


def _heat(stage: Stage) -> Shot:
    _report(stage, "?from=2026-11-01&to=2026-11-24")
    heat, call_backs = (stage.page.locator("section.block").nth(place) for place in (-2, -1))
    call_backs.scroll_into_view_if_needed()
    return _from_to(stage.page, heat, call_backs)


def _block_export(stage: Stage) -> Shot:
    _report(stage, "?from=2026-11-01&to=2026-11-24")
    blocks = stage.page.locator("main .three").nth(0).locator("section.block")
    menu = stage.page.get_by_role("button", name=stage.said("Экспорт: ", "Export: ")).and_(blocks.nth(1).locator("button")).first
    menu.scroll_into_view_if_needed()
    menu.click()
    stage.page.mouse.move(2, 2)
    box = blocks.nth(1).bounding_box()
    assert box is not None
    return {"x": box["x"] - 8, "y": box["y"] - 8, "width": box["width"] + 16, "height": 300}


# In the order they are taken: what goes on would stand at the top of the calls' table in any later
# one.
AT_A_DESK: Final[dict[str, Callable[[Stage], Shot]]] = {
    "calls": _calls,
    "period": _period,
    "filters": _filters,
    "panel": _panel,
    "path": _path,
    "player": _player,
    "reasons": _reasons,
    "nothing": _nothing,
    "pager": _pager,
    "users": _users,
    "exports": _exports,
    "hold": _hold,
    "password": _password,
    "statistics": _statistics,
    "hourly": _hourly,
    "incoming": _incoming,
    "outgoing": _outgoing,
    "heat": _heat,
    "block-export": _block_export,
    "audit": _audit,
    "now": _now,
}
FOR_THE_README: Final[dict[str, Callable[[Stage], Shot]]] = {"portal-calls": _read_me}
ON_A_PHONE: Final[dict[str, Callable[[Stage], Shot]]] = {"phone": _phone}


def help_wanted(page: Page) -> Shot:
    """«Нужна помощь» at the login page, filled in."""
    page.goto("/")
    page.locator("p.help button").click()
    dialog = page.get_by_role("dialog")
    fields = dialog.locator("input.field")
    fields.nth(0).fill("Петров П.П.")
    fields.nth(1).fill("8-913-123-45-67")
    dialog.locator("textarea").fill("Не могу войти: забыл пароль.")
    page.evaluate("() => document.activeElement.blur()")
    return dialog


def fill_in(page: Page, password: str) -> None:
    """The login form, filled in by the administrator."""
    page.goto("/")
    page.locator("input[name=domain]").fill("acme")
    page.locator("input[name=login]").fill("900")
    page.locator("input[name=password]").fill(password)


def enter(page: Page) -> None:
    """Log in as the administrator."""
    page.goto("/")
    if page.context.cookies():
        return
    fill_in(page, PASSWORD)
    page.locator("form button.primary").click()
    expect(page.locator("header nav")).to_be_visible()


def at_the_door(page: Page, *, refused: bool) -> Shot:
    """The login page, filled in; or after a wrong password."""
    fill_in(page, "wrong" if refused else PASSWORD)
    if refused:
        page.locator("form button.primary").click()
        expect(page.locator(".failure")).to_be_visible()
    page.evaluate("() => document.activeElement.blur()")
    return page.locator("main")
