"""The calls of `tests.data.half_year`: every kind, reproducible, and with audio."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from fonoteka.core.call_report import Direction, Reason, RecordingState, Result
from fonoteka.core.naming import peaks_key
from store.database import schema
from store.database.store import Store
from store.queries.audio import audio_of
from store.queries.calls import page_of_calls
from store.selection.period import period
from store.selection.scope import Scope
from store.selection.selection import Kind, Selection, Sort
from tests.data.half_year import fill
from tests.data.office import office
from tests.data.office_calls import DAYS, calls_of

_UNTIL = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)  # a Wednesday, 16:30 in Krasnoyarsk


def test_the_same_each_time_and_all_over_by_then() -> None:
    calls = calls_of(office(), 3000, until=_UNTIL)
    assert calls == calls_of(office(), 3000, until=_UNTIL)
    assert len({call.linkedid for call in calls}) == 3000
    assert all(call.ended_at is not None and call.ended_at <= _UNTIL for call in calls)
    assert (_UNTIL - calls[0].started_at).days in (DAYS - 1, DAYS)


def test_as_an_office_has_them() -> None:
    began = [call.started_at.astimezone(office().zone) for call in calls_of(office(), 3000, until=_UNTIL)]
    assert sum(8 <= at.hour < 19 for at in began) > 2700
    assert sum(at.weekday() >= 5 for at in began) < 250
    assert sum(at.date() == _UNTIL.date() for at in began) >= 10


@pytest.mark.parametrize(("people", "numbers"), [(4, 2), (300, 200)])
def test_a_company_is_as_large_as_it_is_asked_to_be(people: int, numbers: int) -> None:
    of = office(people=people, numbers=numbers)
    assert len({person.login for person in of.people}) == people
    assert len({number for number, _ in of.numbers}) == numbers


@pytest.mark.one_machine
async def test_there_is_something_of_everything_and_it_can_be_heard(store: Store) -> None:
    await fill(store, 2500, until=_UNTIL)
    columns = schema.calls.c
    async with store.reading() as connection:
        rows = (await connection.execute(select(columns.direction, columns.result, columns.recording_reason))).all()
        states = set((await connection.execute(select(columns.recording_state))).scalars())
        domain_id = (await connection.execute(select(schema.domains.c.id).where(schema.domains.c.name == "acme"))).scalar_one()
    no_such = (Direction.INTERNAL, Result.OTHER)
    assert {(row.direction, row.result) for row in rows} == {
        (direction, result) for direction in Direction for result in Result
    } - {no_such}
    assert {row.recording_reason for row in rows} == {None, *Reason}
    assert states == set(RecordingState) - {RecordingState.RECORDING, RecordingState.PROCESSING}
    scope, zone = Scope(domain_id=domain_id, login=None), office().zone
    within = period(_UNTIL.date() - timedelta(days=DAYS), _UNTIL.date(), zone, _UNTIL)
    pages = {}
    for kind in Kind:
        selection = Selection(period=within, zone=zone, kind=kind)
        pages[kind] = await page_of_calls(store, scope, selection, sort=Sort.STARTED_DOWN, after=None, limit=50, now=_UNTIL)
    assert {kind for kind, page in pages.items() if page.total == 0} <= {Kind.MISSED_CALLED_BACK}
    assert pages[Kind.ALL].total == 2500
    for call in pages[Kind.RECORDED].items:
        parts = await audio_of(store, scope, call.public_id)
        assert sum(part.duration_ms for part in parts) == call.recording.duration_ms
        for part in parts:
            assert (await store.objects.read(part.object_key))[:4] == b"OggS"
            await store.objects.read(peaks_key(part.object_key))
