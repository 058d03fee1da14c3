"""Half a year of calls for `bench/portal_queries.py`, reproducible.

There are two hundred companies, the biggest of which has a fifth of all calls, or one company with
all calls. Most calls are in working hours; most outside parties call more than once; one missed
call in two is called back within the hour.
"""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Final

from fonoteka.core.call_report import CallReport, Direction, PathStep, Quality, Reason, Result, SegmentReport

COMPANIES: Final = 200
BIGGEST_SHARE: Final = 0.2
PASSWORD: Final = "fonoteka"
_OF_DAY: Final = (1, 1, 1, 1, 1, 2, 5, 15, 60, 100, 110, 105, 80, 90, 105, 105, 100, 80, 40, 20, 10, 6, 3, 2)  # by hour
_OF_WEEK: Final = (100, 100, 100, 100, 95, 25, 15)
_TRUNKS: Final = ("PJSIP/trunk", "PJSIP/trunk-2", "PJSIP/mobile")
_QUALITIES: Final = (
    *(Quality(mos=4.4, loss_pct=0.0, jitter_ms=jitter_ms, rtt_ms=30) for jitter_ms in (0, 1, 2, 3, 5, 8)),
    Quality(mos=4.28, loss_pct=1.2, jitter_ms=9, rtt_ms=60),
    Quality(mos=3.69, loss_pct=7.0, jitter_ms=12),
    Quality(mos=2.61, loss_pct=20.0, jitter_ms=30, rtt_ms=120),
    None,
)
_QUEUES: Final = ("sales", "support", "orders", "claims", None)
_RESULTS: Final = (Result.NO_ANSWER, Result.NO_ANSWER, Result.NO_ANSWER, Result.BUSY, Result.OTHER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Company:
    """A company: its users, its numbers, and how many calls it has."""

    name: str
    users: tuple[str, ...]
    numbers: tuple[str, ...]
    calls: int


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The calls of companies in the `days` before `until`."""

    companies: tuple[Company, ...]
    until: datetime
    days: int

    def calls(self) -> Iterator[CallReport]:
        """Yield all calls by company, ordered by start."""
        return self._calls(self.days, 1, len(self.companies))

    def last_week(self, of_weeks: int, companies: int) -> Iterator[CallReport]:
        """Yield the calls of the first companies in the last of weeks with as many calls each."""
        return self._calls(7, of_weeks, companies)

    def _calls(self, days: int, share: int, companies: int) -> Iterator[CallReport]:
        for place, company in enumerate(self.companies[:companies]):
            chance = Random(391 + place)  # noqa: S311 (no secret)
            yield from _calls_of(company, round(company.calls / share), chance, self.until, days)


def history(calls: int, until: datetime, *, days: int = 180, one_company: bool = False) -> History:
    """Make companies with this number of calls. The first company is the biggest."""
    big = calls if one_company else round(calls * BIGGEST_SHARE)
    rest = COMPANIES - 1
    shares = [big] if one_company else [big, *((calls - big) // rest for _ in range(rest))]
    return History(companies=tuple(_company(place, share, days) for place, share in enumerate(shares)), until=until, days=days)


def directory(of: History) -> str:
    """Make the file for `fonoteka apply`. The first user of each company is its administrator."""
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
        for place, login in enumerate(company.users):
            keys = [f'login = "{login}"', f'name = "Сотрудник {login}"', f'extension = "{login}"', 'record = "all"']
            # Only users of the biggest company log in: hashing a password takes 0.1 s.
            keys += [f'password = "{PASSWORD}"'] if company is of.companies[0] and place < 2 else []
            lines += ["  [[domain.user]]", *keys, f'role = "{"user" if place else "admin"}"']
        for number in company.numbers:
            lines += ["  [[domain.number]]", f'number = "{number}"', f'label = "Линия {number}"']
    return "\n".join(lines)


def _company(place: int, calls: int, days: int) -> Company:
    users = max(3, min(200, calls // days // 30))  # some thirty calls a day each
    return Company(
        name=f"company{place}",
        users=tuple(str(101 + user) for user in range(users)),
        numbers=tuple(f"2{place:03}{line:03}" for line in range(max(2, users // 8))),
        calls=calls,
    )


def _calls_of(company: Company, number: int, chance: Random, until: datetime, days: int) -> Iterator[CallReport]:
    begin = until - timedelta(days=days)
    hours = [begin.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hour) for hour in range(days * 24)]
    # The clock of Krasnoyarsk, seven hours ahead.
    weights = [_OF_DAY[(hour.hour + 7) % 24] * _OF_WEEK[(hour + timedelta(hours=7)).weekday()] for hour in hours]
    upto = list(accumulate(weights))
    starts = sorted(
        hours[bisect(upto, chance.random() * upto[-1])] + timedelta(milliseconds=chance.randrange(3_600_000)) for _ in range(number)
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
    kind, answered = chance.random(), chance.random() < 0.8
    user, colleague, line = chance.choice(company.users), chance.choice(company.users), chance.choice(company.numbers)
    ring_ms, talk_ms = chance.randrange(1000, 30_000), round(chance.lognormvariate(11.0, 1.1)) if answered else 0
    answered_at = started_at + timedelta(milliseconds=ring_ms)
    ended_at = answered_at + timedelta(milliseconds=talk_ms)
    linkedid = f"{company.name}-{place}"
    direction = Direction.IN if kind < 0.45 else Direction.OUT if kind < 0.85 else Direction.INTERNAL
    src, dst, takes = {Direction.IN: (outside, line, user), Direction.OUT: (user, outside, outside)}.get(
        direction, (user, colleague, colleague)
    )
    recorded = answered and direction is not Direction.INTERNAL
    return CallReport(
        pbx="pbx1",
        linkedid=linkedid,
        revision=int(ended_at.timestamp() * 1000),
        domain=company.name,
        direction=direction,
        result=Result.ANSWERED if answered else chance.choice(_RESULTS),
        employee=user,
        participants=(user,) if direction is not Direction.INTERNAL else tuple(dict.fromkeys((user, colleague))),
        src=src,
        src_name="",
        dst=dst,
        number=None if direction is Direction.INTERNAL else line,
        answered_by=takes if answered else None,
        started_at=started_at,
        answered_at=answered_at if answered else None,
        ended_at=ended_at,
        talk_ms=talk_ms,
        segments=(SegmentReport(name=f"{linkedid}-1", user=user, started_at=answered_at),) if recorded else (),
        reason=None if recorded else Reason.USER_OFF if answered else Reason.NOT_ANSWERED,
        path=(
            PathStep(at=started_at, what="arrive", who=dst),
            PathStep(at=started_at, what="ring", who=takes),
            PathStep(at=ended_at, what="end", who=""),
        ),
        trunk=None if direction is Direction.INTERNAL else _TRUNKS[place % len(_TRUNKS)],
        queue=_QUEUES[place % len(_QUEUES)] if direction is Direction.IN else None,
        wait_ms=ring_ms,
        quality=_QUALITIES[place % len(_QUALITIES)] if answered else None,
    )


def until_now() -> datetime:
    """Return the present time in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)
