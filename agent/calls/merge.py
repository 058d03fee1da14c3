"""Two calls that turn out to be one: a transfer by the telephone itself, a parked call fetched, a ringing call picked up.

Each began by itself, under a linkedid of its own; they are one from the moment a channel of one joins the bridge of the
other. The older one goes on with everything of both, the younger ends as a part of it (SCENARIOS: one row per call, always).
"""

from dataclasses import replace

from agent.calls.call_state import Call


def merged(one: Call, other: Call) -> tuple[Call, Call]:
    """The call that goes on, and the one that is now a part of it. Times, parties and recordings of both are kept."""
    older, younger = sorted((one, other), key=lambda call: (call.started_at, call.linkedid))
    revision = max(older.revision, younger.revision) + 1
    taken = max((older, younger), key=lambda call: (call.taken_at is not None, call is older))
    last = max((older, younger), key=lambda call: call.taken_at.timestamp() if call.taken_at is not None else 0.0)
    whole = replace(
        older,
        revision=revision,
        channels={**older.channels, **younger.channels},
        dials=tuple(sorted((*older.dials, *younger.dials), key=lambda dial: dial.at)),
        recordings=(*older.recordings, *younger.recordings),
        moments=tuple(sorted((*older.moments, *younger.moments[1:]), key=lambda moment: moment.at)),
        taken_by=last.taken_by,
        taken_at=taken.taken_at,
        talking_since=min(filter(None, (older.talking_since, younger.talking_since)), default=None),
        talk_ms=older.talk_ms + younger.talk_ms,
        ended_at=None,
    )
    part = replace(
        younger,
        revision=revision,
        recordings=(),
        ended_at=younger.moments[-1].at if younger.moments else younger.started_at,
        merged_into=older.linkedid,
    )
    return whole, part
