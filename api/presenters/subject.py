"""Convert the calls of an outside party into the API's models."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from api.schemas import models
from store.subjects.calls import SubjectCall, SubjectCalls


def subject(found: SubjectCalls, zone: ZoneInfo) -> models.Subject:
    """Return what is kept of an outside party."""
    moments = [call.started_at.astimezone(zone) for call in found.calls]
    return models.Subject(
        number=found.number,
        calls=len(found.calls),
        recordings=found.recordings,
        first_at=moments[0] if moments else None,
        last_at=moments[-1] if moments else None,
        held=_calls(found.held, zone),
        in_progress=_calls(found.in_progress, zone),
    )


def erased(found: SubjectCalls, number_erased: int, zone: ZoneInfo) -> models.SubjectErased:
    """Return what an erasure did to the calls that were found."""
    return models.SubjectErased(
        number=found.number,
        erased=number_erased,
        failed=len(found.erasable) - number_erased,
        held=_calls(found.held, zone),
        in_progress=_calls(found.in_progress, zone),
    )


def _calls(listed: Sequence[SubjectCall], zone: ZoneInfo) -> list[models.SubjectCall]:
    return [
        models.SubjectCall(
            id=call.public_id, started_at=call.started_at.astimezone(zone), direction=call.direction, src=call.src, dst=call.dst
        )
        for call in listed
    ]
