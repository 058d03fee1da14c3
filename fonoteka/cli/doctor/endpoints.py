"""Check that the endpoints of users and the trunks exist on the PBX."""

from collections.abc import Iterator
from typing import Final

from agent.ami.client import AmiClient
from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.domains import Domain, DomainSettings
from fonoteka.core.errors import AmiActionFailed

_TECHNOLOGY: Final = "PJSIP/"
_SHOWN: Final = 8


async def on_pbx(client: AmiClient) -> frozenset[str]:
    """Return the PJSIP endpoints of the PBX as `PJSIP/name`, realtime endpoints too.

    Raises AmiActionFailed if the account may not ask.
    """
    try:
        rows = await client.listing("PJSIPShowEndpoints", timeout_s=30)
    except AmiActionFailed as error:
        if "No endpoints found" in str(error):
            return frozenset()
        raise
    return frozenset(_TECHNOLOGY + row["ObjectName"] for row in rows if row.get("ObjectName"))


def check(settings: DomainSettings, trunks: tuple[str, ...], there: frozenset[str]) -> Iterator[Finding]:
    """Compare the settings and `pbx.trunks` with the endpoints in `there`. Pure."""
    yield _users(settings.domains, there)
    if strange := [trunk for trunk in trunks if _pjsip(trunk) and trunk not in there]:
        yield Finding(
            part="kit",
            check="trunks",
            ok=False,
            detail=f"pbx.trunks names endpoints that Asterisk lacks: {_some(strange)}",
            mend="correct pbx.trunks: the endpoints that lead outside, as PJSIP/NAME",
        )


def _users(domains: tuple[Domain, ...], there: frozenset[str]) -> Finding:
    check = "endpoints of users"
    if not any(_pjsip(endpoint) for domain in domains for endpoint in _endpoints(domain)):
        return Finding(part="kit", check=check, ok=None, detail="no user has a PJSIP endpoint; other channel types are not checked")
    here = [domain for domain in domains if there.intersection(_endpoints(domain))]
    missing = [endpoint for domain in here for endpoint in _endpoints(domain) if _pjsip(endpoint) and endpoint not in there]
    return Finding(
        part="kit",
        check=check,
        ok=bool(here) and not missing,
        detail=_lacking(missing, here, domains),
        mend="correct `endpoints` in the file that `fonoteka apply` takes (`fonoteka apply --from-asterisk` shows what there is)",
    )


def _lacking(missing: list[str], here: list[Domain], domains: tuple[Domain, ...]) -> str:
    """Describe the result. A domain without any endpoint here is taken for another PBX's."""
    if not here:
        return "Asterisk has no endpoint of any user"
    elsewhere = [domain.name for domain in domains if domain not in here and domain.users]
    there = f"; on another PBX: {_some(elsewhere)}" if elsewhere else ""
    return (f"Asterisk has no {_some(missing)}" if missing else "Asterisk has all of them") + there


def _endpoints(domain: Domain) -> list[str]:
    return [endpoint for user in domain.users for endpoint in user.endpoints]


def _pjsip(endpoint: str) -> bool:
    return endpoint.startswith(_TECHNOLOGY)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
