"""A name that is given again: the new company, and the new user, get nothing of the old one.

The table `ASKS`: each query of the portal with the number of things that it gives. The old accounts
get something of everything, so that the test can fail; the accounts of the same name afterwards get
nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from fonoteka.cli.apply import applied
from fonoteka.core.call_report import CallReport, Direction, LiveReport
from fonoteka.core.config import Configuration, StoreSection
from fonoteka.core.errors import ConfigurationError, IntakeRefused
from fonoteka.core.naming import call_id
from store.audit.read import page_of_audit
from store.audit.write import Actor
from store.database.schema import calls
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Account, Pbx, account_of, log_in, set_password
from store.people.origins import known_origin
from store.people.sessions import sessions_of
from store.provisioning.apply import apply, remove_user
from store.provisioning.directory_file import parse_directory
from store.queries.audio import audio_of, audio_of_calls
from store.queries.calls import call_of, is_merged, live_calls, page_of_calls, path_of, public_id_of
from store.queries.export_reader import all_calls
from store.retention.legal_hold import set_legal_hold
from store.selection.period import Period
from store.selection.selection import Selection, Sort
from store.statistics.reports import by_hour, by_length, by_party, call_backs
from tests.data import seed

NOW = datetime.now(UTC)
EVER = Selection(period=Period(start=NOW - timedelta(days=400), end=NOW + timedelta(days=400)), zone=ZoneInfo("Asia/Krasnoyarsk"))
NEWLY = "the first of the new one"
DEVICE = "device of the old one"

ENDED = seed.a_call(1, NOW - timedelta(days=2))
MERGED = seed.but(seed.a_call(2, NOW - timedelta(days=2)), merged_into=ENDED.linkedid, segments=())
GOES_ON = seed.but(
    seed.a_call(3, NOW - timedelta(minutes=1)), ended_at=None, live=LiveReport(parties=(), talking_since=NOW, sides=())
)
OUTGOING = seed.but(seed.a_call(4, NOW - timedelta(days=3)), direction=Direction.OUT, segments=())
MISSED = seed.unanswered(seed.a_call(5, NOW - timedelta(days=1)))
OLD_CALLS = (ENDED, MERGED, GOES_ON, OUTGOING, MISSED)

Ask = Callable[[Store, Account], Awaitable[int]]


def listed(**conditions: Any) -> Ask:
    async def ask(store: Store, account: Account) -> int:
        selection = replace(EVER, **conditions)
        page = await page_of_calls(store, account.scope, selection, sort=Sort.STARTED_UP, after=None, limit=500, now=NOW)
        return len(page.items) + page.total

    return ask


async def exported(store: Store, account: Account) -> int:
    return sum([len(batch) async for batch in all_calls(store, account.scope, EVER, sort=Sort.STARTED_UP, now=NOW)])


async def heard_together(store: Store, account: Account) -> int:
    return len(await audio_of_calls(store, account.scope, range(1, 100)))


async def in_progress(store: Store, account: Account) -> int:
    return len(await live_calls(store, account.scope, NOW))


async def hourly(store: Store, account: Account) -> int:
    return len(await by_hour(store, account.scope, EVER, NOW))


async def parties(store: Store, account: Account) -> int:
    reports = [await by_party(store, account.scope, EVER, direction, NOW) for direction in Direction]
    return sum(len(report.by_number) + len(report.by_user) for report in reports)


async def lengths(store: Store, account: Account) -> int:
    bands, longer = await by_length(store, account.scope, EVER, 1, NOW)
    return sum(band.calls for band in bands) + (longer or 0)


async def missed(store: Store, account: Account) -> int:
    return (await call_backs(store, account.scope, EVER, NOW)).missed


async def held(store: Store, account: Account) -> int:
    by, public_id = Actor(login=account.login, address=""), call_id("pbx1", ENDED.linkedid)
    return int(await set_legal_hold(store, account.scope, public_id, legal_hold=True, why="", by=by, now=NOW) is not None)


async def other_sessions(store: Store, account: Account) -> int:
    listed = await sessions_of(store, account.scope, account.login, NOW, token="")
    return len(listed or ()) - 1  # the account's own


async def known_device(store: Store, account: Account) -> int:
    return int(await known_origin(store, account.domain, account.login, [DEVICE], NOW) is not None)


def of_each_call(query: Callable[[Store, Any, str], Awaitable[object]]) -> Ask:
    async def ask(store: Store, account: Account) -> int:
        return sum([bool(await query(store, account.scope, call_id(call.pbx, call.linkedid))) for call in OLD_CALLS])

    return ask


async def by_key(store: Store, account: Account) -> int:
    return sum([await public_id_of(store, account.scope, key) is not None for key in range(1, 100)])


ASKS: dict[str, Ask] = {
    "list": listed(),
    "list of a user": listed(users=("152",)),
    "list by name": listed(employee="152"),
    "list by number": listed(numbers=("2458152",)),
    "export": exported,
    "call": of_each_call(lambda store, scope, id: call_of(store, scope, id, NOW)),
    "call by key": by_key,
    "merged call": of_each_call(is_merged),
    "path": of_each_call(path_of),
    "audio": of_each_call(audio_of),
    "archive": heard_together,
    "calls in progress": in_progress,
    "statistics by hour": hourly,
    "statistics by number and user": parties,
    "statistics by length": lengths,
    "statistics of missed calls": missed,
    "legal hold": held,
    "sessions": other_sessions,
    "known device": known_device,
}


async def gets(store: Store, account: Account, *, but: frozenset[str]) -> dict[str, int]:
    return {name: await ask(store, account) for name, ask in ASKS.items() if name not in but}


async def entered(store: Store, login: str, password: str) -> tuple[str, Account]:
    return await log_in(store, "acme", login, password, NOW, origins=[DEVICE]) or pytest.fail("cannot log in")


async def filled(store: Store, pbx: Pbx, login: str) -> tuple[str, Account]:
    """Store the old calls; return the second of two sessions of an old account."""
    receipts = (await upsert_calls(store, pbx, OLD_CALLS)).receipts
    assert [receipt.refused for receipt in receipts] == [None] * len(OLD_CALLS)
    await seed.ship(store, pbx, ENDED, (5000,))
    await entered(store, login, seed.PASSWORD)
    return await entered(store, login, seed.PASSWORD)


def newly(text: str) -> str:
    return text.replace(f'password = "{seed.PASSWORD}"', f'password = "{NEWLY}"')


WITHOUT_152 = seed.DIRECTORY.replace('login = "152"', 'login = "153"').replace('"PJSIP/acme-152"', '"PJSIP/acme-153"')
NEW_152 = newly(seed.DIRECTORY).replace("Петров П.П.", "Новиков Н.Н.", 1)
NOT_OF_A_USER = frozenset({"legal hold"})  # administrators only


@pytest.mark.parametrize("login", ["900", "152"])
async def test_a_new_company_under_an_old_name_gets_nothing_of_the_old(store: Store, pbx: Pbx, login: str) -> None:
    but = frozenset() if login == "900" else NOT_OF_A_USER
    token, old = await filled(store, pbx, login)
    assert {name for name, count in (await gets(store, old, but=but)).items() if count == 0} == set()
    async with store.writing() as connection:
        await connection.execute(update(calls).values(legal_hold=False))  # else the domain cannot be removed
    await apply(store, parse_directory("", source=""), prune=True)
    await apply(store, parse_directory(newly(seed.DIRECTORY), source=""))
    assert await account_of(store, token, NOW) is None
    assert await log_in(store, "acme", login, seed.PASSWORD, NOW) is None
    _, new = (await log_in(store, "acme", login, NEWLY, NOW)) or pytest.fail("cannot log in")
    assert {name: count for name, count in (await gets(store, new, but=but)).items() if count} == {}
    journal = await page_of_audit(store, new.domain_id, EVER.period, actions=(), login=None, after=None, limit=500)
    assert {entry.action for entry in journal.items} == {"domain_added", "user_added", "number_added", "logged_in"}


async def test_a_new_user_under_an_old_login_gets_nothing_of_the_old(store: Store, pbx: Pbx) -> None:
    token, old = await filled(store, pbx, "152")
    assert {name for name, count in (await gets(store, old, but=NOT_OF_A_USER)).items() if count == 0} == set()
    await apply(store, parse_directory(WITHOUT_152, source=""), prune=True)
    await apply(store, parse_directory(NEW_152, source=""), prune=True)
    assert await account_of(store, token, NOW) is None
    assert await log_in(store, "acme", "152", seed.PASSWORD, NOW) is None
    _, new = (await log_in(store, "acme", "152", NEWLY, NOW)) or pytest.fail("cannot log in")
    assert (new.name, new.domain_id) == ("Новиков Н.Н.", old.domain_id)
    assert {name: count for name, count in (await gets(store, new, but=NOT_OF_A_USER)).items() if count} == {}


async def test_a_login_is_given_to_another_person(store: Store, pbx: Pbx, section: StoreSection, tmp_path: Path) -> None:
    """A changed name alone keeps calls and password, as people marry; `apply` says what to do."""
    token, _ = await filled(store, pbx, "152")
    file = tmp_path / "company.toml"
    file.write_text(NEW_152, encoding="utf-8")
    configuration = Configuration(store=section)
    renamed, hint, count = await applied(configuration, file, prune=False)
    assert (renamed, count) == ("~ user acme/152: name Петров П.П. → Новиков Н.Н.", "1 changes")
    assert "keeps the calls and the password of Петров П.П." in hint and "`fonoteka user remove acme 152`" in hint
    assert await account_of(store, token, NOW) is not None
    await remove_user(store, "acme", "152")
    assert await account_of(store, token, NOW) is None
    with pytest.raises(ConfigurationError, match="no user '152' in domain 'acme'"):
        await remove_user(store, "acme", "152")
    assert await applied(configuration, file, prune=False) == ["+ user acme/152", "1 changes"]
    assert await log_in(store, "acme", "152", seed.PASSWORD, NOW) is None
    _, new = (await log_in(store, "acme", "152", NEWLY, NOW)) or pytest.fail("cannot log in")
    assert {name: count for name, count in (await gets(store, new, but=NOT_OF_A_USER)).items() if count} == {}


async def test_a_file_without_passwords_does_not_bring_the_old_password_back(store: Store, pbx: Pbx) -> None:
    await apply(store, parse_directory("", source=""), prune=True)
    await apply(store, parse_directory(seed.DIRECTORY.replace(f'password = "{seed.PASSWORD}"', ""), source=""))
    for login in ("900", "152"):
        assert await log_in(store, "acme", login, seed.PASSWORD, NOW) is None
    await set_password(store, "acme", "900", NEWLY)
    assert await log_in(store, "acme", "900", NEWLY, NOW) is not None


async def numbers_seen(store: Store, account: Account) -> list[str]:
    page = await page_of_calls(store, account.scope, EVER, sort=Sort.STARTED_UP, after=None, limit=500, now=NOW)
    return [f"{call.linkedid} {call.employee_name}" for call in page.items]


async def test_each_gets_the_calls_of_the_own_time(store: Store, pbx: Pbx) -> None:
    """A report may come late: a call is of the user who had the login when the call began."""
    await upsert_calls(store, pbx, [ENDED])
    await apply(store, parse_directory(WITHOUT_152, source=""), prune=True)
    await apply(store, parse_directory(NEW_152, source=""), prune=True)
    _, new = (await log_in(store, "acme", "152", NEWLY, NOW)) or pytest.fail("cannot log in")
    _, boss = (await log_in(store, "acme", "900", seed.PASSWORD, NOW)) or pytest.fail("cannot log in")
    later = seed.a_call(7, datetime.now(UTC))
    await upsert_calls(store, pbx, [later, MISSED, seed.but(ENDED, revision=ENDED.revision + 1)])
    assert await numbers_seen(store, new) == [f"{later.linkedid} Новиков Н.Н."]
    assert await numbers_seen(store, boss) == [
        f"{ENDED.linkedid} Петров П.П.",
        f"{MISSED.linkedid} Петров П.П.",
        f"{later.linkedid} Новиков Н.Н.",
    ]


async def test_a_late_report_goes_to_the_company_of_its_time(store: Store, pbx: Pbx) -> None:
    """Between removal and the new company there is nobody who could have such a call."""
    await apply(store, parse_directory("", source=""), prune=True)
    between = seed.a_call(8, datetime.now(UTC))
    early = seed.but(ENDED, revision=ENDED.revision + 1)
    assert await refusals(store, pbx, early, between) == [None, "domain 'acme' was removed before the call began"]
    await apply(store, parse_directory(newly(seed.DIRECTORY), source=""))
    later = seed.a_call(9, datetime.now(UTC))
    assert await refusals(store, pbx, OUTGOING, later, between) == [
        None,
        None,
        "domain 'acme' was removed before the call began",
    ]
    with pytest.raises(IntakeRefused, match="was removed before the call began"):
        await seed.ship(store, pbx, between, (5000,))
    _, boss = (await log_in(store, "acme", "900", NEWLY, NOW)) or pytest.fail("cannot log in")
    assert await numbers_seen(store, boss) == [f"{later.linkedid} Петров П.П."]


async def refusals(store: Store, pbx: Pbx, *reports: CallReport) -> list[str | None]:
    receipts = (await upsert_calls(store, pbx, reports)).receipts
    assert not any(receipt.retry for receipt in receipts)
    return [receipt.refused for receipt in receipts]
