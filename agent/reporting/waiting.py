"""By which trunk a call went, through which queue, and how long its caller waited. Pure."""

from agent.calls.call_state import Call
from agent.calls.dial_chain import origin_rings
from agent.rules.directory import DomainIndex
from fonoteka.core.call_report import Direction


def trunk(call: Call, domain: DomainIndex) -> str | None:
    """Return the endpoint of the outside party, None if there is none.

    It is that of the caller, else of the party that answered, else of the one that rang last:
    after a trunk that refused, the next one is tried.
    """
    channels = (call.origin, call.channels.get(call.taken_by), *reversed(call.own))
    return next((name for channel in channels if channel is not None and (name := domain.trunk(channel)) is not None), None)


def queue(call: Call, domain: DomainIndex, direction: Direction) -> str | None:
    """Return the queue of this domain in which the caller waited last before the answer, or None.

    A queue that the domain's own outgoing call reaches belongs to another company on the PBX.
    """
    is_foreign = direction is Direction.OUT and domain.user(call.origin) is not None
    return None if is_foreign else call.queue or None


def wait_ms(call: Call) -> int | None:
    """Return the time from the first ring, or the queue's entry, to the answer or the caller's end.

    None as long as the call waits, and where nothing rang: in a menu the caller waits for nobody.
    A party that the PBX rings to begin the call (click to call, a callback) is not waited for.
    """
    origin, before = call.origin, origin_rings(call)
    given_up_at = (origin.ended_at if origin is not None else None) or call.ended_at
    until = call.taken_at or (given_up_at if call.ended_at is not None else None)
    rung = (dial.at for dial in call.dials if dial not in before)
    since = min((*rung, *filter(None, (call.queued_at,))), default=None)
    if since is None or until is None or since > until:
        return None
    return round((until - since).total_seconds() * 1000)
