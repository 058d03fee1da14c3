"""The calls of `tests.data.office`: all directions, results and reasons, in realistic shares. Pure.

The same arguments give the same calls.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Final

from fonoteka.core.call_report import CallReport, Direction, PathStep, Quality, Reason, Result, SegmentReport
from fonoteka.core.domains import RecordRule
from tests.data.office import Office, OfficeUser, moments
from tests.data.seed import but, unanswered

DAYS: Final = 182
_RETENTION: Final = timedelta(days=180)
# Recordings have these lengths only, so that a few files are enough.
_TALKS_S: Final = (3, 5, 8, 12, 17, 24, 33, 46, 62, 84, 115, 160, 230, 340, 660)
_TALKED: Final = (4, 6, 8, 9, 10, 11, 12, 11, 10, 9, 8, 6, 4, 2, 1)
# Failures in a thousand recorded talks.
_WRONG: Final = (
    (Reason.ASTERISK_FAILED, 4), (Reason.NO_AUDIO, 3), (Reason.DISK_FULL, 2), (Reason.AUDIO_DAMAGED, 3),
    (Reason.STOPPED_BY_USER, 8), (Reason.AGENT_WAS_DOWN, 5),
)  # fmt: skip
_AREA_CODES: Final = ("8391", "8495", "8383", "8913", "8923", "8950", "8902", "8800")


def calls_of(of: Office, count: int, *, until: datetime, days: int = DAYS) -> list[CallReport]:
    """Make calls in the days before a moment, ordered by start; all end before it."""
    chance = Random(391)  # noqa: S311 (no secret)
    begins = moments(count, until=until - timedelta(minutes=20), days=days, zone=of.zone, chance=chance)
    customers = [f"{chance.choice(_AREA_CODES)}{chance.randrange(10**7):07d}" for _ in range(max(20, count // 12))]
    drawing = _Drawing(of, chance, customers, expired_before=until - _RETENTION)
    return [drawing.call(number, at) for number, at in enumerate(begins)]


class _Drawing:
    """Draws the calls; some missed calls are called back."""

    def __init__(self, of: Office, chance: Random, customers: Sequence[str], *, expired_before: datetime) -> None:
        self._office, self._chance, self._expired_before = of, chance, expired_before
        self._customers, self._often = customers, [1 / (1 + place) ** 0.7 for place in range(len(customers))]
        # A few users have most of the calls.
        self._busy = [1 / (2 + place % 17) for place in range(len(of.people))]
        self._missed: list[str] = []

    def call(self, number: int, at: datetime) -> CallReport:
        draw = self._chance.random()
        if draw < 0.52:
            return self._incoming(number, at)
        return self._outgoing(number, at) if draw < 0.88 else self._internal(number, at)

    def _incoming(self, number: int, at: datetime) -> CallReport:
        line, _ = self._chance.choice(self._office.numbers)
        user, customer = self._user(), self._customer()
        rung = self._talk(number, at, Direction.IN, user, src=customer, dst=line, line=line, answered_by=user.login)
        draw, night = self._chance.random(), at.hour < 8 or at.hour >= 20
        if draw < (0.7 if night else 0.17):
            self._missed.append(customer)
            unassigned = but(rung, employee=None, participants=()) if draw < 0.05 else rung
            result = self._chance.choices((Result.NO_ANSWER, Result.BUSY, Result.OTHER), (75, 18, 7))[0]
            return unanswered(unassigned, result)
        if draw > 0.97:
            return self._forwarded(rung, user)
        return self._transferred(rung, user) if draw > 0.88 else rung

    def _outgoing(self, number: int, at: datetime) -> CallReport:
        back = bool(self._missed) and self._chance.random() < 0.3
        customer = self._missed.pop(self._chance.randrange(len(self._missed))) if back else self._customer()
        user = self._user()
        line = self._chance.choice(self._office.numbers)[0] if self._chance.random() < 0.8 else None
        call = self._talk(number, at, Direction.OUT, user, src=user.login, dst=customer, line=line, answered_by=customer)
        if self._chance.random() < 0.74:
            return call
        return unanswered(call, self._chance.choices((Result.NO_ANSWER, Result.BUSY, Result.OTHER), (60, 30, 10))[0])

    def _internal(self, number: int, at: datetime) -> CallReport:
        user, other = self._user(), self._user()
        call = self._talk(number, at, Direction.INTERNAL, user, src=user.login, dst=other.login, line=None, answered_by=other.login)
        call = but(call, participants=tuple(dict.fromkeys((user.login, other.login))))
        return call if self._chance.random() < 0.8 else unanswered(call, self._chance.choice((Result.NO_ANSWER, Result.BUSY)))

    def _talk(
        self,
        number: int,
        at: datetime,
        direction: Direction,
        user: OfficeUser,
        *,
        src: str,
        dst: str,
        line: str | None,
        answered_by: str,
    ) -> CallReport:
        """Make an answered call, recorded by the user's rule."""
        ring_ms, talk_ms = self._chance.randrange(1200, 28_000), self._chance.choices(_TALKS_S, _TALKED)[0] * 1000
        answered_at = at + timedelta(milliseconds=ring_ms)
        ended_at = answered_at + timedelta(milliseconds=talk_ms)
        path = (
            PathStep(at=at, what="arrive", who=dst),
            PathStep(at=at, what="ring", who=answered_by),
            PathStep(at=answered_at, what="answer", who=answered_by),
            PathStep(at=ended_at, what="end", who=""),
        )
        call = CallReport(
            pbx="pbx1",
            linkedid=f"{int(at.timestamp())}.{number}",
            revision=int(ended_at.timestamp() * 1000),
            domain="acme",
            direction=direction,
            result=Result.ANSWERED,
            employee=user.login,
            participants=(user.login,),
            src=src,
            src_name="",
            dst=dst,
            number=line,
            answered_by=answered_by,
            started_at=at,
            answered_at=answered_at,
            ended_at=ended_at,
            talk_ms=talk_ms,
            segments=(),
            reason=None,
            path=path,
            trunk=None if direction is Direction.INTERNAL else "PJSIP/trunk",
            queue="sales" if direction is Direction.IN and number % 3 == 0 else None,
            wait_ms=ring_ms,
            quality=_quality(number, direction),
        )
        return self._recorded(call, user)

    def _recorded(self, call: CallReport, user: OfficeUser) -> CallReport:
        refusal = _refusal(user.record, call.direction)
        if refusal is not None:
            return but(call, reason=refusal)
        assert call.answered_at is not None
        segment = SegmentReport(name=f"{call.linkedid.replace('.', '_')}_1", user=user.login, started_at=call.answered_at)
        wrong = self._wrong()
        if wrong is Reason.AGENT_WAS_DOWN:
            return but(call, reason=wrong)
        if call.started_at < self._expired_before:
            wrong = Reason.RETENTION if call.talk_ms % 20_000 else Reason.QUOTA
        return but(call, segments=(replace(segment, reason=wrong),))

    def _wrong(self) -> Reason | None:
        reasons, many = zip(*_WRONG, strict=True)
        chosen: Reason | None = self._chance.choices((*reasons, None), (*many, 1000 - sum(many)))[0]
        return chosen

    def _forwarded(self, call: CallReport, user: OfficeUser) -> CallReport:
        """Forward a call outside: it is not recorded (manual, V)."""
        far, reason = self._chance.choice(
            (("84957654321", Reason.FORWARDED_LONG_DISTANCE), ("8810491234567", Reason.FORWARDED_INTERNATIONAL))
        )
        moved = PathStep(at=call.started_at, what="forward", who=far, by=user.login)
        path = (*call.path[:2], moved, PathStep(at=call.path[2].at, what="answer", who=far), call.path[3])
        return but(call, answered_by=far, segments=(), reason=reason, path=path)

    def _transferred(self, call: CallReport, user: OfficeUser) -> CallReport:
        """Transfer a call to a colleague, whose rule applies to the second half."""
        assert call.answered_at is not None and call.ended_at is not None
        to = self._user()
        if to.login == user.login:
            return call
        at = call.answered_at + (call.ended_at - call.answered_at) / 2
        path = (*call.path[:3], PathStep(at=at, what="transfer", who=to.login, by=user.login), call.path[3])
        moved = but(call, participants=(user.login, to.login), answered_by=to.login, path=path)
        if not call.segments or call.segments[0].reason is not None or _refusal(to.record, call.direction) is not None:
            return moved
        second = SegmentReport(name=f"{call.linkedid.replace('.', '_')}_2", user=to.login, started_at=at)
        return but(moved, segments=(call.segments[0], second))

    def _user(self) -> OfficeUser:
        return self._chance.choices(self._office.people, self._busy)[0]

    def _customer(self) -> str:
        if self._chance.random() < 0.02:
            return "anonymous"
        return self._chance.choices(self._customers, self._often)[0]


def _quality(number: int, direction: Direction) -> Quality | None:
    """Return how well the parties heard each other: badly in one of 40, unknown in one of 25."""
    if number % 25 == 0:
        return None
    if number % 40 == 1 and direction is not Direction.INTERNAL:
        return Quality(mos=3.1, loss_pct=7.2, jitter_ms=41, rtt_ms=180)
    return Quality(mos=4.4 - number % 4 / 20, loss_pct=number % 3 / 10, jitter_ms=2 + number % 7, rtt_ms=20 + number % 30)


def _refusal(rule: RecordRule, direction: Direction) -> Reason | None:
    """Return why a rule does not record a talk; None if it does."""
    if rule is RecordRule.OFF:
        return Reason.USER_OFF
    if rule is RecordRule.ON_DEMAND:
        return Reason.ON_DEMAND_NOT_ASKED
    wanted = {RecordRule.IN: Direction.IN, RecordRule.OUT: Direction.OUT}.get(rule, direction)
    return None if direction is wanted else Reason.DIRECTION_OFF


def lengths_ms(call: CallReport) -> list[int]:
    """Return the lengths of the audio of a call's segments."""
    begins = [segment.started_at for segment in call.segments]
    ends = [*begins[1:], *[call.ended_at or call.started_at][: len(begins)]]
    return [round((end - begin) / timedelta(milliseconds=1)) for begin, end in zip(begins, ends, strict=True)]
