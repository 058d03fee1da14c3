"""Whether a call was forwarded outside, for which user, and whether it is recorded (manual, I).

A call can be forwarded by the telephone's own 302, a rule of the dialplan, an outside member of a
queue or a transfer, or ring at a user's desk and mobile together. All of them look the same: an
outside party is rung, and no user of the domain dialled its number.
"""

from agent.calls.call_state import Call, Channel, Dial, MomentKind
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
    """Return the refusal for a talk forwarded to long distance or abroad.

    For other numbers the setting of the forwarding user decides, and the result is None: 8-800 is
    exempt (manual, I); numbers in the city and mobiles are neither long distance nor abroad.
    """
    reason = _NEVER.get(classify(dialled, domain.country, domain.area_codes))
    return Decision(record=False, reason=reason) if reason is not None else None


def forwarding_user(call: Call, dial: Dial, domain: DomainIndex) -> User | None:
    """Return the user on whose behalf `dial` rings an outside party, or None."""
    for outer in dial_chain(call, dial):
        forwards = (other for other in call.dials if other.forward and other.caller == outer.caller and other.at <= outer.at)
        forward = next(forwards, None)
        user = domain.user(call.channels.get(forward.callee)) if forward is not None else None
        user = (
            user or _at_extension(call, outer, domain) or _rung_before(call, outer, domain) or _rung_together(call, outer, domain)
        )
        if user is not None:
            return user
    return _transferer(call, dial, domain)


def _at_extension(call: Call, dial: Dial, domain: DomainIndex) -> User | None:
    """Return the user whose extension the dialplan executed: the PBX holds the forward."""
    user = domain.user_at(dial.exten)
    return None if user is domain.user(call.channels.get(dial.caller)) else user


def _rung_before(call: Call, dial: Dial, domain: DomainIndex) -> User | None:
    """Return the last user that the same caller rang before and that did not answer."""
    unanswered = [
        other for other in call.dials if other.caller == dial.caller and other.status not in ("", "ANSWER") and other.at < dial.at
    ]
    users = (domain.user(call.channels.get(other.callee)) for other in reversed(unanswered))
    return next((user for user in users if user is not None), None)


def _rung_together(call: Call, dial: Dial, domain: DomainIndex) -> User | None:
    """Return the user whose telephone the same caller rings together with the outside party.

    Where several users ring (a group, a queue), it is rung on behalf of none. Asterisk makes the
    channels of a group before it rings the first.
    """
    together = [other.callee for other in call.dials if other.caller == dial.caller and other is not dial and _overlap(other, dial)]
    channels = (call.channels.get(uniqueid) for uniqueid in (*together, *_not_rung_yet(call)))
    users = {user.login: user for channel in channels if (user := _user_behind(channel, domain)) is not None}
    return users.popitem()[1] if len(users) == 1 else None


def _overlap(one: Dial, other: Dial) -> bool:
    return (one.ended_at is None or one.ended_at > other.at) and (other.ended_at is None or other.ended_at > one.at)


def _not_rung_yet(call: Call) -> list[str]:
    """Return the channels that were made, but have neither been rung nor talked."""
    seen = {dial.callee for dial in call.dials} | ({call.origin.uniqueid} if call.origin is not None else set())
    new = (channel for channel in call.channels.values() if channel.ended_at is None and channel.first_bridged_at is None)
    return [channel.uniqueid for channel in new if channel.uniqueid not in seen and not channel.name.endswith(";2")]


def _user_behind(channel: Channel | None, domain: DomainIndex) -> User | None:
    """Return the user of a channel, also if it is a Local channel to the user's extension."""
    return domain.user_at(channel.exten) if channel is not None and channel.is_local else domain.user(channel)


def _transferer(call: Call, dial: Dial, domain: DomainIndex) -> User | None:
    """Return the user that transferred the call last."""
    transfers = [moment for moment in call.moments if moment.kind is MomentKind.TRANSFER]
    return domain.user(call.channels.get(transfers[-1].uniqueid)) if transfers else None
