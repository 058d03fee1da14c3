"""A company of 200 people with two million calls.

Few of the calls are in the index; the counters behind its figures are those of all.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import update

from fonoteka.core.call_report import CallReport
from store.database.counter_tables import COLUMNS, group_counters, hour_counters
from store.database.schema import calls
from store.database.store import Store
from tests.data import half_year
from tests.data.office import Office, office
from tests.data.seed import section
from tests.portal.going_on import BY_RULE, IS_OFF, NOT_ASKED, ON_PAUSE, going_on
from tests.portal.served import Served, noon_zone, serving

PEOPLE, NUMBERS, CALLS = 200, 60, 2_000_000
_IN_INDEX: Final = 400
# Names of 24 letters: of three words, of two, and of one that can be broken at its hyphen only.
_NAMES: Final = (
    "Мещеряков Вячеслав Юрьевич",
    "Широкоступова Жанна Эмильд",
    "Христорождественский-Южин",
    "Щербатюк-Шмыгановская И.О.",
)
_EVERY: Final = 3
_WAITED: Final = {"trunk": "rostelecom-krasnoyarsk-12", "queue": "73912458888", "wait_ms": 3_725_000}  # of every call


def company(zone: str) -> Office:
    """Make the company; every third name has 24 letters, and its lines eleven digits."""
    of = office(people=PEOPLE, numbers=NUMBERS, zone=zone)
    people = [
        replace(user, name=_NAMES[place // _EVERY % len(_NAMES)]) if place % _EVERY == 0 and place > 0 else user
        for place, user in enumerate(of.people)
    ]
    lines = [(f"7391{number}", label) for number, label in of.numbers]
    return replace(of, people=tuple(people), numbers=(*of.numbers[:2], *lines[2:]))


def going_on_there() -> Sequence[CallReport]:
    """Make the calls in progress; those who talk have names of 24 letters."""
    mine, other = replace(BY_RULE, user="202"), replace(IS_OFF, user="205")
    return (
        going_on(70_000, mine, talked_s=36_725),
        going_on(70_001, replace(ON_PAUSE, user="208"), src="+79131234567", talked_s=187),
        going_on(70_002, NOT_ASKED, src="8810491234567", talked_s=64),
        going_on(70_003, other, mine, talked_s=41),
        going_on(70_004, src="84951234567", talked_s=6),
    )


async def _filled(folder: Path, now: datetime, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    store = await Store.open(section(folder), sweep=True)
    try:
        await half_year.fill(store, _IN_INDEX, of=company(noon_zone(now)), until=now)
        async with store.writing() as connection:
            for table in (hour_counters, group_counters):
                more = {name: table.c[name] * (count // _IN_INDEX) for name in COLUMNS}
                await connection.execute(update(table).values(more))
            await connection.execute(update(calls).values(_WAITED))
    finally:
        await store.close()


@contextmanager
def millions(folder: Path) -> Iterator[Served]:
    """Serve the portal of the company while the block runs."""
    with serving(folder / "store", count=CALLS, filled=_filled) as served:
        served.report(*going_on_there())
        yield served
