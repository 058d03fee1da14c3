"""The calls of an outside party: found by every way to write its number, and erased."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from fonoteka.core.call_report import CallReport, Direction
from fonoteka.core.naming import call_id
from store.audit.chain import broken_links
from store.audit.write import Actor
from store.database.schema import audit, metadata
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx
from store.retention.legal_hold import set_legal_hold
from store.selection.scope import Scope
from store.subjects.calls import find_calls
from store.subjects.erasure import erase_subject
from tests.data import seed
from tests.store.test_counters import counters
from tests.store.test_intake import BEGIN, NOW, take
from tests.support.stored_objects import object_keys

ACME, OTHER = 1, 2
BOSS = Actor(login="900", address="127.0.0.1")
DIGITS = "9131234567"  # in every way to write the number but the local one


def incoming(place: int, /, **fields: Any) -> CallReport:
    return seed.but(seed.a_call(place, BEGIN + timedelta(minutes=place)), **fields)


def outgoing(place: int, dst: str) -> CallReport:
    fields: dict[str, Any] = {"direction": Direction.OUT, "src": "152", "dst": dst, "answered_by": dst, "number": None}
    return incoming(place, **fields)


# The calls of +79131234567 as PBXs report them, and others that must never be touched.
OF_THE_PARTY = {
    "national": incoming(1, src="89131234567"),
    "E.164": incoming(2, src="+79131234567"),
    "without plus": incoming(3, src="79131234567"),
    "outgoing": outgoing(4, "8 913 123-45-67"),
}
OF_OTHERS = {
    "one digit differs": incoming(11, src="89131234568"),
    "withheld": incoming(12, src="anonymous", src_name="Anonymous"),
    "internal": incoming(13, direction=Direction.INTERNAL, src="421", dst="152", number=None),
    "another domain": incoming(14, src="89131234567", domain="other", participants=("900",), employee="900"),
}
LOCAL = incoming(20, src="2667788")
UNKNOWN_PLAN = incoming(21, src="00000123456789012345")

# What is typed, and the calls that it finds.
TYPED: list[tuple[str, list[CallReport]]] = [
    ("89131234567", list(OF_THE_PARTY.values())),
    (" +7 913 123-45-67 ", list(OF_THE_PARTY.values())),
    ("79131234567", list(OF_THE_PARTY.values())),
    ("2667788", [LOCAL]),
    ("+73912667788", [LOCAL]),
    ("00000123456789012345", [UNKNOWN_PLAN]),
    ("+79139999999", []),
]


def ids(calls: list[CallReport]) -> list[str]:
    return [call_id("pbx1", call.linkedid) for call in calls]


@pytest.fixture
async def filled(store: Store, pbx: Pbx) -> Pbx:
    """The calls of the party and of others, with audio where the seed has any."""
    await upsert_calls(store, pbx, [*OF_THE_PARTY.values(), *OF_OTHERS.values(), LOCAL, UNKNOWN_PLAN])
    for call in (*OF_THE_PARTY.values(), *OF_OTHERS.values()):
        if call.domain == "acme":
            await take(store, pbx, call)
    return pbx


async def test_every_way_to_write_a_number_finds_its_calls(store: Store, filled: Pbx) -> None:
    for text, expected in TYPED:
        found = await find_calls(store, ACME, text, NOW)
        assert [call.public_id for call in found.calls] == ids(expected), text
    for text in ("", "anonymous", "112", "Ромашка", "913*", "9" * 41):
        for work in (find_calls(store, ACME, text, NOW), erase_subject(store, ACME, text, by=BOSS, now=NOW)):
            with pytest.raises(ValueError, match="outside party"):
                await work


async def test_a_call_that_took_in_a_call_of_the_party_is_found_and_erased_with_it(store: Store, pbx: Pbx) -> None:
    part, whole = incoming(1), incoming(2, src="83952201010")
    await upsert_calls(store, pbx, [part, whole])
    await upsert_calls(store, pbx, [seed.but(part, revision=part.revision + 1, segments=(), merged_into=whole.linkedid)])
    found = await find_calls(store, ACME, "89131234567", NOW)
    assert [call.public_id for call in found.calls] == ids([whole])
    assert (await erase_subject(store, ACME, "89131234567", by=BOSS, now=NOW))[1] == 1
    assert DIGITS not in await everything(store)


async def everything(store: Store) -> str:
    """Return the rows of all tables as text."""
    async with store.reading() as connection:
        return "\n".join([str(row) for table in metadata.sorted_tables for row in await connection.execute(select(table))])


async def entries(store: Store, domain_id: int = ACME) -> list[tuple[str, str, str, dict[str, Any]]]:
    query = select(audit).where(audit.c.domain_id == domain_id, audit.c.action.like("subject%")).order_by(audit.c.seq)
    async with store.reading() as connection:
        return [(row.login, row.action, row.subject, row.detail) for row in await connection.execute(query)]


async def test_the_calls_of_the_party_are_erased_and_nothing_else(store: Store, filled: Pbx) -> None:
    others_before = [await find_calls(store, domain_id, text, NOW) for domain_id, text in OTHERS_FIND]
    number_of_files = len(object_keys(store))
    found, erased = await erase_subject(store, ACME, "8 (913) 123-45-67", by=BOSS, now=NOW)
    assert (found.number, len(found.calls), found.recordings, erased) == ("+79131234567", 4, 4, 4)
    assert (await find_calls(store, ACME, "89131234567", NOW)).calls == ()
    assert [await find_calls(store, domain_id, text, NOW) for domain_id, text in OTHERS_FIND] == others_before
    assert len(object_keys(store)) == number_of_files - 2 * 4  # audio and peaks
    assert await entries(store) == [
        ("900", "subject_erasure", "…67", {"calls": 4}),
        ("900", "subject_erased", "…67", {"calls": 4, "ids": sorted_ids(found.calls)}),
    ]
    assert [link async for link in broken_links(store, ACME)] == []
    assert await entries(store, OTHER) == []
    # In acme nothing is left of the number, and the counters are those of the calls that are left.
    (other,) = (await find_calls(store, OTHER, "89131234567", NOW)).calls
    left = [line for line in (await everything(store)).split("\n") if DIGITS in line and other.public_id not in line]
    assert left == []
    assert await counters(store) == await counters_of_others(store, filled)


OTHERS_FIND = [(ACME, "89131234568"), (ACME, "2667788"), (OTHER, "89131234567")]


def sorted_ids(found: Any) -> list[str]:
    return [call.public_id for call in sorted(found, key=lambda call: call.key)]


async def counters_of_others(store: Store, pbx: Pbx) -> set[tuple[Any, ...]]:
    """Return the counters after all other reports were made again: they change nothing."""
    await upsert_calls(store, pbx, [seed.but(call, revision=call.revision + 1) for call in (*OF_OTHERS.values(), LOCAL)])
    return await counters(store)


async def test_held_calls_and_calls_in_progress_stay_and_are_listed(store: Store, filled: Pbx) -> None:
    held, going_on = OF_THE_PARTY["national"], seed.but(incoming(30, src="89131234567"), ended_at=None, segments=())
    lost = seed.but(going_on, linkedid="lost.1", started_at=NOW - timedelta(days=2), answered_at=None, path=())
    await upsert_calls(store, filled, [going_on, lost])
    scope, (held_id, live_id, lost_id) = Scope(domain_id=ACME, login=None), ids([held, going_on, lost])
    assert await set_legal_hold(store, scope, held_id, legal_hold=True, why="", by=BOSS, now=NOW)
    found, erased = await erase_subject(store, ACME, "89131234567", by=BOSS, now=NOW)
    assert ([call.public_id for call in found.held], [call.public_id for call in found.in_progress]) == ([held_id], [live_id])
    assert lost_id in {call.public_id for call in found.erasable}, "its end will never come"
    assert erased == 4
    left = await find_calls(store, ACME, "89131234567", NOW)
    assert [(call.public_id, call.recorded) for call in left.calls] == [(held_id, True), (live_id, False)]
    assert (await entries(store))[0][3] == {"calls": 4, "held": [held_id], "in_progress": [live_id]}
    await upsert_calls(store, filled, [seed.but(going_on, revision=going_on.revision + 1, ended_at=NOW)])
    assert await set_legal_hold(store, scope, held_id, legal_hold=False, why="", by=BOSS, now=NOW)
    assert (await erase_subject(store, ACME, "89131234567", by=BOSS, now=NOW))[1] == 2
    assert (await find_calls(store, ACME, "89131234567", NOW)).calls == ()
