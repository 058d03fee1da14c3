"""Check that the telephones of users who record on demand may dial the feature codes."""

from typing import Final

from fonoteka.cli.doctor import conf
from fonoteka.cli.doctor.finding import Finding
from fonoteka.cli.doctor.kit import PART, Pbx, may_not_ask, texts
from fonoteka.core.domains import DomainSettings, RecordRule
from fonoteka.core.errors import AmiActionFailed

_DYNAMIC: Final = "DYNAMIC_FEATURES"


async def check(pbx: Pbx, settings: DomainSettings, there: frozenset[str]) -> list[Finding]:
    """Check the endpoints' `set_var` and the dialplan; `there` are the endpoints of the PBX."""
    codes = [line.key for text in texts("features.d").values() for line in conf.parse(text)]
    names = "#".join(codes)
    asked = {
        endpoint
        for domain in settings.domains
        for user in domain.users
        if user.record is RecordRule.ON_DEMAND
        for endpoint in there.intersection(user.endpoints)
    }
    try:
        by_dialplan = any(_DYNAMIC in step.arguments and _named(codes, step.arguments) for step in await pbx.dialplan())
        without = [] if by_dialplan else [endpoint for endpoint in sorted(asked) if not await _has(pbx, endpoint, codes)]
    except AmiActionFailed as error:
        return [may_not_ask("feature codes", error, f"set_var = {_DYNAMIC}={names} of each telephone that may use them")]
    said = f"{', '.join(without)} cannot dial them" if without else "users who record on demand can dial them"
    mend = f"set_var = {_DYNAMIC}={names} in the endpoint of each telephone that may use them, then asterisk -rx 'pjsip reload'"
    return [Finding(part=PART, check="feature codes", ok=not without, detail=said, mend=mend)]


async def _has(pbx: Pbx, endpoint: str, codes: list[str]) -> bool:
    details = await pbx.client.listing("PJSIPShowEndpoint", Endpoint=endpoint.partition("/")[2])
    return any(_DYNAMIC in said and _named(codes, said) for row in details if (said := row.get("SetVar", "")))


def _named(codes: list[str], text: str) -> bool:
    """Return whether a text names a code. One is enough: pausing may be left out."""
    return any(code in text for code in codes)
