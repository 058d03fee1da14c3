"""Convert calls and accounts into the API's models, with times in the domain's time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

from api.presenters.live_call import live
from api.schemas import models
from fonoteka.core.call_report import PathStep, Quality
from fonoteka.core.disk_forecast import DiskState
from fonoteka.core.domains import Role
from fonoteka.core.manifest import Speech
from store.intake.facts import whole_seconds
from store.intake.recording_state import Recording
from store.people.accounts import Account
from store.queries.calls import SeenCall


def call(seen: SeenCall, zone: ZoneInfo) -> models.Call:
    """Return a row of the table."""
    return models.Call(**_fields(seen, zone))


def call_with_path(seen: SeenCall, path: tuple[PathStep, ...], zone: ZoneInfo) -> models.CallWithPath:
    """Return a call with the steps of its path."""
    steps = [
        models.PathStep(
            at=step.at.astimezone(zone),
            what=step.what,
            who=step.who,
            by=step.by,
            reason=step.reason,
            quality=_quality(step.quality),
        )
        for step in path
    ]
    return models.CallWithPath(**_fields(seen, zone), path=steps)


def recording(seen: Recording, *, held: bool, expires_at: datetime | None) -> models.Recording:
    """Return the state, the segments and the date of expiry of a recording."""
    segments = [
        models.Segment(
            user=part.user,
            offset_ms=part.offset_ms,
            duration_ms=part.duration_ms,
            muted=[models.MutedSpan(from_ms=span.from_ms, to_ms=span.to_ms) for span in part.muted],
        )
        for part in seen.parts
    ]
    return models.Recording(
        state=seen.state,
        reason=seen.reason,
        duration_ms=seen.duration_ms,
        held=held,
        expires_at=expires_at,
        speech=_speech(seen.speech),
        segments=segments,
    )


def _speech(seen: Speech | None) -> models.Speech | None:
    if seen is None:
        return None
    return models.Speech(
        outside_s=seen.outside_ms / 1000,
        employee_s=seen.employee_ms / 1000,
        overlap_s=seen.overlap_ms / 1000,
        silence_s=seen.silence_ms / 1000,
        longest_silence_s=seen.longest_silence_ms / 1000,
        first_word_s=None if seen.first_word_ms is None else seen.first_word_ms / 1000,
    )


def _quality(seen: Quality | None) -> models.Quality | None:
    if seen is None:
        return None
    return models.Quality(mos=seen.mos, loss_pct=seen.loss_pct, jitter_ms=seen.jitter_ms, rtt_ms=seen.rtt_ms)


def me(account: Account, disk: DiskState) -> models.Me:
    """Return the account that is logged in; `disk` is that of the recordings."""
    domain = models.DomainOfMe(name=account.domain, title=account.domain_title, timezone=account.timezone)
    is_admin = account.role is Role.ADMIN
    return models.Me(
        login=account.login,
        name=account.name,
        role=account.role,
        domain=domain,
        store_disk=disk if is_admin else None,
        quota_nearly_used=account.quota_warned if is_admin else None,
    )


def _fields(seen: SeenCall, zone: ZoneInfo) -> dict[str, object]:
    employee = None
    if seen.employee is not None:
        employee = models.Employee(login=seen.employee, name=seen.employee_name or seen.employee)
    return {
        "id": seen.public_id,
        "pbx": seen.pbx,
        "linkedid": seen.linkedid,
        "domain": seen.domain,
        "direction": seen.direction,
        "result": seen.result,
        "employee": employee,
        "src": seen.src,
        "src_name": seen.src_name,
        "dst": seen.dst,
        "number": seen.number,
        "answered_by": seen.answered_by,
        "started_at": seen.started_at.astimezone(zone),
        "answered_at": _local(seen.answered_at, zone),
        "ended_at": _local(seen.ended_at, zone),
        "duration_s": seen.duration_s,
        "talk_s": whole_seconds(seen.talk_ms),
        "trunk": seen.trunk,
        "queue": seen.queue,
        "wait_s": None if seen.wait_ms is None else whole_seconds(seen.wait_ms),
        "quality": _quality(seen.quality),
        "called_back_at": _local(seen.called_back_at, zone),
        "recording": recording(seen.recording, held=seen.legal_hold, expires_at=_local(seen.expires_at, zone)),
        "live": live(seen, zone),
    }


def _local(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    return None if moment is None else moment.astimezone(zone)
