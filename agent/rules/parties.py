"""Who called whom, on whose behalf, and for which domain: read from the whole call, here alone.

A call begins in one of three ways:

- a party dials: it has a channel of its own, and calls what it dialled;
- the PBX rings a user first, and then dials for them (click to call): the user calls;
- the PBX rings an outside party first, and then a user (a callback): the domain calls that party.

In the last two the party that begins the call is rung itself, by nobody or through a Local channel
that nobody rings (AMI Originate, ARI, a call file). Pure.
"""

from dataclasses import dataclass

from agent.calls.call_result import result
from agent.calls.call_state import Call, Channel, Dial
from agent.calls.dial_chain import origin_rings
from agent.rules.directory import Directory, DomainIndex
from fonoteka.core.call_report import Direction, Result
from fonoteka.core.domains import RecordRule, User
from fonoteka.core.phone_numbers import SHORTEST_OUTSIDE

_NO_NUMBER = frozenset({"", "s"})  # the extensions of a channel that dialled nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Parties:
    """The parties of a call as its domain sees them; the fields are those of `CallReport`."""

    direction: Direction
    src: str
    src_name: str
    dst: str
    number: str | None
    answered_by: str | None
    employee: str | None
    participants: tuple[str, ...]


def parties_of(call: Call, domain: DomainIndex) -> Parties:
    """Return the parties of a call that has at least one channel."""
    origin = call.origin
    assert origin is not None, "a call begins with a channel"
    call_direction, employee = direction(call, domain), _employee(call, domain)
    is_callback = _is_callback(call, domain)
    return Parties(
        direction=call_direction,
        src=_src_of_callback(call, employee, domain) if is_callback else _caller_number(origin, domain),
        src_name="" if is_callback else origin.caller_name,
        dst=dialled_first(call, domain),
        number=_own_number(call, domain, call_direction),
        answered_by=_answered_by(call, origin, domain, is_callback=is_callback),
        employee=employee,
        participants=_participants(call, domain, result(call)),
    )


def direction(call: Call, domain: DomainIndex) -> Direction:
    """Return the direction of a call as the domain sees it (manual, IV).

    It follows from the party that began the call, and how, and the first party that was rung for
    it. A user who dials a code reaches nobody outside (`*21*89131234567` sets a forward).
    """
    origin = call.origin
    if origin is None:
        return Direction.IN
    if origin.is_local:
        return Direction.INTERNAL  # the PBX has rung nobody yet
    if domain.user(origin) is None:
        return Direction.OUT if origin_rings(call) else Direction.IN
    for dial in call.dials:
        callee = call.channels.get(dial.callee)
        if callee is not None and not callee.is_local and callee.uniqueid != origin.uniqueid:
            return Direction.OUT if domain.is_outside(callee) else Direction.INTERNAL
    inside = domain.user_at(origin.exten) is not None or len(origin.exten) < SHORTEST_OUTSIDE or _is_code(origin.exten)
    return Direction.INTERNAL if inside else Direction.OUT


def domain_of(call: Call, directory: Directory) -> DomainIndex | None:
    """Return the domain of a call, None while it is unknown.

    It is that of the user that began the call, of the number that was dialled, or of the number
    that a callback shows, else named by its account code; else that of the first user. The order is
    that in which they become known: the store refuses a call whose domain changes. If none is known
    and the PBX has one domain only, the call belongs to that domain.
    """
    origin = call.origin
    if origin is None or origin.is_local:
        return directory.only_domain
    found = directory.of_endpoint(origin.endpoint)
    if found is None:
        rings = origin_rings(call)
        found = _by_callback(rings, directory) if rings else directory.of_number(origin.exten)
    if found is None:
        of_users = (directory.of_endpoint(channel.endpoint) for channel in call.channels.values())
        found = next(filter(None, of_users), None)
    return found or directory.only_domain


def was_called(call: Call, channel: Channel) -> bool:
    """Return whether a party was rung, or asked for, by another one, and did not begin the call."""
    if call.origin is not None and channel.uniqueid == call.origin.uniqueid:
        return False
    return channel.guest or any(dial.callee == channel.uniqueid and (dial.caller or call.is_page) for dial in call.dials)


def party_name(call: Call, channel: Channel, domain: DomainIndex) -> str:
    """Return the extension of a user, or the number of an outside party, dialled or calling."""
    user = domain.user(channel)
    if user is not None:
        return user.extension
    dialled = next((dial.dialled for dial in reversed(call.dials) if dial.callee == channel.uniqueid), "")
    return dialled or channel.caller_num or ("" if channel.exten in _NO_NUMBER else channel.exten)


def dialled_first(call: Call, domain: DomainIndex) -> str:
    """Return the number for the column «Куда».

    The number that the caller dialled. If the PBX rang the caller, the number dialled for them; if
    it rang an outside party, the number of that party.
    """
    origin, rings = call.origin, origin_rings(call)
    if origin is None:
        return ""
    if _is_callback(call, domain):
        return party_name(call, origin, domain)
    if origin.is_local or (not rings and origin.exten not in _NO_NUMBER):
        return origin.exten
    callers = {origin.uniqueid, *_stand_in(call, rings)}
    first = next((dial for dial in call.dials if dial.caller in callers and dial.callee != origin.uniqueid), None)
    if first is None:
        return "" if rings else origin.exten
    return first.exten if rings and first.exten not in _NO_NUMBER else first.dialled


def _is_code(exten: str) -> bool:
    return "*" in exten or "#" in exten


def _is_callback(call: Call, domain: DomainIndex) -> bool:
    """Return whether the PBX rang an outside party to begin the call."""
    origin = call.origin
    return origin is not None and not origin.is_local and domain.user(origin) is None and bool(origin_rings(call))


def _by_callback(rings: list[Dial], directory: Directory) -> DomainIndex | None:
    """Return the domain whose number a callback shows, else which its account code names."""
    for dial in rings:
        found = directory.of_number(dial.caller_num) or directory.named(dial.account)
        if found is not None:
            return found
    return None


def _caller_number(origin: Channel, domain: DomainIndex) -> str:
    user = domain.user(origin)
    return user.extension if user is not None else origin.caller_num


def _src_of_callback(call: Call, employee: str | None, domain: DomainIndex) -> str:
    """Return the extension of the user for whom the PBX calls, else the number that it shows."""
    user = domain.user_named(employee) if employee is not None else None
    shown = (dial.caller_num for dial in origin_rings(call) if dial.caller_num)
    return (user.extension if user is not None else "") or next(shown, "")


def _stand_in(call: Call, rings: list[Dial]) -> tuple[str, ...]:
    """Return the half of a Local channel that goes on dialling for the party behind it."""
    names = {channel.other_half for dial in rings if (channel := call.channels.get(dial.caller)) is not None}
    return tuple(channel.uniqueid for channel in call.channels.values() if channel.name in names)


def _own_number(call: Call, domain: DomainIndex, call_direction: Direction) -> str | None:
    """Return the number of the domain that was called, or that an outgoing call showed."""
    if call.origin is None or call_direction is Direction.INTERNAL:
        return None
    shown = [call.origin.exten] if call_direction is Direction.IN else [dial.caller_num for dial in call.dials]
    return next((number for text in shown if text and (number := domain.own_number(text)) is not None), None)


def _answered_by(call: Call, origin: Channel, domain: DomainIndex, *, is_callback: bool) -> str | None:
    """Return the party that took the call; of a callback, the outside party.

    An outside party that came into a conference room was taken by the room.
    """
    answering = call.channels.get(call.taken_by)
    if answering is None:
        return None
    in_room = answering is origin and domain.user(origin) is None and not is_callback
    return (origin.room if in_room else "") or party_name(call, origin if is_callback else answering, domain) or None


def _employee(call: Call, domain: DomainIndex) -> str | None:
    """Return the login for the column «Сотрудник».

    The caller; where an outside party began the call or was called back, the last user of the
    domain that talked, else a user met in a conference, else the user for whom the call was
    forwarded, else the only user whose telephone rang.
    """
    caller = domain.user(call.origin)
    if caller is not None:
        return caller.login
    talked = [user for channel, user in _users(call, domain) if channel.first_bridged_at is not None]
    if talked:
        answered = domain.user(call.channels.get(call.taken_by))
        return (answered or talked[-1]).login
    met = _met_in_conference(call, domain)
    if met is not None:
        return met.login
    forwarded = _recorded_users(call)
    if forwarded:
        return forwarded[-1]
    rung = {user.login for _, user in _users(call, domain)}
    return rung.pop() if len(rung) == 1 else None


def _participants(call: Call, domain: DomainIndex, call_result: Result) -> tuple[str, ...]:
    """Return the logins of the caller and of all users that talked or forwarded the call.

    For a call that was not answered, all users whose telephone rang.
    """
    origin = call.origin
    talked = [
        user.login
        for channel, user in _users(call, domain)
        if call_result is not Result.ANSWERED or channel is origin or channel.first_bridged_at is not None
    ]
    return tuple(dict.fromkeys(talked + _recorded_users(call)))


def _recorded_users(call: Call) -> list[str]:
    """Return the users by whose settings parties that talked were recorded, or not."""
    return [recording.user for recording in call.recordings if recording.user and recording.started_at is not None]


def _users(call: Call, domain: DomainIndex) -> list[tuple[Channel, User]]:
    """Return the users of the call; who else is in a conference has a call of their own."""
    parties = (channel for channel in call.channels.values() if not (channel.guest and channel.conference))
    return [(channel, user) for channel in parties if (user := domain.user(channel)) is not None]


def _met_in_conference(call: Call, domain: DomainIndex) -> User | None:
    """Return a user that an outside party met in a conference: a recorded one, if there is one.

    Of several users, the one that the settings name first counts. The order in which users came
    must not decide, and so the recorder does not either: it runs for the user that came first.
    """
    guests = {user.login for channel in call.channels.values() if channel.guest and (user := domain.user(channel)) is not None}
    if not guests:
        return None
    recorded = {recording.user for recording in call.recordings if recording.hears_user and recording.decision.record}
    met = [user for user in domain.settings.users if user.login in guests]
    wanted = (user for user in met if user.record in (RecordRule.ALL, RecordRule.IN) or user.login in recorded)
    return next(wanted, next(iter(met), None))
