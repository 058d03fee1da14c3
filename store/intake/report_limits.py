"""Limits of reports: a report beyond them is a mistake, or does not fit the index. Pure.

The limits are far above real calls, since a refused report is lost.
"""

from collections.abc import Iterator
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Final

from fonoteka.core.call_report import CallReport, Quality
from fonoteka.core.manifest import Manifest, Mixed, Speech
from fonoteka.core.naming import safe
from store.database.schema import LONGEST_LINKEDID, LONGEST_LOGIN, LONGEST_SEGMENT_NAME, milliseconds

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
# A revision is the time of the call's last event in milliseconds, or the last revision and 1: it
# cannot run ahead of the clock of the PBX, which may be set to another zone's time, or have been
# set back since the call's last event.
_AHEAD_MS: Final = timedelta(days=31) // timedelta(milliseconds=1)
_LONGEST_AUDIO_MS: Final = 24 * 3600 * 1000
LONGEST_CALL: Final = timedelta(days=20)  # a hung channel may stand for days; in milliseconds this still fits 32 bits
_LONGEST_CALL_MS: Final = LONGEST_CALL // timedelta(milliseconds=1)
_MOST_PARTS: Final = 1000  # segments, participants
_MOST_STEPS: Final = 10_000  # a queue that rings twenty people for an hour has about half as many
_LONGEST_STEP: Final = 16
_LONGEST_TEXT: Final = 10_000  # text of the far end; the index stores the beginning
_MOST_MUTED: Final = 10_000
_RATES_HZ: Final = range(8_000, 48_001)


def exceeded_limit(report: CallReport, now: datetime) -> str | None:
    """Return which limit a report exceeds; None if it exceeds none."""
    return next(_problems(report, now), None)


def exceeded_recording_limit(manifest: Manifest, mixed: Mixed, now: datetime) -> str | None:
    """Return which limit a recording, or the call in its manifest, exceeds; None for none."""
    return next(_problems(manifest.call, now), None) or next(_recording_problems(manifest, mixed), None)


def _problems(report: CallReport, now: datetime) -> Iterator[str]:
    if not 0 < len(report.linkedid) <= LONGEST_LINKEDID or "\0" in report.linkedid:
        yield f"linkedid must have 1 to {LONGEST_LINKEDID} characters"
    if report.merged_into == report.linkedid:
        yield "a call cannot be merged into itself"
    if not 0 <= report.revision <= _AHEAD_MS + milliseconds(now):
        yield "revision must be at least 0 and at most a month ahead of the store's clock; is the clock of the PBX right?"
    if len(report.participants) > _MOST_PARTS or len(report.segments) > _MOST_PARTS:
        yield f"a call has at most {_MOST_PARTS} participants and as many segments"
    if report.live is not None and (len(report.live.parties) > _MOST_PARTS or len(report.live.sides) > _MOST_PARTS):
        yield f"at most {_MOST_PARTS} parties talk in a call"
    yield from _quality_problems(report)
    if len(report.path) > _MOST_STEPS:
        yield f"the path has more than {_MOST_STEPS} steps"
    yield from _name_problems(report)
    yield from _time_problems(report)


def _quality_problems(report: CallReport) -> Iterator[str]:
    known = [quality for quality in (report.quality, *(step.quality for step in report.path)) if quality is not None]
    if not all(_is_quality(quality) for quality in known):
        yield f"a quality has a mos of 1 to 5, a loss_pct of 0 to 100, and jitter_ms and rtt_ms of 0 to {_LONGEST_CALL_MS}"


def _is_quality(quality: Quality) -> bool:
    times = (quality.jitter_ms, quality.rtt_ms or 0)
    # Also refuses NaN.
    return 1 <= quality.mos <= 5 and 0 <= quality.loss_pct <= 100 and all(0 <= each <= _LONGEST_CALL_MS for each in times)


def _name_problems(report: CallReport) -> Iterator[str]:
    users = (segment.user for segment in report.segments)
    sides = [side.user for side in report.live.sides] if report.live is not None else []
    parties = report.live.parties if report.live is not None else ()
    names = (
        report.domain,
        report.employee,
        report.number,
        *report.participants,
        *users,
        *sides,
        *(party.login for party in parties),
    )
    if not all(name is None or _is_name(name) for name in names):
        yield f"a domain's name, a login or a number of the company has at most {LONGEST_LOGIN} characters and no NUL"
    of_pbx = (report.src, report.src_name, report.dst, report.answered_by, report.trunk, report.queue)
    if any(len(text or "") > _LONGEST_TEXT for text in (*of_pbx, *(party.who for party in parties))):
        yield f"src, src_name, dst, answered_by, trunk, queue and the parties have at most {_LONGEST_TEXT} characters"
    if any(
        len(step.what) > _LONGEST_STEP or "\0" in step.what or max(len(step.who), len(step.by)) > _LONGEST_TEXT
        for step in report.path
    ):
        yield "a step of the path is too long"
    yield from filter(None, (_segment_name_problem(segment.name) for segment in report.segments))


def _time_problems(report: CallReport) -> Iterator[str]:
    since = report.live.talking_since if report.live is not None else None
    moments = (report.started_at, report.answered_at, report.ended_at, since)
    inside = (*(step.at for step in report.path), *(segment.started_at for segment in report.segments))
    if not all(moment is None or _is_time(moment) for moment in (*moments, *inside)):
        yield "every time needs a zone and lies between the years 2000 and 2100"
    elif report.ended_at is not None and report.ended_at - report.started_at > LONGEST_CALL:
        yield f"a call of more than {LONGEST_CALL.days} days"
    if not 0 <= report.talk_ms <= _LONGEST_CALL_MS:
        yield f"talk_ms must be 0 to {_LONGEST_CALL_MS}"
    if report.wait_ms is not None and not 0 <= report.wait_ms <= _LONGEST_CALL_MS:
        yield f"wait_ms must be 0 to {_LONGEST_CALL_MS}"


def _recording_problems(manifest: Manifest, mixed: Mixed) -> Iterator[str]:
    yield from filter(None, [_segment_name_problem(manifest.name)])
    if not _is_name(manifest.user):
        yield f"a login has at most {LONGEST_LOGIN} characters and no NUL"
    if not _is_time(manifest.started_at):
        yield "every time needs a zone and lies between the years 2000 and 2100"
    if not 0 <= manifest.talk_ms <= _LONGEST_CALL_MS:
        yield f"talk_ms must be 0 to {_LONGEST_CALL_MS}"
    within = all(0 <= span.from_ms <= span.to_ms <= _LONGEST_CALL_MS for span in manifest.muted)
    if not within or len(manifest.muted) > _MOST_MUTED:
        yield f"muted spans lie in order between 0 and {_LONGEST_CALL_MS} ms, {_MOST_MUTED} at most"
    if not 0 < mixed.duration_ms <= _LONGEST_AUDIO_MS:
        yield f"duration_ms must be 1 to {_LONGEST_AUDIO_MS}"
    if mixed.speech is not None and not all(0 <= each <= _LONGEST_AUDIO_MS for each in _lengths(mixed.speech)):
        yield f"the times of speech must be 0 to {_LONGEST_AUDIO_MS}"
    if mixed.rate_hz not in _RATES_HZ:
        yield f"rate_hz must be {_RATES_HZ[0]} to {_RATES_HZ[-1]}"


def _lengths(speech: Speech) -> tuple[int, ...]:
    return tuple(length or 0 for length in astuple(speech))


def _is_name(text: str) -> bool:
    return len(text) <= LONGEST_LOGIN and "\0" not in text


def _is_time(moment: datetime) -> bool:
    return moment.utcoffset() is not None and _EARLIEST <= moment < _LATEST


def _segment_name_problem(name: str) -> str | None:
    # `safe` cuts longer names, so that two segments could become one object.
    if name == safe(name) and len(name) <= LONGEST_SEGMENT_NAME:
        return None
    return f"segment name {name[:LONGEST_SEGMENT_NAME]!r} may hold letters, digits, - and _ only, at most {LONGEST_SEGMENT_NAME}"
