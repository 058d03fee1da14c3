"""What the tests and the pictures do in a browser."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, expect

from api.dependencies.access import COOKIE

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

# Once for each page, not at its reloads: what a browser remembers between visits is itself tried
# here.
_FORGET_ONCE = "sessionStorage.getItem('tried') ?? (localStorage.clear(), sessionStorage.setItem('tried', 'yes'))"

COLUMNS = ("employee", "direction", "result", "src", "dst", "answered", "date", "time", "duration", "rec")


def log_in(page: Page, login: str, password: str, domain: str = "acme") -> None:
    """Through the form, until the table of calls is there."""
    page.goto("/")
    page.get_by_label("Домен").first.fill(domain)
    page.get_by_label("Пользователь (логин)").fill(login)
    page.get_by_label("Пароль", exact=True).fill(password)
    page.get_by_role("button", name="Войти").click()
    expect(page.get_by_role("navigation", name="Основное меню")).to_be_visible()


@contextmanager
def at_a_desk(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """Open the browser of a Russian at a desk."""
    context = browser.new_context(
        base_url=address,
        viewport={"width": 1440, "height": 900},
        locale="ru-RU",
        color_scheme="light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(SLOWEST_MS)
    yield context
    context.close()


@contextmanager
def watched_page(context: BrowserContext, address: str, expected: Sequence[str] = ()) -> Iterator[Page]:
    """Open a page of somebody who was never here.

    At the end of the block: AssertionError for each console error that no pattern of `expected`
    matches, and for each request to another host than `address`.
    """
    wrong: list[str] = []

    def ours(asked: Request) -> None:
        if not re.match(rf"(http|ws)://{re.escape(address.partition('://')[2])}/|data:|blob:", asked.url):
            wrong.append(f"another host was asked: {asked.url}")

    context.clear_cookies()
    one = context.new_page()
    one.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
    one.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    one.on("request", ours)
    one.add_init_script(_FORGET_ONCE)
    yield one
    one.close()
    wrong = [text for text in wrong if not any(re.search(pattern, text) for pattern in expected)]
    assert not wrong, wrong


def log_on(page: Page, token: str, address: str) -> None:
    """Give a page a session, as the login does."""
    page.context.add_cookies([{"name": COOKIE, "value": token, "url": address}])
    page.add_init_script("localStorage.getItem('fonoteka.session') ?? localStorage.setItem('fonoteka.session', 'open')")


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
