"""Check the API: it is ready and knows this PBX. Yields the settings of the domains too."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
from pydantic import TypeAdapter, ValidationError

from agent.shipping.api_address import api_address_problem
from fonoteka.cli.doctor.finding import Finding
from fonoteka.cli.parts import api_address, own_token_file
from fonoteka.core.config import AgentSection, Configuration
from fonoteka.core.domains import DomainSettings

PATIENCE_S: Final = 6.0
CLOCKS_DIFFER_S: Final = 10.0
_SETTINGS: Final = TypeAdapter(DomainSettings)


async def check(configuration: Configuration) -> AsyncIterator[Finding | DomainSettings]:
    """Yield the findings, and the settings if the API returned them."""
    # `up` gives its agent the address of the API; an agent alone has it in its configuration.
    base = configuration.agent.api if configuration.agent.token is not None else f"http://{api_address(configuration)}"
    if configuration.agent.token is not None:
        yield _encrypted(configuration.agent)
    try:
        async with httpx.AsyncClient(base_url=base, timeout=PATIENCE_S, trust_env=False) as http:
            yield await _ready(http, base)
            yield await _same_time(http, base)
            answer = await http.get(
                "/agent/v1/settings",
                params={"known": 0, "wait_s": 0},
                headers={"Authorization": f"Bearer {_token(configuration)}"},
            )
            yield Finding(
                part="api",
                check="knows this PBX",
                ok=answer.is_success,
                detail=f"PBX {configuration.pbx.name}: {answer.status_code}",
                mend="`fonoteka pbx add NAME --domain …` where the API runs, and put the token into agent.token",
            )
            if answer.is_success:
                settings = _SETTINGS.validate_json(answer.content) if answer.content else DomainSettings(version=0)
                yield served_domains(configuration, settings)
                yield _has_users(settings)
                yield settings
    except (httpx.HTTPError, ValidationError) as error:
        seen = f"agent.api = {base}: {error or type(error).__name__}"
        mend = "is `fonoteka api` (or `up`) running there, in this version?"
        yield Finding(part="api", check="reachable", ok=False, detail=seen, mend=mend)


async def _ready(http: httpx.AsyncClient, base: str) -> Finding:
    ready = await http.get("/readyz")
    return Finding(
        part="api",
        check="ready",
        ok=ready.is_success,
        detail=f"{base}: {ready.status_code} {_said(ready)}",
        mend="the API runs, but its index or objects take nothing, or an agent hears nothing: see the log of that part",
    )


async def _same_time(http: httpx.AsyncClient, base: str) -> Finding:
    """Compare the clock of this machine with that of the API, as HTTP gives it: whole seconds."""
    answer, here = await http.get("/healthz"), datetime.now(UTC)
    try:
        ahead_s = (here - parsedate_to_datetime(answer.headers["Date"])).total_seconds()
    except (KeyError, ValueError):
        ahead_s = 0.0
    return Finding(
        part="api",
        check="same time",
        ok=abs(ahead_s) < CLOCKS_DIFFER_S,
        detail=f"the clock of this machine is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} that of {base}",
        mend="set both by NTP (chrony or systemd-timesyncd): the clock of the PBX dates its calls",
    )


def served_domains(configuration: Configuration, settings: DomainSettings) -> Finding:
    """Find whether somebody has named the domains that this PBX serves."""
    name, names = configuration.pbx.name, " ".join(f"--domain {domain.name}" for domain in settings.domains)
    return Finding(
        part="api",
        check="domains of this PBX",
        ok=not settings.domains_unset,
        detail="all, since it was registered before PBXs named their domains: its token opens every company"
        if settings.domains_unset
        else ", ".join(domain.name for domain in settings.domains) or "none",
        mend=f"where the API runs: `fonoteka pbx domains {name} {names or '--domain NAME'}` with the right ones, "
        "or `--all-domains` if they are meant",
    )


def _encrypted(section: AgentSection) -> Finding:
    problem = api_address_problem(section)
    mend = "put a proxy with TLS before the API (deploy/nginx.conf) and name it in agent.api"
    return Finding(part="api", check="address", ok=problem is None, detail=problem or section.api, mend=mend)


def _said(answer: httpx.Response) -> str:
    """Return the detail of a problem document, or the beginning of any other answer."""
    try:
        text = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        text = answer.text
    return " ".join(text.split())[:300]


def _has_users(settings: DomainSettings) -> Finding:
    users = sum(len(domain.users) for domain in settings.domains)
    return Finding(
        part="api",
        check="has users",
        ok=users > 0,
        detail=f"{len(settings.domains)} domains, {users} users",
        mend="write the file of domains, users and numbers (`fonoteka apply --from-asterisk` proposes one) and `fonoteka apply` it",
    )


def _token(configuration: Configuration) -> str:
    """Return the configured token of the agent, else the token that `up` made, else ''."""
    if configuration.agent.token is not None:
        return configuration.agent.token.get_secret_value()
    path = own_token_file(configuration)
    return path.read_text(encoding="ascii").strip() if path.exists() else ""
