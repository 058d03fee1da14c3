"""The result of a call and of each dial in it."""

from typing import Final

from agent.calls.call_state import Call, Dial
from agent.calls.dial_chain import origin_rings
from fonoteka.core.call_report import Result


def result(call: Call) -> Result:
    """Return the result of a call: answered, or the result of its dials.

    The result is busy only if no telephone could be rung.
    """
    if call.taken_by:
        return Result.ANSWERED
    reached = [dial for dial in origin_rings(call) if dial.status == "ANSWER"]  # only who begins the call has answered
    endings = [ending(call, dial) for dial in call.dials if dial.status and not dial.forward and dial not in reached]
    if not endings and call.origin is not None and call.origin.ended_at is not None:
        return _BY_CAUSE.get(call.origin.cause, Result.NO_ANSWER)  # no telephone was rung at all
    return next((verdict for verdict in (Result.NO_ANSWER, Result.BUSY, Result.OTHER) if verdict in endings), Result.NO_ANSWER)


# Q.850 hangup causes (ITU-T; Asterisk's causes.h). They are more precise than DIALSTATUS: a
# telephone that refuses (603) gives NOANSWER with cause 21, an unknown number NOANSWER with cause 1
# (measured on Asterisk 22).
_BY_CAUSE: Final = {17: Result.BUSY, 21: Result.BUSY} | dict.fromkeys(
    (1, 2, 3, 5, 20, 22, 27, 28, 29, 34, 38, 41, 42, 44, 50, 58, 65, 88), Result.OTHER
)
_BY_STATUS: Final = {"BUSY": Result.BUSY, "CHANUNAVAIL": Result.OTHER, "CONGESTION": Result.OTHER}


def ending(call: Call, dial: Dial) -> Result:
    """Return the result of a finished dial that was not answered."""
    callee = call.channels.get(dial.callee)
    by_status = _BY_STATUS.get(dial.status, Result.NO_ANSWER)
    return _BY_CAUSE.get(callee.cause, by_status) if callee is not None else by_status
