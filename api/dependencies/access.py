"""Authenticate requests (session cookie, bearer token) and refuse cross-site ones."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import HTTPConnection

from api.dependencies.services import Services, Shared
from api.http.problems import Problem, not_logged_in
from fonoteka.core.domains import Role
from store.audit.write import Actor
from store.people.accounts import Account, Pbx, account_of, pbx_of

COOKIE: Final = "fonoteka_session"
# Only for the OpenAPI document: the functions below authenticate.
BROWSER: Final = APIKeyCookie(name=COOKIE, scheme_name="session", auto_error=False, description="session of a browser")
_PROGRAM: Final = HTTPBearer(scheme_name="token", auto_error=False, description="`token` of the login's answer")
_AGENT: Final = HTTPBearer(scheme_name="pbx", auto_error=False, description="token of a PBX, printed by `fonoteka pbx add`")
_HTTP_SCHEMES: Final = {"ws": "http", "wss": "https"}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_same_origin(connection: HTTPConnection) -> bool | None:
    """Whether a page of the portal sent the request; None if the client does not say.

    Scheme, host and port must agree: http and https of one host are different origins. Behind a
    proxy the scheme is what a trusted proxy names.
    """
    if (site := connection.headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    if (origin := connection.headers.get("origin")) is not None:
        scheme = _HTTP_SCHEMES.get(connection.scope["scheme"], connection.scope["scheme"])
        return origin.lower() == f"{scheme}://{connection.headers.get('host', '').lower()}"
    return None


def refuse_cross_site(connection: HTTPConnection) -> None:
    """Refuse requests from another site. Raises Problem 403.

    For GET requests that are costly or written to the audit: a link on another site carries the
    cookie too (SameSite=Lax). An address typed by a user, and a program, come from no site.
    """
    if not bearer(connection.headers) and connection.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise cross_site()


def cross_site() -> Problem:
    """The answer to a request that another site sent."""
    return Problem(403, "cross-site", "this request did not come from the portal's own page")


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token of `Authorization: Bearer`, None if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def session_token(connection: HTTPConnection) -> str | None:
    """Return the session token: the bearer token of a program, else the cookie of a browser.

    A browser sends the cookie by itself, so a request that changes data, and a WebSocket, must come
    from a page of the portal. Raises Problem 403 if it does not.
    """
    if token := bearer(connection.headers):
        return token
    token = connection.cookies.get(COOKIE)
    unsafe = connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE
    if token and unsafe and not is_same_origin(connection):
        raise cross_site()
    return token


async def logged_in(
    connection: HTTPConnection,
    services: Shared,
    _program: Annotated[object, Security(_PROGRAM)],
    _browser: Annotated[object, Security(BROWSER)],
) -> Account:
    """Return the account that is logged in. Raises Problem 401."""
    account = await account_by(services, session_token(connection))
    if account is None:
        raise not_logged_in()
    return account


async def account_by(services: Services, token: str | None) -> Account | None:
    """Return the account of a session token, None if the session is over or unknown."""
    return await account_of(services.store, token, datetime.now(UTC)) if token else None


async def administrator(account: Annotated[Account, Depends(logged_in)]) -> Account:
    """Return the account that is logged in, an administrator. Raises Problem 401, 403."""
    if account.role is not Role.ADMIN:
        raise Problem(403, "administrators-only", "only an administrator of the domain may do this")
    return account


async def pbx_of_agent(connection: HTTPConnection, services: Shared, _agent: Annotated[object, Security(_AGENT)]) -> Pbx:
    """Return the PBX of the agent. Raises Problem 401."""
    token = bearer(connection.headers)
    pbx = await pbx_of(services.store, token) if token else None
    if pbx is None:
        detail = "agent.token is not one that `fonoteka pbx add` has printed for this store"
        raise Problem(401, "unknown-pbx", detail, headers={"WWW-Authenticate": "Bearer"})
    return pbx


def actor(connection: HTTPConnection, account: Account) -> Actor:
    """Return the account and its address, for the audit."""
    return Actor(login=account.login, address=address_of(connection))


def address_of(connection: HTTPConnection) -> str:
    """Return the IP address of the client; behind a trusted proxy, the one that the proxy names."""
    return connection.client.host if connection.client else "unknown"


CurrentAccount = Annotated[Account, Depends(logged_in)]
Administrator = Annotated[Account, Depends(administrator)]
Agent = Annotated[Pbx, Depends(pbx_of_agent)]
