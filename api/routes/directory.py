"""`/api/users` and `/api/numbers`."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request

from api.dependencies.access import Administrator, CurrentAccount, actor
from api.dependencies.services import Shared
from api.http.problems import NOT_FOUND, not_found
from api.schemas import models
from store.provisioning.directory import UserProfile, numbers_of, update_user, users_of

router = APIRouter(prefix="/api", tags=["directory"], responses={401: {"model": models.Problem}})


@router.get("/users", operation_id="listUsers")
async def list_users(account: CurrentAccount, services: Shared) -> list[models.User]:
    """List the users of the domain; a user who is no administrator sees only their own entry."""
    return [_user(user) for user in await users_of(services.store, account.scope)]


@router.patch("/users/{login}", operation_id="changeUser", responses=NOT_FOUND | {403: {"model": models.Problem}})
async def change_user(
    login: str, change: models.UserChange, account: Administrator, request: Request, services: Shared
) -> models.User:
    """Change the recording rule or the name of a user, for calls that begin from now on."""
    user = await update_user(
        services.store,
        account.scope,
        login,
        record=change.record,
        name=change.name,
        by=actor(request, account),
        now=datetime.now(UTC),
    )
    if user is None:
        raise not_found()
    return _user(user)


@router.get("/numbers", operation_id="listNumbers")
async def list_numbers(account: CurrentAccount, services: Shared) -> list[models.Number]:
    """List the numbers of the domain."""
    return [models.Number(number=line.number, label=line.label) for line in await numbers_of(services.store, account.scope)]


def _user(user: UserProfile) -> models.User:
    return models.User(login=user.login, name=user.name, extension=user.extension, role=user.role, record=user.record)
