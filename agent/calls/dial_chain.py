"""Which party rings which, also through Local channels."""

from agent.calls.call_state import Call, Channel, Dial


def dial_chain(call: Call, dial: Dial) -> list[Dial]:
    """Return the dial and the dials that led to it through Local channels, the innermost first."""
    chain = [dial]
    while len(chain) <= len(call.dials):
        caller = call.channels.get(chain[-1].caller)
        if caller is None or not caller.is_local:
            break
        rung = {channel.uniqueid for channel in call.channels.values() if channel.name == caller.other_half}
        outer = next((other for other in call.dials if other.callee in rung), None)
        if outer is None:
            break
        chain.append(outer)
    return chain


def origin_rings(call: Call) -> list[Dial]:
    """Return the dials by which the PBX itself rang the party that begins the call, inner first.

    Empty if that party dialled, as parties do. The PBX rings it for a program (Originate): the
    outermost dial is by no party.
    """
    origin = call.origin
    inner = next((dial for dial in call.dials if origin is not None and dial.callee == origin.uniqueid), None)
    if inner is None:
        return []
    chain = dial_chain(call, inner)
    caller = call.channels.get(chain[-1].caller)
    return chain if caller is None or caller.is_local else []


def ringer(call: Call, dial: Dial) -> Channel | None:
    """Return the party that rings, also through Local channels.

    It is the party that rang the first half of the Local channel, or the party that already hears
    that half (a transfer by keys), or the party that answered there before (click to call).
    """
    caller = call.channels.get(dial_chain(call, dial)[-1].caller)
    if caller is None or not caller.is_local:
        return caller
    half = _other_half(call, caller)
    members = call.members(half.bridge) if half is not None and half.bridge is not None else ()
    return next((member for member in members if not member.is_local), None) or _clicking(call, caller)


def rings_itself(call: Call, dial: Dial) -> bool:
    """Return whether the party that rings does so on a channel of its own.

    A party that rings through a Local channel is in a bridge with the other half of it, or enters
    one: the events of two channels can arrive in either order.
    """
    caller = call.channels.get(dial_chain(call, dial)[-1].caller)
    return caller is not None and not caller.is_local


def _clicking(call: Call, local: Channel) -> Channel | None:
    """Return the party for which the PBX rang a Local channel, once that party has answered."""
    rings, half = origin_rings(call), _other_half(call, local)
    stands_in = half is not None and half.uniqueid in {dial.caller for dial in rings if dial.status == "ANSWER"}
    return call.origin if stands_in else None


def is_awaited(call: Call, dial: Dial) -> bool:
    """Return whether it is not known yet which party rings through a Local channel.

    The first half of the channel was not rung (a transfer by keys), and no party is in a bridge
    with it: the events of two channels can arrive in either order.
    """
    caller = call.channels.get(dial_chain(call, dial)[-1].caller)
    half = _other_half(call, caller) if caller is not None and caller.is_local else None
    return half is not None and not half.conference and ringer(call, dial) is None


def _other_half(call: Call, local: Channel) -> Channel | None:
    return next((channel for channel in call.channels.values() if channel.name == local.other_half), None)
