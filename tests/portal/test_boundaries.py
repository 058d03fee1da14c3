"""A user sees no call of another user, an administrator no call of another company.

Tried as a curious user would: through every page of the menu, and by typing addresses, the portal's
and the API's, that name others' calls. What the portal may show is known from the calls that were
made, not from asking it.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from zipfile import ZipFile

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from websockets.sync.client import ClientConnection, connect

from api.dependencies.access import COOKIE
from fonoteka.core.call_report import CallReport
from fonoteka.core.naming import call_id
from tests.data.seed import but
from tests.portal.browser import SLOWEST_MS, rows, settled
from tests.portal.going_on import NOT_ASKED, going_on
from tests.portal.two_companies import PEOPLE, Companies, Someone, two_companies

_DAYS = "from=2020-01-01&to=2099-12-31"
_EVERYBODY = pytest.mark.parametrize("who", PEOPLE, ids=lambda who: f"{who.login} of {who.domain}")
_USERS = pytest.mark.parametrize(
    "who", [one for one in PEOPLE if not one.administrator], ids=lambda who: f"{who.login} of {who.domain}"
)
_MANY_ROWS = "limit=200"


@pytest.fixture(scope="module")
def companies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Companies]:
    with two_companies(tmp_path_factory.mktemp("companies") / "store") as made:
        yield made


@dataclass(kw_only=True, slots=True)
class Visit:
    """Somebody's browser, and all that the server has told it."""

    who: Someone
    page: Page
    told: list[str] = field(default_factory=list)
    unanswered: int = 0

    def pass_on(self, route: Route) -> None:
        """Let a request of the page through, and keep what it was answered."""
        self.unanswered += 1
        answer = route.fetch()
        self.told.append(f"{route.request.url} {answer.text()}")
        route.fulfill(response=answer)
        self.unanswered -= 1

    def look_at(self, address: str) -> str:
        """Type in an address of the portal; what the page holds once it has all it asks for."""
        self.page.goto(address)
        expect(self.page.locator("main")).to_be_visible()
        # What is loaded lazily is there.
        expect(self.page.locator("main :is(h1, table):visible").first).to_be_visible()
        self._answered()
        expect(self.page.locator("main [aria-busy=true]")).to_have_count(0)
        expect(self.page.locator("main .skeleton")).to_have_count(0)
        return self.page.content()

    def _answered(self) -> None:
        """Wait until nothing that the page asks for is on its way, and nothing more comes.

        What is gone away from is not told.
        """
        quiet = 0
        while quiet < 3:
            self.page.wait_for_timeout(100)
            quiet = 0 if self.unanswered else quiet + 1

    def shown(self) -> set[str]:
        """The calls in the table."""
        return {str(row.get_attribute("data-call")) for row in rows(self.page).all()}


Browsers = dict[Someone, BrowserContext]


@pytest.fixture(scope="module")
def browsers(browser: Browser, companies: Companies) -> Iterator[Browsers]:
    """A browser for each person, logged in; it loads the portal once."""
    made = {}
    for who in PEOPLE:
        context = browser.new_context(base_url=companies.served.address, viewport={"width": 1440, "height": 900}, locale="ru-RU")
        context.set_default_timeout(SLOWEST_MS)
        context.add_cookies([{"name": COOKIE, "value": companies.tokens[who], "url": companies.served.address}])
        context.add_init_script("localStorage.setItem('fonoteka.session', 'open')")
        made[who] = context
    yield made
    for context in made.values():
        context.close()


@contextmanager
def _visiting(browsers: Browsers, who: Someone, address: str | None = "/") -> Iterator[Visit]:
    """Open the portal at an address, as this person; None: an empty page, for the test to fill."""
    page = browsers[who].new_page()
    if address is not None:
        page.goto(address)
        expect(page.get_by_role("navigation", name="Основное меню")).to_be_visible()
    yield Visit(who=who, page=page)
    page.unroute_all(behavior="ignoreErrors")
    page.close()


def _client(companies: Companies, who: Someone) -> httpx.Client:
    headers = {"Authorization": f"Bearer {companies.tokens[who]}"}
    return httpx.Client(base_url=companies.served.address, headers=headers, timeout=60)


def _live(companies: Companies, who: Someone) -> ClientConnection:
    """The socket at `/api/live`, as a program opens it."""
    address = companies.served.address.replace("http", "ws", 1)
    return connect(f"{address}/api/live", additional_headers={"Authorization": f"Bearer {companies.tokens[who]}"})


def _marks(call: CallReport) -> tuple[str, str]:
    """What gives a call away wherever it stands.

    The outside party's number, and the call's name in addresses.
    """
    return call.src, call_id(call.pbx, call.linkedid)


def _all_texts(body: bytes) -> str:
    """The text of an answer; of a ZIP (also an Excel file) the texts and names of its members."""
    if not body.startswith(b"PK"):
        return body.decode(errors="replace")
    with ZipFile(BytesIO(body)) as packed:
        return " ".join([*packed.namelist(), *(packed.read(name).decode(errors="replace") for name in packed.namelist())])


def _assert_nothing_of(calls: list[CallReport], text: str, where: str) -> None:
    for call in calls:
        for mark in _marks(call):
            assert mark not in text, f"{where} tells of {call.participants} of {call.domain}: {mark}"


@_EVERYBODY
def test_the_list_has_ones_own_calls_and_no_other(browsers: Browsers, companies: Companies, who: Someone) -> None:
    with _visiting(browsers, who, f"/?{_DAYS}&{_MANY_ROWS}") as visit:
        settled(visit.page)
        assert visit.shown() == companies.ids_of(who)


@pytest.fixture(scope="module")
def pages(browsers: Browsers) -> list[str]:
    """The addresses in an administrator's menu."""
    with _visiting(browsers, next(one for one in PEOPLE if one.administrator)) as visit:
        found = {str(link.get_attribute("href")) for link in visit.page.locator("header nav a").all()}
    assert {"/", "/now", "/users"} <= found
    return sorted(found)


@_EVERYBODY
def test_no_page_of_the_menu_tells_of_others(browsers: Browsers, companies: Companies, pages: list[str], who: Someone) -> None:
    """Every page of an administrator's menu is typed in, also where the own menu lacks it."""
    foreign = companies.foreign_to(who)
    with _visiting(browsers, who, None) as visit:
        visit.page.route(re.compile(r"/api/(?!calls/[^/]+/audio)"), lambda route: visit.pass_on(route))
        for address in pages:
            joint = "&" if "?" in address else "?"
            _assert_nothing_of(foreign, visit.look_at(f"{address}{joint}{_DAYS}"), address)
        assert any("/api/calls" in one for one in visit.told)
        _assert_nothing_of(foreign, "\n".join(visit.told), "what the server sent")


@_USERS
def test_a_user_has_no_page_of_users_however_it_is_reached(browsers: Browsers, companies: Companies, who: Someone) -> None:
    with _visiting(browsers, who, None) as visit:
        for address in ("/users", "/audit"):
            visit.page.goto(address)
            expect(visit.page.locator("section.calls")).to_be_visible()
            expect(visit.page.get_by_role("link", name="Пользователи")).to_have_count(0)
            expect(visit.page.get_by_role("link", name="Журнал")).to_have_count(0)
            assert visit.page.locator("aside select").count() == 0  # nor the switches of the panel


@_EVERYBODY
def test_anothers_call_cannot_be_opened_by_its_address(browsers: Browsers, companies: Companies, who: Someone) -> None:
    """Of a colleague and of another company; the API is asked for every other call below."""
    foreign = companies.foreign_to(who)
    with _visiting(browsers, who, None) as visit:
        for call in (foreign[0], foreign[-1]):
            visit.page.goto(f"/?call={call_id(call.pbx, call.linkedid)}")
            expect(visit.page.get_by_text("Такого звонка нет или он вам недоступен")).to_be_visible()
            assert call.src not in visit.page.content()
        assert call.src not in visit.look_at(f"/now?call={call_id(call.pbx, call.linkedid)}")


def _narrowed_to(call: CallReport) -> tuple[str, ...]:
    """Filters that another's call fits."""
    return f"src={call.src}", f"user={call.employee}", f"employee_login={call.employee}", f"number={call.number}"


@_EVERYBODY
def test_typed_filters_never_reach_beyond_ones_own(browsers: Browsers, companies: Companies, who: Someone) -> None:
    """A field of the page and a choice of the panel; the API is asked with every filter below."""
    mine, foreign = companies.ids_of(who), companies.foreign_to(who)
    with _visiting(browsers, who, None) as visit:
        for narrowed in _narrowed_to(foreign[0])[:2]:
            visit.page.goto(f"/?{_DAYS}&{_MANY_ROWS}&{narrowed}")
            settled(visit.page)
            assert visit.shown() <= (set() if narrowed.startswith("src") else mine), narrowed


@_EVERYBODY
def test_filters_of_the_api_never_reach_beyond_ones_own(companies: Companies, who: Someone) -> None:
    mine = companies.ids_of(who)
    with _client(companies, who) as client:
        for narrowed in sorted({one for call in companies.foreign_to(who) for one in _narrowed_to(call)}):
            answer = client.get(f"/api/calls?{_DAYS}&{_MANY_ROWS}&{narrowed}").raise_for_status().json()
            assert {call["id"] for call in answer["items"]} <= (set() if narrowed.startswith("src") else mine), narrowed


@_EVERYBODY
def test_every_address_of_the_api_is_mute_about_others(companies: Companies, who: Someone) -> None:
    """Whatever can be read, as the API itself lists it.

    What names another's call is 404, everything else tells nothing of it.

    Of a number only a part is typed, as the journal rightly repeats what somebody asked for.
    """
    foreign = companies.foreign_to(who)
    with _client(companies, who) as client:
        paths = client.get("/api/openapi.json").json()["paths"]
        readable = [path for path, ways in paths.items() if "get" in ways and path.startswith("/api/")]
        assert {"/api/calls", "/api/calls/{id}/audio", "/api/calls/{id}/peaks", "/api/live/calls", "/api/users"} <= set(readable)
        for path in readable:
            if "{id}" in path:
                for call in foreign:
                    answer = client.get(path.replace("{id}", call_id(call.pbx, call.linkedid)))
                    of_administrators = path.endswith("/evidence") and not who.administrator
                    assert answer.status_code == (403 if of_administrators else 404), path
                    assert answer.json()["type"].endswith("administrators-only" if of_administrators else "not-found")
                continue
            if "{number}" in path:
                answer = client.get(path.replace("{number}", foreign[0].src))
                assert answer.status_code == (200 if who.administrator else 403), path
                assert call_id(foreign[0].pbx, foreign[0].linkedid) not in _all_texts(answer.content), path
                continue
            if "{login}" in path:
                answer = client.get(path.replace("{login}", "777" if who.domain == "other" else "951"))
                assert answer.status_code == (404 if who.administrator else 403), path
                continue
            for narrowed in (
                "",
                *(f"&user={call.employee}&number={call.number}" for call in foreign[::5]),
                f"&src={foreign[0].src[:-2]}",
            ):
                answer = client.get(f"{path}?{_DAYS}{narrowed}")
                # The journal has no such filters, and says so.
                understood = (200, 403, 422) if narrowed else (200, 403)
                assert answer.status_code in understood, f"{path}: {answer.status_code} {answer.text[:300]}"
                said = _all_texts(answer.content)
                _assert_nothing_of(foreign, said, path)


@_EVERYBODY
def test_recordings_of_others_are_not_there_by_any_address(browsers: Browsers, companies: Companies, who: Someone) -> None:
    for call in companies.foreign_to(who):
        name = call_id(call.pbx, call.linkedid)
        for tail in ("audio", "audio?format=mp3", "audio?format=wav", "audio?download=1", "peaks"):
            answer = browsers[who].request.get(f"/api/calls/{name}/{tail}")  # with the browser's cookie
            assert answer.status == 404, tail


@_EVERYBODY
def test_figures_count_ones_own_calls_alone(companies: Companies, who: Someone) -> None:
    mine = [call for call in companies.calls if who.sees(call)]
    with _client(companies, who) as client:
        hours = client.get(f"/api/stats/hourly?{_DAYS}").raise_for_status().json()["rows"]
        assert sum(hour["in"] + hour["in_missed"] for hour in hours) == len(mine)
        for call in companies.foreign_to(who)[::5]:
            hours = client.get(f"/api/stats/hourly?{_DAYS}&src={call.src}").raise_for_status().json()["rows"]
            assert sum(hour["in"] + hour["in_missed"] for hour in hours) == 0
        incoming = client.get(f"/api/stats/incoming?{_DAYS}").raise_for_status().json()
        assert incoming["totals"]["in"] == len(mine)


@_EVERYBODY
def test_a_call_that_goes_on_elsewhere_is_neither_shown_nor_stopped(browsers: Browsers, companies: Companies, who: Someone) -> None:
    """Ours arrives over the same line, later.

    So what had been said of the other's would have been heard by then.
    """
    place = PEOPLE.index(who)
    theirs = going_on(80_000 + place, replace(NOT_ASKED, user="777"), src=f"83990000{place}11")
    if who.administrator:
        theirs = but(theirs, domain="other" if who.domain == "acme" else "acme")
    ours = but(going_on(81_000 + place, replace(NOT_ASKED, user=who.login), src=f"83990000{place}22"), domain=who.domain)
    with _visiting(browsers, who, "/now") as visit:
        expect(visit.page.locator("main h1")).to_be_visible()
        with _live(companies, who) as socket:
            companies.served.report(theirs)
            companies.served.report(ours)
            heard = ""
            while ours.src not in heard:
                heard += str(socket.recv(timeout=60))
        _assert_nothing_of([theirs], heard, "the live socket")
        mine = visit.page.locator(f"li[data-call='{call_id(ours.pbx, ours.linkedid)}']")
        expect(mine).to_be_visible()
        _assert_nothing_of([theirs], visit.page.content(), "the page of what goes on")
        status = visit.page.evaluate(
            """async id => (await fetch(`/api/live/${id}/recording`, {
                method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({action: 'start'}),
            })).status""",
            call_id(theirs.pbx, theirs.linkedid),
        )
        assert status == 404


@_EVERYBODY
def test_nobody_changes_what_is_not_theirs(browsers: Browsers, companies: Companies, who: Someone) -> None:
    """The switch of a user of another company (or, for a user, of anybody), from the page."""
    with _visiting(browsers, who) as visit:

        def asked(method: str, address: str, body: dict[str, object]) -> int:
            status = visit.page.evaluate(
                """async ([method, address, body]) => (await fetch(address, {
                    method, headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body),
                })).status""",
                [method, address, body],
            )
            return int(status)

        stranger = "777" if who.domain == "other" else "951"
        assert asked("PATCH", f"/api/users/{stranger}", {"record": "off"}) == (404 if who.administrator else 403)
        if not who.administrator:
            assert asked("PATCH", f"/api/users/{who.login}", {"record": "off"}) == 403
    rules = {
        "acme": {"152": "all", "421": "all", "130": "off", "777": "on_demand", "900": "all"},
        "other": {"900": "all", "152": "all", "951": "in"},
    }
    for administrator in (one for one in PEOPLE if one.administrator):
        with _client(companies, administrator) as client:
            users = client.get("/api/users").raise_for_status().json()
            assert {user["login"]: user["record"] for user in users} == rules[administrator.domain]
            assert "Петров" not in json.dumps(users, ensure_ascii=False) or administrator.domain == "acme"


@_EVERYBODY
def test_nobody_holds_a_call_that_is_not_theirs(companies: Companies, who: Someone) -> None:
    with _client(companies, who) as client:
        for call in companies.foreign_to(who):
            answer = client.put(f"/api/calls/{call_id(call.pbx, call.linkedid)}/hold", json={"hold": True, "note": "x"})
            assert answer.status_code == (404 if who.administrator else 403)
    for administrator in (one for one in PEOPLE if one.administrator):
        with _client(companies, administrator) as client:
            seen = client.get(f"/api/calls?{_DAYS}&limit=500").raise_for_status().json()["items"]
            assert not any(call["recording"]["held"] for call in seen)


@_USERS
def test_of_a_call_with_a_colleague_a_user_gets_their_own_part_alone(companies: Companies, who: Someone) -> None:
    shared = [call for call in companies.calls if who.sees(call) and len(call.segments) > 1]
    with _client(companies, who) as client:
        for call in shared:
            name = call_id(call.pbx, call.linkedid)
            parts = client.get(f"/api/calls/{name}").raise_for_status().json()["recording"]["segments"]
            assert {part["user"] for part in parts} == {who.login}
            assert client.get(f"/api/calls/{name}/peaks").raise_for_status().json()["duration_ms"] == 1000
    assert len(shared) == (3 if (who.domain, who.login) == ("acme", "152") else 0)


def test_the_door_is_shut_to_who_is_not_logged_in(browser: Browser, companies: Companies) -> None:
    context = browser.new_context(base_url=companies.served.address, locale="ru-RU")
    context.set_default_timeout(SLOWEST_MS)
    page = context.new_page()
    for address in ("/", "/now", "/users", f"/?call={call_id(companies.calls[0].pbx, companies.calls[0].linkedid)}"):
        page.goto(address)
        expect(page.get_by_role("button", name="Войти")).to_be_visible()
        assert not re.search(r"ООО «Акме»|Петров", page.content())
    name = call_id(companies.calls[0].pbx, companies.calls[0].linkedid)
    for address in (
        "/api/calls",
        f"/api/calls/{name}",
        f"/api/calls/{name}/audio",
        "/api/users",
        "/api/stats/hourly",
        "/api/live/calls",
    ):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 401, address
    context.close()
