"""The manifest that the agent writes for a recording: at the start, and again for the mixer."""

from collections.abc import Sequence
from datetime import datetime

from agent.calls.call_state import Mute
from agent.recording.leg_files import EMPLOYEE, OUTSIDE, leg_name
from fonoteka.core.call_report import CallReport, MutedSpan
from fonoteka.core.manifest import MANIFEST_VERSION, Manifest


def make_manifest(
    segment: str, user: str, started_at: datetime, talk_ms: int, report: CallReport, *, muted: Sequence[Mute] = ()
) -> Manifest:
    """Return the manifest of a recording.

    The names of the legs are corrected when the recording is passed to the mixer. A recording that
    is still paused is paused until the end of the talk.
    """
    spans = (
        MutedSpan(from_ms=mute.from_ms, to_ms=max(mute.from_ms, talk_ms if mute.to_ms is None else mute.to_ms)) for mute in muted
    )
    return Manifest(
        version=MANIFEST_VERSION,
        name=segment,
        user=user,
        started_at=started_at,
        talk_ms=talk_ms,
        outside_leg=leg_name(OUTSIDE),
        employee_leg=leg_name(EMPLOYEE),
        muted=tuple(spans),
        call=report,
    )
