"""`/api/login`, `/api/logout`, `/api/me`."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request, Response

from api.dependencies.access import COOKIE, CurrentAccount, actor, address_of, cross_site, is_same_origin, session_token
from api.dependencies.services import Services, Shared
from api.http.problems import Problem, Responses
from api.limits.login_throttle import LoginAttempt
from api.limits.network import network_of
from api.presenters.call import me as present_me
from api.schemas import models
from store.people.accounts import change_password, log_in
from store.people.origins import KNOWN_FOR, device_origin, is_known_device, known_origin, network_origin
from store.people.passwords import new_token, token_hash
from store.people.sessions import SESSION_ENDS, log_out

router = APIRouter(prefix="/api", tags=["session"])

_REFUSED: Final[Responses] = {status: {"model": models.Problem} for status in (401, 403, 429, 503)}
DEVICE_COOKIE: Final = "fonoteka_device"
_LOGIN_PATH: Final = "/api/login"


@router.post("/login", operation_id="login", responses=_REFUSED)
async def login(credentials: models.Credentials, request: Request, response: Response, services: Shared) -> models.LoggedIn:
    """Open a session.

    401 is the same for a wrong domain, login or password. 429 after repeated failures, and 503 when
    too many users log in at once, have Retry-After. The guesses of others do not delay a device or
    address from which the user logged in within 90 days.
    """
    if is_same_origin(request) is False:
        raise cross_site()
    now, address = datetime.now(UTC), address_of(request)
    domain, user, here = credentials.domain, credentials.login, network_origin(network_of(address))
    device = request.cookies.get(DEVICE_COOKIE)
    known = await known_origin(services.store, domain, user, [*([device_origin(device)] if device else []), here], now)
    attempt = LoginAttempt(domain=domain, login=user, address=address, known=known)
    async with _attempt_slot(services, attempt):
        token = await _token_of_device(services, request)
        session = await log_in(
            services.store,
            domain,
            user,
            credentials.password,
            now,
            address=address,
            device=request.headers.get("user-agent", ""),
            origins=[*([device_origin(token)] if token else []), here],
        )
    if session is None:
        await services.failed_logins.add(attempt, now)
        raise Problem(401, "login-failed", "domain, login or password is wrong")
    await services.login_throttle.succeeded(attempt)
    _set_cookies(request, response, session[0], token)
    return models.LoggedIn(token=session[0], me=present_me(session[1], services.disk.state))


async def _token_of_device(services: Services, request: Request) -> str | None:
    """Return the token of a browser's device, a new one if it has none; None for a program.

    A token that no login has left is not taken: another person may have put it there.
    """
    if not is_same_origin(request):
        return None
    token = request.cookies.get(DEVICE_COOKIE)
    return token if token and await is_known_device(services.store, token) else new_token()


def _set_cookies(request: Request, response: Response, session: str, device: str | None) -> None:
    """Set the cookie of the session, and that of the device, which is sent to the login only."""
    secure, ends_s = request.url.scheme == "https", int(SESSION_ENDS.total_seconds())
    response.set_cookie(COOKIE, session, max_age=ends_s, httponly=True, samesite="lax", secure=secure, path="/")
    if device is not None:
        known_s = int(KNOWN_FOR.total_seconds())
        response.set_cookie(
            DEVICE_COOKIE, device, max_age=known_s, httponly=True, samesite="strict", secure=secure, path=_LOGIN_PATH
        )


@router.post("/logout", operation_id="logout", status_code=204, responses={403: {"model": models.Problem}})
async def logout(request: Request, response: Response, services: Shared) -> None:
    """Close the session, if there is one. The device stays known."""
    if token := session_token(request):
        await log_out(services.store, token, datetime.now(UTC), address=address_of(request))
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https")


@router.post("/me/password", operation_id="changePassword", status_code=204, responses=_REFUSED | {403: {"model": models.Problem}})
async def change_own_password(change: models.PasswordChange, account: CurrentAccount, request: Request, services: Shared) -> None:
    """Change the password of the account; all its other sessions end.

    403 (`wrong-password`) if `current` is wrong; the attempts of a session count, and are slowed
    down, by themselves.
    """
    now, token = datetime.now(UTC), session_token(request)
    assert token is not None
    attempt = LoginAttempt(
        domain=account.domain, login=account.login, address=address_of(request), known=f"session {token_hash(token)}"
    )
    async with _attempt_slot(services, attempt):
        by = actor(request, account)
        changed = await change_password(services.store, account, change.current, change.new, token=token, by=by, now=now)
    if not changed:
        await services.failed_logins.add(attempt, now)
        raise Problem(403, "wrong-password", "the current password is wrong")
    await services.login_throttle.succeeded(attempt)


@asynccontextmanager
async def _attempt_slot(services: Services, attempt: LoginAttempt) -> AsyncIterator[None]:
    """Count an attempt, and hold a slot while the block checks it. Raises Problem 429, 503."""
    if wait := await services.login_throttle.begin(attempt):
        seconds = math.ceil(wait.total_seconds())
        raise Problem(429, "too-many-attempts", f"try again in {seconds} s", headers={"Retry-After": str(seconds)})
    async with services.logins.try_enter(attempt.known is not None) as entered:
        if not entered:
            await services.login_throttle.not_tried(attempt)
            raise Problem(503, "busy", "very many are logging in; try again in a second", headers={"Retry-After": "1"})
        yield


@router.get("/me", operation_id="me", responses={401: {"model": models.Problem}})
async def me(account: CurrentAccount, services: Shared) -> models.Me:
    """Return the account that is logged in."""
    return present_me(account, services.disk.state)
