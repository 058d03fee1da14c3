"""Who is asking, and whether the request may be theirs at all (cookie, bearer token, cross-site)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import HTTPConnection

from api.dependencies.services import Services, Shared
from api.http.problems import Problem, not_logged_in
from fonoteka.core.domains import Role
from store.audit.write import Actor
from store.people.accounts import Account, Pbx, account_of, pbx_of

COOKIE: Final = "fonoteka_session"
# For the description alone (OpenAPI): who asks is found out by the functions below.
BROWSER: Final = APIKeyCookie(name=COOKIE, scheme_name="session", auto_error=False, description="a browser that has logged in")
_PROGRAM: Final = HTTPBearer(scheme_name="token", auto_error=False, description="the `token` that login returns")
_AGENT: Final = HTTPBearer(scheme_name="pbx", auto_error=False, description="the token of a PBX, as `fonoteka pbx add` prints it")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_same_origin(headers: Mapping[str, str]) -> bool | None:
    """Whether our own page sent this; None if the browser does not say (or it is no browser)."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    if (origin := headers.get("origin")) is not None:
        return _host(origin) == headers.get("host")
    return None


def own_navigation(connection: HTTPConnection) -> None:
    """For what is costly, or told of in the audit, though it is a GET: another site's link carries the cookie too (SameSite=Lax).

    What somebody types, or a program sends, comes from no site. Raises Problem 403 where another site sent it.
    """
    if not bearer(connection.headers) and connection.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Problem(403, "cross-site", "this request did not come from the portal's own page")


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:  # such as an address in brackets that do not close
        return None


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of `Authorization: Bearer`, None if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def session_token(connection: HTTPConnection) -> str | None:
    """A program's token, else a browser's cookie.

    A browser sends the cookie by itself, so anything that changes something, and a WebSocket, must come from our own page.
    Raises Problem where it does not.
    """
    if token := bearer(connection.headers):
        return token
    token = connection.cookies.get(COOKIE)
    unsafe = connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE
    if token and unsafe and not is_same_origin(connection.headers):
        raise Problem(403, "cross-site", "this request did not come from the portal's own page")
    return token


async def logged_in(
    connection: HTTPConnection,
    services: Shared,
    _program: Annotated[object, Security(_PROGRAM)],
    _browser: Annotated[object, Security(BROWSER)],
) -> Account:
    """The person asking. Raises Problem 401."""
    account = await account_by(services, session_token(connection))
    if account is None:
        raise not_logged_in()
    return account


async def account_by(services: Services, token: str | None) -> Account | None:
    """Whose token it is, if anybody's."""
    return await account_of(services.store, token, datetime.now(UTC)) if token else None


async def administrator(account: Annotated[Account, Depends(logged_in)]) -> Account:
    """The person asking, who must be an administrator. Raises Problem 403."""
    if account.role is not Role.ADMIN:
        raise Problem(403, "administrators-only", "only an administrator of the domain may do this")
    return account


async def known_pbx(connection: HTTPConnection, services: Shared, _agent: Annotated[object, Security(_AGENT)]) -> Pbx:
    """The PBX whose agent is asking. Raises Problem 401."""
    token = bearer(connection.headers)
    pbx = await pbx_of(services.store, token) if token else None
    if pbx is None:
        detail = "agent.token is not one that `fonoteka pbx add` has printed for this store"
        raise Problem(401, "unknown-pbx", detail, headers={"WWW-Authenticate": "Bearer"})
    return pbx


def actor(connection: HTTPConnection, account: Account) -> Actor:
    """Who did it, for the audit."""
    return Actor(login=account.login, address=address_of(connection))


def address_of(connection: HTTPConnection) -> str:
    """Where a request came from (behind a trusted proxy: what the proxy says)."""
    return connection.client.host if connection.client else "unknown"


Person = Annotated[Account, Depends(logged_in)]
Administrator = Annotated[Account, Depends(administrator)]
Agent = Annotated[Pbx, Depends(known_pbx)]
