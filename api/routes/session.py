"""`/api/login`, `/api/logout`, `/api/me`."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request, Response

from api.dependencies.access import COOKIE, CurrentAccount, account_by, actor, address_of, cross_site, is_same_origin, session_token
from api.dependencies.services import Services, Shared
from api.http.problems import Problem, Responses
from api.limits.login_throttle import LoginAttempt
from api.presenters.call import me as present_me
from api.schemas import models
from store.people.accounts import SESSION_LASTS, change_password, log_in, log_out

router = APIRouter(prefix="/api", tags=["session"])

_REFUSED: Final[Responses] = {status: {"model": models.Problem} for status in (401, 403, 429, 503)}


@router.post("/login", operation_id="login", responses=_REFUSED)
async def login(credentials: models.Credentials, request: Request, response: Response, services: Shared) -> models.LoggedIn:
    """Open a session.

    401 is the same for a wrong domain, login or password. 429 after repeated failures, and 503 when
    too many users log in at once, have Retry-After.
    """
    if is_same_origin(request.headers) is False:
        raise cross_site()
    now = datetime.now(UTC)
    attempt = LoginAttempt(domain=credentials.domain, login=credentials.login, address=address_of(request))
    async with _attempt_slot(services, attempt, now):
        session = await log_in(services.store, attempt.domain, attempt.login, credentials.password, now, address=attempt.address)
    if session is None:
        await services.failed_logins.add(attempt, now)
        raise Problem(401, "login-failed", "domain, login or password is wrong")
    services.login_throttle.succeeded(attempt)
    token, account = session
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, token, max_age=int(SESSION_LASTS.total_seconds()), httponly=True, samesite="lax", secure=secure, path="/"
    )
    return models.LoggedIn(token=token, me=present_me(account))


@router.post("/logout", operation_id="logout", status_code=204, responses={403: {"model": models.Problem}})
async def logout(request: Request, response: Response, services: Shared) -> None:
    """Close the session, if there is one."""
    if token := session_token(request):
        account = await account_by(services, token)
        by = actor(request, account) if account else None
        await log_out(services.store, token, account, by, datetime.now(UTC))
        if account is not None:
            services.live.check_sessions(account.domain_id)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https")


@router.post("/me/password", operation_id="changePassword", status_code=204, responses=_REFUSED | {403: {"model": models.Problem}})
async def change_own_password(change: models.PasswordChange, account: CurrentAccount, request: Request, services: Shared) -> None:
    """Change the password of the account; all its other sessions end.

    403 (`wrong-password`) if `current` is wrong; attempts count, and are slowed down, as at login.
    """
    now, token = datetime.now(UTC), session_token(request)
    assert token is not None
    attempt = LoginAttempt(domain=account.domain, login=account.login, address=address_of(request))
    async with _attempt_slot(services, attempt, now):
        by = actor(request, account)
        changed = await change_password(services.store, account, change.current, change.new, token=token, by=by, now=now)
    if not changed:
        await services.failed_logins.add(attempt, now)
        raise Problem(403, "wrong-password", "the current password is wrong")
    services.login_throttle.succeeded(attempt)
    services.live.check_sessions(account.domain_id)


@asynccontextmanager
async def _attempt_slot(services: Services, attempt: LoginAttempt, now: datetime) -> AsyncIterator[None]:
    """Count an attempt, and hold a slot while the block checks it. Raises Problem 429, 503."""
    if wait := services.login_throttle.begin(attempt, now):
        seconds = math.ceil(wait.total_seconds())
        raise Problem(429, "too-many-attempts", f"try again in {seconds} s", headers={"Retry-After": str(seconds)})
    async with services.logins.try_enter(None) as entered:
        if not entered:
            services.login_throttle.not_tried(attempt)
            raise Problem(503, "busy", "very many are logging in; try again in a second", headers={"Retry-After": "1"})
        yield


@router.get("/me", operation_id="me", responses={401: {"model": models.Problem}})
async def me(account: CurrentAccount) -> models.Me:
    """Return the account that is logged in."""
    return present_me(account)
