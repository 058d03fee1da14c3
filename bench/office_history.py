"""Half a year of calls as companies make them, none of them by chance: what `bench/portal_queries.py` fills a store with.

Two hundred companies of which the biggest has a fifth of all calls, or one that has all. People call on working days by day;
most outside parties call more than once; one missed call in two is called back within the hour.
"""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Final

from fonoteka.core.call_report import CallReport, Direction, PathStep, Reason, Result, SegmentReport

COMPANIES: Final = 200
BIGGEST_SHARE: Final = 0.2
PASSWORD: Final = "fonoteka"
_OF_DAY: Final = (1, 1, 1, 1, 1, 2, 5, 15, 60, 100, 110, 105, 80, 90, 105, 105, 100, 80, 40, 20, 10, 6, 3, 2)  # by hour
_OF_WEEK: Final = (100, 100, 100, 100, 95, 25, 15)
_RESULTS: Final = (Result.NO_ANSWER, Result.NO_ANSWER, Result.NO_ANSWER, Result.BUSY, Result.OTHER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Company:
    """A company: who works there and by which numbers it is called. `calls` is its share of all."""

    name: str
    people: tuple[str, ...]
    numbers: tuple[str, ...]
    calls: int


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """So many calls of these companies in the `days` up to `until`."""

    companies: tuple[Company, ...]
    until: datetime
    days: int

    def calls(self) -> Iterator[CallReport]:
        """All calls, company by company, each company's in the order in which they began."""
        for place, company in enumerate(self.companies):
            yield from _calls_of(company, Random(391 + place), self.until, self.days)  # noqa: S311 (no secret)


def history(calls: int, until: datetime, *, days: int = 180, one_company: bool = False) -> History:
    """The companies of a store with so many calls. The first one is the biggest."""
    big = calls if one_company else round(calls * BIGGEST_SHARE)
    rest = COMPANIES - 1
    shares = [big] if one_company else [big, *((calls - big) // rest for _ in range(rest))]
    return History(companies=tuple(_company(place, share, days) for place, share in enumerate(shares)), until=until, days=days)


def directory(of: History) -> str:
    """The file for `fonoteka apply`. Of each company the first of its people is the administrator."""
    lines = []
    for company in of.companies:
        zone = "Asia/Krasnoyarsk" if company is of.companies[0] else "Europe/Moscow"
        lines += [
            "[[domain]]",
            f'name = "{company.name}"',
            f'title = "{company.name}"',
            f'timezone = "{zone}"',
            'area_codes = ["391"]',
        ]
        for place, login in enumerate(company.people):
            who = [f'login = "{login}"', f'name = "Сотрудник {login}"', f'extension = "{login}"', 'record = "all"']
            # Only the biggest company's people log in: a password takes a tenth of a second to hash.
            who += [f'password = "{PASSWORD}"'] if company is of.companies[0] and place < 2 else []
            lines += ["  [[domain.user]]", *who, f'role = "{"user" if place else "admin"}"']
        for number in company.numbers:
            lines += ["  [[domain.number]]", f'number = "{number}"', f'label = "Линия {number}"']
    return "\n".join(lines)


def _company(place: int, calls: int, days: int) -> Company:
    people = max(3, min(200, calls // days // 30))  # each has some thirty calls a day
    return Company(
        name=f"company{place}",
        people=tuple(str(101 + person) for person in range(people)),
        numbers=tuple(f"2{place:03}{line:03}" for line in range(max(2, people // 8))),
        calls=calls,
    )


def _calls_of(company: Company, chance: Random, until: datetime, days: int) -> Iterator[CallReport]:
    begin = until - timedelta(days=days)
    hours = [begin.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hour) for hour in range(days * 24)]
    # The clock of Krasnoyarsk, seven hours ahead.
    weights = [_OF_DAY[(hour.hour + 7) % 24] * _OF_WEEK[(hour + timedelta(hours=7)).weekday()] for hour in hours]
    upto = list(accumulate(weights))
    starts = sorted(
        hours[bisect(upto, chance.random() * upto[-1])] + timedelta(milliseconds=chance.randrange(3_600_000))
        for _ in range(company.calls)
    )
    regulars = max(20, company.calls // 8)
    missed: list[tuple[datetime, str]] = []
    for place, started_at in enumerate(starts):
        outside = f"89{chance.randrange(10**9):09}" if chance.random() < 0.25 else f"8913{_spread(chance.randrange(regulars)):07}"
        call = _call(company, place, min(started_at, until), outside, chance)
        if call.direction is Direction.IN and call.result is not Result.ANSWERED and chance.random() < 0.5:
            missed.append((call.started_at + timedelta(minutes=chance.randrange(1, 60)), outside))
        if call.direction is Direction.OUT and missed and missed[0][0] <= call.started_at:
            _, back = missed.pop(0)
            call = replace(call, dst=back, answered_by=back if call.answered_by else None)
        yield call


def _spread(number: int) -> int:
    return number * 7_654_321 % 10**7


def _call(company: Company, place: int, started_at: datetime, outside: str, chance: Random) -> CallReport:
    which, answered = chance.random(), chance.random() < 0.8
    who, colleague, line = chance.choice(company.people), chance.choice(company.people), chance.choice(company.numbers)
    ring_ms, talk_ms = chance.randrange(1000, 30_000), round(chance.lognormvariate(11.0, 1.1)) if answered else 0
    answered_at = started_at + timedelta(milliseconds=ring_ms)
    ended_at = answered_at + timedelta(milliseconds=talk_ms)
    linkedid = f"{company.name}-{place}"
    direction = Direction.IN if which < 0.45 else Direction.OUT if which < 0.85 else Direction.INTERNAL
    src, dst, takes = {Direction.IN: (outside, line, who), Direction.OUT: (who, outside, outside)}.get(
        direction, (who, colleague, colleague)
    )
    recorded = answered and direction is not Direction.INTERNAL
    return CallReport(
        pbx="pbx1",
        linkedid=linkedid,
        revision=int(ended_at.timestamp() * 1000),
        domain=company.name,
        direction=direction,
        result=Result.ANSWERED if answered else chance.choice(_RESULTS),
        employee=who,
        participants=(who,) if direction is not Direction.INTERNAL else tuple({who, colleague}),
        src=src,
        src_name="",
        dst=dst,
        number=None if direction is Direction.INTERNAL else line,
        answered_by=takes if answered else None,
        started_at=started_at,
        answered_at=answered_at if answered else None,
        ended_at=ended_at,
        talk_ms=talk_ms,
        segments=(SegmentReport(name=f"{linkedid}-1", user=who, started_at=answered_at),) if recorded else (),
        reason=None if recorded else Reason.USER_OFF if answered else Reason.NOT_ANSWERED,
        path=(
            PathStep(at=started_at, what="arrive", who=dst),
            PathStep(at=started_at, what="ring", who=takes),
            PathStep(at=ended_at, what="end", who=""),
        ),
    )


def until_now() -> datetime:
    """The end of a history that reaches up to now."""
    return datetime.now(UTC).replace(microsecond=0)
