"""What the tests and the pictures do in a browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]

SLOWEST_MS = 60_000  # a machine may stand still; what is there is not waited for

# A page is there, and nothing on it is still to come. Not "networkidle": with a shared worker that
# is never reported.
NOTHING_AWAITED = """() => document.querySelector('main > *') && !document.querySelector('[aria-busy="true"], .skeleton')"""

COLUMNS = ("employee", "direction", "result", "src", "dst", "answered", "date", "time", "duration", "rec")


def log_in(page: Page, login: str, password: str, domain: str = "acme") -> None:
    """Through the form, until the table of calls is there."""
    page.goto("/")
    page.get_by_label("Домен").first.fill(domain)
    page.get_by_label("Пользователь (логин)").fill(login)
    page.get_by_label("Пароль", exact=True).fill(password)
    page.get_by_role("button", name="Войти").click()
    expect(page.get_by_role("navigation", name="Основное меню")).to_be_visible()


def rows(page: Page) -> Locator:
    """The calls shown."""
    return page.locator("tr.call")


def settled(page: Page) -> None:
    """Wait until the table shows the answer to what was last asked."""
    expect(page.locator("table[aria-busy]").first).to_have_attribute("aria-busy", "false")


def whole_list(page: Page) -> None:
    """Wait until there are calls in the table, and all rows of it are put up."""
    expect(rows(page).first).to_be_visible()
    settled(page)


def all_looked(page: Page) -> None:
    """Wait until the news heard so far has led to a look at the list, at most one in 1.2 s.

    CallList.svelte.ts.

    The page's own timers keep their order however slow the machine is.
    """
    page.evaluate("() => new Promise(done => setTimeout(done, 1300))")
    settled(page)


@contextmanager
def answered(page: Page) -> Iterator[None]:
    """Do in the block what changes the selection; after it the table shows the answer.

    The address changes before the table is busy, so only the request itself tells that the new
    selection was asked for.
    """
    with page.expect_response(re.compile(r"/api/calls(\?|$)")):
        yield
    settled(page)


def column(page: Page, name: str) -> list[str]:
    """The texts of one column, from the top; of the first cell without its button."""
    return [text.strip() for text in page.locator(f"tr.call td.{name}").all_inner_texts()]


def playing_at(page: Page) -> float:
    """Where the audio element is, in seconds."""
    return float(page.locator("audio").evaluate("audio => audio.currentTime"))
