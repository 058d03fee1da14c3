"""An office at its busiest hour: many calls at once, in which people do what people do.

What is true of every call is known.

`plan` is pure: the same seed gives the same calls. `run` plays them on handsets. The truth of a
call is in its plan (who took part, how it ended) and in what its telephones lived through
(`Played.phone_calls`: when each answered and hung up).
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fonoteka.core.call_report import Direction, Result
from fonoteka.core.domains import RecordRule, Role
from lab.base.company import LabCompany, LabUser
from lab.sip.sipp_phones import OUTSIDE

_FIRST_EXTENSION: Final = 200
MOST_USERS: Final = 240  # a lab has so many addresses for telephones
_MARGIN_S: Final = 3.0  # people rest between two calls, so that a late one is not in the way


class Kind(StrEnum):
    """What happens in a call."""

    TALK = "talk"
    HOLD = "hold"
    BLIND = "blind"
    ATTENDED = "attended"
    PICKED_UP = "picked_up"
    BUSY = "busy"
    GIVEN_UP = "given_up"


_WEIGHTS: Final = {
    Kind.TALK: 50,
    Kind.HOLD: 12,
    Kind.BLIND: 12,
    Kind.ATTENDED: 8,
    Kind.PICKED_UP: 8,
    Kind.BUSY: 5,
    Kind.GIVEN_UP: 5,
}
_INVOLVES_A_COLLEAGUE: Final = frozenset({Kind.BLIND, Kind.ATTENDED, Kind.PICKED_UP})


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One call to make.

    `caller` and `callee` are extensions or OUTSIDE; `number` is the outside party's own, unlike any
    other.

    `talk_s` is the talk until something happens (or all of it), `after_s` the talk after that;
    `colleague` is who takes over.
    """

    number: str
    kind: Kind
    caller: str
    callee: str
    colleague: str
    starts_s: float
    answer_after_s: float
    talk_s: float
    after_s: float
    caller_hangs_up: bool

    @property
    def direction(self) -> Direction:
        """Where it goes, seen from the company."""
        if self.caller == OUTSIDE:
            return Direction.IN
        return Direction.OUT if self.callee == OUTSIDE else Direction.INTERNAL

    @property
    def result(self) -> Result:
        """How it ends."""
        return {Kind.BUSY: Result.BUSY, Kind.GIVEN_UP: Result.NO_ANSWER}.get(self.kind, Result.ANSWERED)

    @property
    def answered_by(self) -> str | None:
        """Who has it in the end: an extension, the outside number, or nobody."""
        if self.result is not Result.ANSWERED:
            return None
        if self.kind in _INVOLVES_A_COLLEAGUE:
            return self.colleague
        return self.number if self.callee == OUTSIDE else self.callee

    @property
    def people(self) -> frozenset[str]:
        """The extensions that are busy with it."""
        return frozenset({self.caller, self.callee, self.colleague}) - {OUTSIDE, ""}

    @property
    def ends_s(self) -> float:
        """When it is over if all goes as planned."""
        return self.starts_s + self.answer_after_s + self.talk_s + self.after_s


def load_company(users: int) -> LabCompany:
    """A company with so many telephones (at most MOST_USERS); every fifth person is not recorded.

    Raises ValueError.
    """
    if not 5 <= users <= MOST_USERS:
        raise ValueError(f"a lab has between 5 and {MOST_USERS} telephones, not {users}")
    people = tuple(
        LabUser(
            extension=str(_FIRST_EXTENSION + place),
            name=f"Сотрудник {place + 1}",
            record=RecordRule.OFF if place % 5 == 4 else RecordRule.ALL,
            password=f"load-{_FIRST_EXTENSION + place}",
            number=f"2458{_FIRST_EXTENSION + place}",
            role=Role.ADMIN if place == 0 else Role.USER,
        )
        for place in range(users)
    )
    first, second = people[0].extension, people[1].extension
    return LabCompany(users=people, menu_leads_to=first, group=(first, second), queue=(first, second))


def plan(company: LabCompany, *, calls: int, at_once: int, per_second: float, talk_s: float, seed: int) -> tuple[Planned, ...]:
    """Plan the calls, in order of their start; at most `at_once` of them go on at a time.

    `per_second` is the mean rate of new calls, `talk_s` the mean length of a talk. Nobody is in two
    calls at a time; a call waits until its people are free.
    """
    chance = random.Random(seed)  # noqa: S311
    free = [user.extension for user in company.users]
    chance.shuffle(free)
    going: list[float] = []  # when each call that goes on ends
    resting: list[tuple[float, int, frozenset[str]]] = []  # when its people are free again
    made: list[Planned] = []
    now_s = 0.0
    while len(made) < calls:
        while True:
            while going and going[0] <= now_s:
                heapq.heappop(going)
            while resting and resting[0][0] <= now_s:
                free.extend(sorted(heapq.heappop(resting)[2]))
            if len(going) < at_once and len(free) >= 3:
                break
            now_s = going[0] if len(going) >= at_once else resting[0][0]
        call = _next(chance, free, number=len(made), starts_s=now_s, talk_s=talk_s)
        free = [extension for extension in free if extension not in call.people]
        heapq.heappush(going, call.ends_s)
        heapq.heappush(resting, (call.ends_s + _MARGIN_S, len(made), call.people))
        made.append(call)
        now_s += chance.expovariate(per_second)
    return tuple(made)


def _next(chance: random.Random, free: Sequence[str], *, number: int, starts_s: float, talk_s: float) -> Planned:
    one, two, three = free[0], free[1], free[2]
    kind = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    caller, callee = OUTSIDE, one
    if kind in (Kind.TALK, Kind.HOLD):
        caller, callee = chance.choices(((OUTSIDE, one), (one, OUTSIDE), (one, two)), (60, 25, 15))[0]
    spread = chance.uniform(0.5, 1.5)
    silent = kind in (Kind.BUSY, Kind.GIVEN_UP)
    return Planned(
        number=f"8{'913' if caller == OUTSIDE else '495'}{number:07d}",
        kind=kind,
        caller=caller,
        callee=callee,
        colleague=three if kind in _INVOLVES_A_COLLEAGUE else "",
        starts_s=starts_s,
        answer_after_s=chance.uniform(0.3, 1.5),
        talk_s=0.0 if silent or kind is Kind.PICKED_UP else talk_s * spread / 2,
        after_s=0.0 if silent else talk_s * spread / 2,
        caller_hangs_up=chance.random() < 0.5,
    )


def most_at_once(calls: Sequence[Planned]) -> int:
    """How many of the planned calls go on together at the busiest moment."""
    changes = sorted([(call.starts_s, 1) for call in calls] + [(call.ends_s, -1) for call in calls])
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
