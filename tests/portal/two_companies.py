"""Two companies on one installation; the owner of every call is known without the portal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from fonoteka.core.call_report import CallReport, SegmentReport
from fonoteka.core.config import Configuration
from fonoteka.core.naming import call_id
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import ensure_pbx, pbx_of
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data.seed import DIRECTORY, PASSWORD, PBX_TOKEN, a_call, but, section, ship, unanswered
from tests.portal.served import Served, serving_what
from tests.support import http

# The second company has an administrator and a user of the same logins as the first.
_DIRECTORY: Final = (
    DIRECTORY
    + f"""
  [[domain.user]]
  login = "152"
  name = "Тёзка Т.Т."
  extension = "152"
  role = "user"
  password = "{PASSWORD}"
  [[domain.user]]
  login = "951"
  name = "Соседка С.С."
  role = "user"
  record = "in"
  [[domain.number]]
  number = "4951000000"
  label = "Другая линия"
"""
)
_TALK_MS: Final = 3000
# Who took part; each group has calls of its own, told apart by the outside party's number.
_GROUPS: Final = (
    ("acme", ("152",)),
    ("acme", ("421",)),
    ("acme", ("152", "421")),
    ("acme", ("130",)),
    ("acme", ("777",)),
    ("other", ("900",)),
    ("other", ("152",)),
)
_EACH: Final = 4  # three talks and one that nobody took


@dataclass(frozen=True, kw_only=True, slots=True)
class Someone:
    """A person who logs in."""

    domain: str
    login: str
    administrator: bool

    def sees(self, call: CallReport) -> bool:
        """Whether a call is theirs to see.

        In their company, and one they took part in unless they administer it.
        """
        return call.domain == self.domain and (self.administrator or self.login in call.participants)


PEOPLE: Final = (
    Someone(domain="acme", login="152", administrator=False),
    Someone(domain="acme", login="130", administrator=False),
    Someone(domain="other", login="152", administrator=False),
    Someone(domain="acme", login="900", administrator=True),
    Someone(domain="other", login="900", administrator=True),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Companies:
    """The portal of both, and all calls there are."""

    served: Served
    calls: tuple[CallReport, ...]
    tokens: dict[Someone, str]

    def ids_of(self, who: Someone) -> set[str]:
        """The calls that are theirs to see."""
        return {call_id(call.pbx, call.linkedid) for call in self.calls if who.sees(call)}

    def foreign_to(self, who: Someone) -> list[CallReport]:
        """The calls that are not."""
        return [call for call in self.calls if not who.sees(call)]


def _calls(now: datetime) -> tuple[CallReport, ...]:
    made = []
    for place, (domain, people) in enumerate(_GROUPS):
        for one in range(_EACH):
            number = place * 100 + one
            call = a_call(number, now - timedelta(minutes=10 + 3 * number % 170, seconds=place), talk_ms=_TALK_MS)
            segments = tuple(
                SegmentReport(name=f"{domain}-{number}-{who}", user=who, started_at=call.started_at + timedelta(seconds=1 + later))
                for later, who in enumerate(people)
            )
            fields = {
                "domain": domain,
                "src": f"8{place}{7_700_000 + number:07d}99",
                "employee": people[0],
                "participants": people,
                "answered_by": people[-1],
                "segments": segments,
                "number": "2458888" if domain == "acme" else "4951000000",
                "dst": "2458888" if domain == "acme" else "4951000000",
            }
            whole = but(call, **fields)
            made.append(whole if one < _EACH - 1 else unanswered(whole))
    return tuple(made)


async def _filled(folder: Path, calls: tuple[CallReport, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    store = await Store.open(section(folder), sweep=True)
    try:
        await apply(store, parse_directory(_DIRECTORY, source="tests.portal"))
        await ensure_pbx(store, "pbx1", PBX_TOKEN)
        pbx = await pbx_of(store, PBX_TOKEN)
        assert pbx is not None
        taken = await upsert_calls(store, pbx, list(calls))
        assert all(receipt.refused is None for receipt in taken.receipts), taken.receipts
        for call in calls:
            await ship(store, pbx, call, tuple(1000 for _ in call.segments))
    finally:
        await store.close()


@contextmanager
def two_companies(folder: Path) -> Iterator[Companies]:
    """Serve the portal of both while the block runs."""
    now = datetime.now(UTC).replace(microsecond=0)
    calls = _calls(now)
    with serving_what(lambda: _filled(folder, calls), Configuration(store=section(folder)), now) as served:
        made = Companies(served=served, calls=calls, tokens={who: _token(served, who) for who in PEOPLE})
        for who in PEOPLE:
            _listen(made, who)
        yield made


def _listen(companies: Companies, who: Someone) -> None:
    """Leave an entry in the journal of their company."""
    heard = next((call for call in companies.calls if who.sees(call) and call.segments), None)
    if heard is not None:
        address = f"{companies.served.address}/api/calls/{call_id(heard.pbx, heard.linkedid)}/audio"
        http.get(address, headers={"Authorization": f"Bearer {companies.tokens[who]}"}).raise_for_status()


def _token(served: Served, who: Someone) -> str:
    login = {"domain": who.domain, "login": who.login, "password": PASSWORD}
    return str(http.post(f"{served.address}/api/login", json=login).raise_for_status().json()["token"])
