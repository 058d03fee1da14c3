"""Recognising that a call was forwarded outside, on whose behalf, and whether such a talk may be recorded (manual, I).

However it was done — the phone's own 302, a rule of the dialplan, a queue's member outside, a transfer — it comes to the same:
an outside party is rung, and not by a user of the company who dialled it.
"""

from agent.calls.call_state import Call, Dial, MomentKind
from agent.calls.dial_chain import dial_chain
from agent.rules.directory import DomainIndex
from agent.rules.number_class import NumberKind, classify
from fonoteka.core.call_report import Decision, Reason
from fonoteka.core.domains import Domain, User

_NEVER = {
    NumberKind.LONG_DISTANCE: Reason.FORWARDED_LONG_DISTANCE,
    NumberKind.INTERNATIONAL: Reason.FORWARDED_INTERNATIONAL,
}


def never_recorded(dialled: str, domain: Domain) -> Decision | None:
    """The refusal for talks forwarded to long distance or abroad; None where the forwarding user's setting decides.

    8-800 is free of this (manual, I), and so are the city and mobiles, which are neither long distance nor abroad.
    """
    reason = _NEVER.get(classify(dialled, domain.country, domain.area_codes))
    return Decision(record=False, reason=reason) if reason is not None else None


def forwarding_user(call: Call, dial: Dial, domain: DomainIndex) -> User | None:
    """On whose behalf `dial` rings an outside party; None if no user of the company stands behind it."""
    for outer in dial_chain(call, dial):
        sent_on = next(
            (known for known in call.dials if known.forward and known.caller == outer.caller and known.at <= outer.at), None
        )
        user = domain.user(call.channels.get(sent_on.callee)) if sent_on is not None else None
        user = user or _at_extension(call, outer, domain) or _rung_before(call, outer, domain)
        if user is not None:
            return user
    return _transferer(call, dial, domain)


def _at_extension(call: Call, dial: Dial, domain: DomainIndex) -> User | None:
    """The user at whose extension the dialplan was when it rang on: a forward kept in the PBX."""
    user = domain.user_at(dial.exten)
    return None if user is domain.user(call.channels.get(dial.caller)) else user


def _rung_before(call: Call, dial: Dial, domain: DomainIndex) -> User | None:
    """The user whom the same caller rang in vain before."""
    before = [
        known for known in call.dials if known.caller == dial.caller and known.status not in ("", "ANSWER") and known.at < dial.at
    ]
    users = (domain.user(call.channels.get(known.callee)) for known in reversed(before))
    return next((user for user in users if user is not None), None)


def _transferer(call: Call, dial: Dial, domain: DomainIndex) -> User | None:
    """The user who transferred the call last."""
    transfers = [moment for moment in call.moments if moment.kind is MomentKind.TRANSFER]
    return domain.user(call.channels.get(transfers[-1].uniqueid)) if transfers else None
