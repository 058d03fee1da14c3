"""Merging two calls: a transfer by the telephone itself, a parked call fetched, a pickup.

Each call began under a linkedid of its own. They become one call when a channel of one joins a
bridge of the other. The older call continues with the channels of both, and the younger one ends as
a part of it, so that the calls table shows one row.
"""

from collections.abc import Iterable
from dataclasses import replace

from agent.calls.call_state import Call, Channel, united


def merged(one: Call, other: Call) -> tuple[Call, Call]:
    """Return the call that continues and the call that is now a part of it.

    Times, parties and recordings of both are kept. Talks at the same time count once.
    """
    older, younger = sorted((one, other), key=lambda call: (call.started_at, call.linkedid))
    revision = max(older.revision, younger.revision) + 1
    queued = older if older.queue or not _waited_in_queue(younger, older) else younger
    first_taken = max((older, younger), key=lambda call: (call.taken_at is not None, call is older))
    last_taken = max((older, younger), key=lambda call: call.taken_at.timestamp() if call.taken_at is not None else 0.0)
    continuing = replace(
        older,
        revision=revision,
        channels=_channels_of(older, younger),
        dials=tuple(sorted((*older.dials, *younger.dials), key=lambda dial: dial.at)),
        recordings=(*older.recordings, *younger.recordings),
        moments=tuple(sorted((*older.moments, *younger.moments[1:]), key=lambda moment: moment.at)),
        queue=queued.queue,
        queued_at=queued.queued_at,
        taken_by=last_taken.taken_by,
        taken_at=first_taken.taken_at,
        talking_since=min(filter(None, (older.talking_since, younger.talking_since)), default=None),
        talks=united((*older.talks, *younger.talks)),
        ended_at=None,
    )
    return continuing, part_of(older, younger, revision)


def _waited_in_queue(younger: Call, older: Call) -> bool:
    """Return whether the younger call entered a queue before the older one was answered."""
    return younger.queued_at is not None and (older.taken_at is None or younger.queued_at < older.taken_at)


def _channels_of(older: Call, younger: Call) -> dict[str, Channel]:
    """Return the channels of both calls; a guest of one that belongs to the other is no guest."""
    both = {**older.channels, **younger.channels}
    return {**both, **{channel.uniqueid: channel for call in (older, younger) for channel in call.own}}


def merged_again(calls: Iterable[Call]) -> list[Call]:
    """Return calls of an earlier run, each that had become a part of another one as such a part.

    The earlier run may have died after it had written the call that continues, and before the part:
    all channels of the part are then in both, and its recordings too.
    """
    by_age = sorted(calls, key=lambda call: (call.started_at, call.linkedid))
    holder: dict[str, Call] = {}  # the oldest call of each channel
    for place, call in enumerate(by_age):
        own = [channel.uniqueid for channel in call.own]
        whole = next((holder[uniqueid] for uniqueid in own if uniqueid in holder), None)
        if call.merged_into:
            continue
        if whole is not None and set(own) <= whole.channels.keys():
            by_age[place] = part_of(whole, call, max(whole.revision, call.revision + 1))
        else:
            for uniqueid in own:
                holder.setdefault(uniqueid, call)
    return by_age


def part_of(whole: Call, call: Call, revision: int) -> Call:
    """Return a call as a part of the call that continues, which has its recordings."""
    ended_at = max(call.seen_until, *(moment.at for moment in call.moments[-1:]), call.started_at)
    return replace(call, revision=revision, recordings=(), ended_at=ended_at, merged_into=whole.linkedid)
