"""The office of the guides' pictures: a Tuesday evening in Krasnoyarsk after half a year of calls.

The clock stands still for the server and the browser alike, so that a picture changes only when the
portal does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import time_machine

from fonoteka.core.call_report import CallReport
from fonoteka.core.config import ApiSection, Configuration, MailSection
from store.database.store import Store
from tests.data.half_year import fill
from tests.data.office import Office, office
from tests.data.seed import section
from tests.portal.going_on import BY_RULE, NOT_ASKED, ON_PAUSE, going_on
from tests.portal.served import Served, serving_what

MOMENT: Final = datetime(2026, 11, 24, 10, 47, 20, tzinfo=UTC)
_CALLS: Final = 6000
_LONGEST_NAME: Final = 18  # the generated office has worse ones, for the tests of the table


def _small_office() -> Office:
    whole = office(people=17, numbers=7)
    return replace(whole, people=tuple(one for one in whole.people if len(one.name) <= _LONGEST_NAME))


async def _filled(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    store = await Store.open(section(folder), sweep=True)
    try:
        await fill(store, _CALLS, of=_small_office(), until=MOMENT)
    finally:
        await store.close()


@contextmanager
def open_office(folder: Path) -> Iterator[Served]:
    """Serve the portal on that office while the block runs.

    All of this process is at MOMENT meanwhile.
    """
    with time_machine.travel(MOMENT, tick=False), serving_what(lambda: _filled(folder), _configuration(folder), MOMENT) as served:
        yield served


def _configuration(folder: Path) -> Configuration:
    """With a mail server named, to which nothing is sent here.

    So the portal offers to write to support.
    """
    mail = MailSection(smtp="127.0.0.1:587", from_address="fonoteka@acme.example", support=("helpdesk@acme.example",))
    support = ApiSection(support_phone="8-800-77-55-117", support_email="helpdesk@acme.example")
    return Configuration(store=section(folder), api=support, mail=mail)


def live_calls() -> tuple[CallReport, ...]:
    """Four calls that go on at MOMENT.

    Recorded by the rule, on demand and not yet asked for, paused, ringing.
    """
    return (
        going_on(90_000, BY_RULE, talked_s=247),
        going_on(90_001, NOT_ASKED, src="89029117405", talked_s=64),
        going_on(90_002, replace(ON_PAUSE, user="421"), src="84957770011", talked_s=131),
        going_on(90_003, src="83912667788", talked_s=6),
    )
