"""`/api/login`, `/api/logout`, `/api/me`."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request, Response

from api.dependencies.access import COOKIE, Person, account_by, actor, address_of, is_same_origin, session_token
from api.dependencies.services import Services, Shared
from api.http.problems import Problem, Responses
from api.limits.login_throttle import Attempt
from api.presenters import call as shapes
from api.schemas import models
from store.people.accounts import SESSION_LASTS, change_password, log_in, log_out

router = APIRouter(prefix="/api", tags=["session"])

_REFUSED: Final[Responses] = {status: {"model": models.Problem} for status in (401, 403, 429, 503)}


@router.post("/login", operation_id="login", responses=_REFUSED)
async def login(credentials: models.Credentials, request: Request, response: Response, services: Shared) -> models.LoggedIn:
    """Open a session. 401 says the same whatever was wrong; 429 after repeated failures, 503 in a rush, with Retry-After."""
    if is_same_origin(request.headers) is False:
        raise Problem(403, "cross-site", "this request did not come from the portal's own page")
    now = datetime.now(UTC)
    attempt = Attempt(domain=credentials.domain, login=credentials.login, address=address_of(request))
    with _counted(services, attempt, now):
        found = await log_in(services.store, attempt.domain, attempt.login, credentials.password, now, address=attempt.address)
    if found is None:
        await services.failed_logins.tell(attempt, now)
        raise Problem(401, "login-failed", "domain, login or password is wrong")
    services.login_throttle.succeeded(attempt)
    token, account = found
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, token, max_age=int(SESSION_LASTS.total_seconds()), httponly=True, samesite="lax", secure=secure, path="/"
    )
    return models.LoggedIn(token=token, me=shapes.me(account, datetime.now(UTC)))


@router.post("/logout", operation_id="logout", status_code=204, responses={403: {"model": models.Problem}})
async def logout(request: Request, response: Response, services: Shared) -> None:
    """Close the session; without one it is no error."""
    if token := session_token(request):
        account = await account_by(services, token)
        await log_out(services.store, token)
        if account is not None:
            services.live.look_again(account.domain_id)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https")


@router.post("/me/password", operation_id="changePassword", status_code=204, responses=_REFUSED | {403: {"model": models.Problem}})
async def change_own_password(wanted: models.PasswordChange, account: Person, request: Request, services: Shared) -> None:
    """Change one's own password; every other session of the user ends.

    403 (`wrong-password`) if `current` is not the password; guesses count, and are slowed, as at the login.
    """
    now, token = datetime.now(UTC), session_token(request)
    assert token is not None
    attempt = Attempt(domain=account.domain, login=account.login, address=address_of(request))
    with _counted(services, attempt, now):
        by = actor(request, account)
        right = await change_password(services.store, account, wanted.current, wanted.new, token=token, by=by, now=now)
    if not right:
        await services.failed_logins.tell(attempt, now)
        raise Problem(403, "wrong-password", "the current password is wrong")
    services.login_throttle.succeeded(attempt)
    services.live.look_again(account.domain_id)


@contextmanager
def _counted(services: Services, attempt: Attempt, now: datetime) -> Iterator[None]:
    """Count an attempt, then check it in the block. Raises Problem 429 or 503 instead where it may not be tried now."""
    if wait := services.login_throttle.begin(attempt, now):
        seconds = math.ceil(wait.total_seconds())
        raise Problem(429, "too-many-attempts", f"try again in {seconds} s", headers={"Retry-After": str(seconds)})
    with services.login_room.entered() as inside:
        if not inside:
            services.login_throttle.not_tried(attempt)
            raise Problem(503, "busy", "very many are logging in; try again in a second", headers={"Retry-After": "1"})
        yield


@router.get("/me", operation_id="me", responses={401: {"model": models.Problem}})
async def me(account: Person) -> models.Me:
    """Whoever is logged in."""
    return shapes.me(account, datetime.now(UTC))
