"""`…/sessions` of `/api/me` and of `/api/users/{login}`: where a user is logged in, and its end."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request

from api.dependencies.access import Administrator, CurrentAccount, actor, session_token
from api.dependencies.services import Services, Shared
from api.http.problems import NOT_FOUND, Responses, not_found
from api.schemas import models
from store.people.accounts import Account
from store.people.sessions import end_other_sessions, end_session, sessions_of

_PROBLEMS: Responses = {status: {"model": models.Problem} for status in (401, 403)}
router = APIRouter(prefix="/api", tags=["session"], responses=_PROBLEMS)


@router.get("/me/sessions", operation_id="listOwnSessions")
async def list_own_sessions(account: CurrentAccount, request: Request, services: Shared) -> list[models.Session]:
    """List the open sessions of the account, the last used first."""
    return await _listed(services, account, account.login, request)


@router.post("/me/sessions/end-others", operation_id="endOtherSessions", status_code=204)
async def end_own_other_sessions(account: CurrentAccount, request: Request, services: Shared) -> None:
    """End all sessions of the account but the request's own."""
    token, by = session_token(request), actor(request, account)
    assert token is not None
    await end_other_sessions(services.store, account.scope, account.login, token=token, by=by, now=datetime.now(UTC))


@router.delete("/me/sessions/{session}", operation_id="endOwnSession", status_code=204, responses=NOT_FOUND)
async def end_own_session(session: str, account: CurrentAccount, request: Request, services: Shared) -> None:
    """End a session of the account; the request's own one too."""
    await _end(services, account, account.login, session, request)


@router.get("/users/{login}/sessions", operation_id="listSessions", responses=NOT_FOUND)
async def list_sessions(login: str, account: Administrator, request: Request, services: Shared) -> list[models.Session]:
    """List the open sessions of a user of the domain, the last used first."""
    return await _listed(services, account, login, request)


@router.delete("/users/{login}/sessions/{session}", operation_id="endSession", status_code=204, responses=NOT_FOUND)
async def end_session_of_user(login: str, session: str, account: Administrator, request: Request, services: Shared) -> None:
    """End a session of a user of the domain."""
    await _end(services, account, login, session, request)


async def _listed(services: Services, account: Account, login: str, request: Request) -> list[models.Session]:
    """Return the sessions of a user. Raises Problem 404."""
    token, zone = session_token(request), ZoneInfo(account.timezone)
    assert token is not None
    open_ones = await sessions_of(services.store, account.scope, login, datetime.now(UTC), token=token)
    if open_ones is None:
        raise not_found()
    return [
        models.Session(
            id=session.id,
            device=session.device,
            address=session.address,
            begun_at=session.begun_at.astimezone(zone),
            last_seen_at=session.seen_at.astimezone(zone),
            current=session.is_current,
        )
        for session in open_ones
    ]


async def _end(services: Services, account: Account, login: str, session: str, request: Request) -> None:
    """End a session of a user; its live connections close. Raises Problem 404."""
    by, now = actor(request, account), datetime.now(UTC)
    if not await end_session(services.store, account.scope, login, session, by=by, now=now):
        raise not_found()
