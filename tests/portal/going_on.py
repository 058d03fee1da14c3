"""Calls that go on, as an agent tells of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fonoteka.core.call_report import CallReport, LiveReport, Party, Reason, RecorderState, UserRecordingStatus
from tests.data.seed import a_call, but, unanswered

ON, PAUSED, OFF = RecorderState
BY_RULE = UserRecordingStatus(user="152", recorder=ON, reason=None, may_start=False, may_stop=False)
ON_PAUSE = replace(BY_RULE, recorder=PAUSED)
NOT_ASKED = UserRecordingStatus(user="777", recorder=OFF, reason=Reason.ON_DEMAND_NOT_ASKED, may_start=True, may_stop=False)
IS_OFF = UserRecordingStatus(user="130", recorder=OFF, reason=Reason.USER_OFF, may_start=False, may_stop=False)


def going_on(
    number: int, *sides: UserRecordingStatus, src: str = "89131234567", talked_s: int = 65, revision: int = 1
) -> CallReport:
    """A call from outside in which these users talk; with nobody it rings at 152."""
    call = a_call(number, datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=talked_s + 1))
    logins = tuple(side.user for side in sides)
    took_part = logins or ("152",)
    call = replace(call, src=src, ended_at=None, segments=(), path=call.path[:3], participants=took_part, revision=revision)
    if not sides:
        ringing = but(unanswered(call), ended_at=None, path=call.path[:2])
        return replace(ringing, live=LiveReport())
    parties = (Party(who=src, login=None), *(Party(who=login, login=login) for login in logins))
    live = LiveReport(parties=parties, talking_since=call.answered_at, sides=sides)
    reason = next((side.reason for side in sides), None) or Reason.USER_OFF
    return replace(call, employee=logins[0], answered_by=logins[0], reason=reason, live=live)


def over(call: CallReport) -> CallReport:
    """The same call once it has ended."""
    return replace(call, revision=call.revision + 100, ended_at=datetime.now(UTC).replace(microsecond=0), live=None)
