"""The calls of the index's benchmark: as many as asked for, in order, the same each time."""

from datetime import UTC, datetime
from itertools import islice

from bench.office_history import COMPANIES, directory, history
from fonoteka.core.call_report import Direction, Result
from store.provisioning.directory_file import parse_directory

UNTIL = datetime(2026, 11, 25, tzinfo=UTC)


def test_the_biggest_company_has_a_fifth() -> None:
    of = history(50_000, UNTIL)
    assert [of.companies[0].calls, len(of.companies)] == [10_000, COMPANIES]
    assert 49_000 < sum(company.calls for company in of.companies) <= 50_000
    assert [company.calls for company in history(50_000, UNTIL, one_company=True).companies] == [50_000]
    assert len(parse_directory(directory(of), source="test").domains) == COMPANIES


def test_a_company_calls_by_day_and_calls_back() -> None:
    calls = list(history(3000, UNTIL, one_company=True).calls())
    assert calls == list(history(3000, UNTIL, one_company=True).calls())
    assert len({call.linkedid for call in calls}) == len(calls) == 3000
    starts = [call.started_at for call in calls]
    assert starts == sorted(starts) and (UNTIL - starts[0]).days <= 180 and starts[-1] <= UNTIL
    by_day = sum(2 <= start.hour < 11 for start in starts)  # 9 to 18 in Krasnoyarsk
    assert by_day > 2400
    missed = [call for call in calls if call.direction is Direction.IN and call.result is not Result.ANSWERED]
    called = {call.dst for call in calls if call.direction is Direction.OUT}
    assert len(missed) / 4 < sum(call.src in called for call in missed) < len(missed)


def test_companies_differ() -> None:
    first, second = ({call.src for call in islice(of.calls(), 50)} for of in (history(10**6, UNTIL), history(10**5, UNTIL)))
    assert first != second
