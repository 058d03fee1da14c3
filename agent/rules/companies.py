"""The companies (domains) that one call concerns. Pure.

A company calls another one on the same PBX, or transfers a caller to it. Each has a row of its own,
and sees the call as `company_view` says.
"""

from dataclasses import replace

from agent.calls.call_state import Call, Dial
from agent.rules.company_view import CompanyView
from agent.rules.directory import Directory, DomainIndex
from agent.rules.parties import domain_of


def domains_of(call: Call, directory: Directory) -> tuple[DomainIndex, ...]:
    """Return the domains that a call concerns: first the one whose call it is.

    A further domain is concerned once a telephone of it takes part, or where its number was dialled
    (`_arrived_at`).
    """
    first = domain_of(call, directory)
    if first is None or len(directory.domains) == 1:
        return () if first is None else (first,)
    found = [directory.of_endpoint(channel.endpoint) for channel in call.own]
    found.append(_arrived_at(call, directory))
    return tuple({domain.settings.name: domain for domain in (first, *found) if domain is not None}.values())


def _arrived_at(call: Call, directory: Directory) -> DomainIndex | None:
    """Return the domain whose number the caller dialled, if the call did not leave by a trunk.

    By a trunk that number is rung itself, and comes back as a call of its own. Before anybody is
    rung that is not known; a call that ends then ended in a menu.
    """
    origin = call.origin
    if origin is None or not (call.dials or call.ended_at is not None):
        return None
    return None if any(dial.exten == origin.exten for dial in call.dials) else directory.of_number(origin.exten)


def of_domain(call: Call, domain: DomainIndex, directory: Directory) -> Call:
    """Return a call as the rules of a domain read it.

    It has those of its recordings that are the domain's, and not the extensions at which another
    company rings: two companies may have the same.
    """
    call = _with_own_recordings(call, domain, directory)
    if len(directory.domains) < 2:
        return call
    arrived_at, origin = _arrived_at(call, directory), call.origin
    elsewhere = origin.uniqueid if origin is not None and arrived_at not in (None, domain) else None
    dials = tuple(_without_foreign_extension(call, dial, domain, directory, elsewhere) for dial in call.dials)
    return call if dials == call.dials else replace(call, dials=dials)


def _without_foreign_extension(call: Call, dial: Dial, domain: DomainIndex, directory: Directory, elsewhere: str | None) -> Dial:
    callee = call.channels.get(dial.callee)
    rung = directory.of_endpoint(callee.endpoint) if callee is not None else None
    is_foreign = dial.caller == elsewhere or rung not in (None, domain)
    return replace(dial, exten="") if is_foreign and dial.exten else dial


def _with_own_recordings(call: Call, domain: DomainIndex, directory: Directory) -> Call:
    if not call.recordings:
        return call
    first, name = _name(domain_of(call, directory)), domain.settings.name
    own = tuple(recording for recording in call.recordings if (recording.domain or first) == name)
    return call if len(own) == len(call.recordings) else replace(call, recordings=own)


def as_seen_by(call: Call, domain: DomainIndex, directory: Directory) -> Call:
    """Return what a domain sees of a call: the call itself unless it concerns others too."""
    own = _with_own_recordings(call, domain, directory)
    guests = (directory.of_endpoint(channel.endpoint) for channel in call.channels.values() if channel.guest)
    present = (*domains_of(call, directory), *(each for each in guests if each is not None))
    concerned = tuple({each.settings.name: each for each in present}.values())
    if len(concerned) < 2:
        return own
    return CompanyView(call=own, domain=domain, concerned=concerned, directory=directory).seen


def _name(domain: DomainIndex | None) -> str:
    return domain.settings.name if domain is not None else ""
