"""`called_back_at` of missed calls, in any order of reports and after any change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select

from fonoteka.core.call_report import CallReport, Direction, Result
from store.database.schema import calls
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.people.accounts import Pbx, ensure_pbx, pbx_of
from store.provisioning.apply import apply
from store.provisioning.directory_file import parse_directory
from tests.data import seed
from tests.store.test_intake import take

BEGIN = datetime(2026, 11, 22, 5, tzinfo=UTC)


def at(minute: float) -> datetime:
    return BEGIN + timedelta(minutes=minute)


def missed(number: int, minute: float, src: str = "89131234567", **more: Any) -> CallReport:
    return seed.but(seed.unanswered(seed.a_call(number, at(minute))), src=src, **more)


def out(number: int, minute: float, dst: str = "89131234567", **more: Any) -> CallReport:
    """An outgoing call, answered at a minute after half a minute of ringing."""
    call = seed.a_call(number, at(minute) - timedelta(seconds=30), ring_ms=30_000)
    return seed.but(call, **({"direction": Direction.OUT, "src": "152", "dst": dst, "number": None} | more))


def newer(call: CallReport, **fields: Any) -> CallReport:
    return replace(call, revision=call.revision + 1, **fields)


async def backs(store: Store, *wanted: CallReport) -> list[float | None]:
    """The minute at which each call was called back."""
    async with store.reading() as connection:
        rows = await connection.execute(select(calls.c.linkedid, calls.c.called_back_at))
        by_linkedid = {row.linkedid: row.called_back_at for row in rows}
    times = [by_linkedid[call.linkedid] for call in wanted]
    return [None if time is None else (time - BEGIN) / timedelta(minutes=1) for time in times]


async def reported(store: Store, pbx: Pbx, *reports: CallReport) -> None:
    taken = await upsert_calls(store, pbx, reports)
    assert not any(receipt.refused for receipt in taken.receipts)


MATCHING = [
    ("89131234567", "+7 (913) 123-45-67", True),
    ("+79131234567", "9131234567", True),
    ("2667788", "83912667788", True),
    ("2667788", "84952667788", False),
    ("anonymous", "anonymous", False),
    ("", "", False),
    ("«Ромашка»", "«Ромашка»", False),
    ("77777", "77777", True),
    ("7777", "7777", False),
    ("00000000000000000001", "00000000000000000001", True),
    ("00000000000000000001", "00000000000000000002", False),
]


@pytest.mark.parametrize(("src", "dst", "same"), MATCHING)
async def test_which_numbers_are_the_same_party(store: Store, pbx: Pbx, src: str, dst: str, same: bool) -> None:
    call = missed(1, 0, src)
    await reported(store, pbx, call)
    await reported(store, pbx, out(2, 5, dst))
    assert await backs(store, call) == [5 if same else None]


MISSED, ANOTHER, LATE = missed(1, 0), missed(2, 2), missed(3, 20)
FIRST, SECOND = out(4, 10), out(5, 12)


@pytest.mark.parametrize("order", [*permutations((MISSED, FIRST, SECOND))])
async def test_any_order_of_reports(store: Store, pbx: Pbx, order: tuple[CallReport, ...]) -> None:
    for call in (LATE, *order):
        await reported(store, pbx, call)
        await reported(store, pbx, call)
    assert await backs(store, MISSED, LATE, FIRST, SECOND) == [10, None, None, None]


async def test_all_at_once(store: Store, pbx: Pbx) -> None:
    await reported(store, pbx, SECOND, MISSED, LATE, FIRST, ANOTHER)
    assert await backs(store, MISSED, ANOTHER, LATE) == [10, 10, None]


CHANGED: list[tuple[str, list[CallReport], list[float | None]]] = [
    ("not answered after all", [newer(FIRST, result=Result.NO_ANSWER, answered_at=None)], [12, 12, None]),
    ("answered later", [newer(FIRST, answered_at=at(11))], [11, 11, None]),
    ("answered while the first rang", [newer(FIRST, answered_at=at(1))], [1, 12, None]),
    ("went elsewhere", [newer(FIRST, dst="84951112233")], [12, 12, None]),
    ("became a part of the second", [newer(FIRST, merged_into=SECOND.linkedid, segments=())], [12, 12, None]),
    ("was inside", [newer(FIRST, direction=Direction.INTERNAL), newer(SECOND, direction=Direction.INTERNAL)], [None, None, None]),
    ("was taken", [newer(MISSED, result=Result.ANSWERED)], [None, 10, None]),
    ("was no call from outside", [newer(MISSED, direction=Direction.INTERNAL)], [None, 10, None]),
    ("was of somebody else", [newer(MISSED, src="84951112233")], [None, 10, None]),
    ("was later", [newer(MISSED, started_at=at(11))], [12, 10, None]),
    ("was merged", [newer(MISSED, merged_into=ANOTHER.linkedid, segments=())], [None, 10, None]),
    ("a third came", [out(6, 30)], [10, 10, 30]),
    ("a third came before", [out(6, 1)], [1, 10, None]),
]


@pytest.mark.parametrize(("reports", "expected"), [case[1:] for case in CHANGED], ids=[case[0] for case in CHANGED])
async def test_later_changes(store: Store, pbx: Pbx, reports: list[CallReport], expected: list[float | None]) -> None:
    await reported(store, pbx, MISSED, ANOTHER, LATE, FIRST, SECOND)
    await reported(store, pbx, *reports)
    assert await backs(store, MISSED, ANOTHER, LATE) == expected


async def test_the_missed_calls_are_among_the_changes(store: Store, pbx: Pbx) -> None:
    await reported(store, pbx, MISSED, ANOTHER, LATE)
    taken = await upsert_calls(store, pbx, [FIRST])
    assert [change.direction for change in taken.changes] == [Direction.OUT, Direction.IN, Direction.IN]
    assert len({change.call_id for change in taken.changes}) == 3
    assert all(change.was_ended and not change.is_new for change in taken.changes[1:])
    assert len((await upsert_calls(store, pbx, [newer(SECOND)])).changes) == 1


async def test_a_recording_that_comes_before_its_call(store: Store, pbx: Pbx) -> None:
    await reported(store, pbx, MISSED)
    taken = await take(store, pbx, FIRST)
    assert taken.change is not None and taken.change.direction is Direction.OUT
    assert [change.direction for change in taken.others] == [Direction.IN]
    assert await backs(store, MISSED) == [10]


async def test_another_pbx_of_the_company_calls_back(store: Store, pbx: Pbx) -> None:
    await ensure_pbx(store, "pbx2", "token")
    second = await pbx_of(store, "token")
    assert second is not None
    await reported(store, pbx, MISSED)
    await reported(store, second, seed.but(FIRST, pbx="pbx2"))
    assert await backs(store, MISSED) == [10]


async def test_other_area_codes_make_other_numbers(store: Store, pbx: Pbx) -> None:
    """«2667788» is a local number: with another area code it is another party."""
    called, back = missed(1, 0, "2667788"), out(2, 5, "83912667788")
    await reported(store, pbx, called, back)
    assert await backs(store, called) == [5]
    for code, expected in (("495", None), ("391", 5)):
        await apply(store, parse_directory(seed.DIRECTORY.replace('"391"', f'"{code}"'), source="test"))
        assert await backs(store, called) == [expected]
