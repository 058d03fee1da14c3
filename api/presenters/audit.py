"""Convert audit entries into the API's models, with times in the domain's time zone."""

from zoneinfo import ZoneInfo

from api.schemas import models
from store.audit.read import SeenEntry


def entry(seen: SeenEntry, zone: ZoneInfo) -> models.AuditEntry:
    """Return an entry."""
    call = None
    if seen.call is not None:
        started_at = seen.call.started_at.astimezone(zone)
        call = models.AuditedCall(src=seen.call.src, dst=seen.call.dst, started_at=started_at)
    return models.AuditEntry(
        at=seen.at.astimezone(zone),
        login=seen.login,
        name=seen.name,
        address=seen.address,
        action=seen.action,
        subject=seen.subject,
        detail=dict(seen.detail),
        call=call,
    )
