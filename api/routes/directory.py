"""`/api/users` and `/api/numbers`."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request

from api.dependencies.access import Administrator, Person, actor
from api.dependencies.services import Shared
from api.http.problems import NOT_FOUND, not_found
from api.schemas import models
from store.provisioning.directory import UserProfile, numbers_of, update_user, users_of

router = APIRouter(prefix="/api", tags=["directory"], responses={401: {"model": models.Problem}})


@router.get("/users", operation_id="listUsers")
async def list_users(account: Person, services: Shared) -> list[models.User]:
    """An administrator sees the domain's users, anybody else themself."""
    return [_user(person) for person in await users_of(services.store, account.scope)]


@router.patch("/users/{login}", operation_id="changeUser", responses=NOT_FOUND | {403: {"model": models.Problem}})
async def change_user(
    login: str, change: models.UserChange, account: Administrator, request: Request, services: Shared
) -> models.User:
    """Switch somebody's recording, or rename them: in force for the next call."""
    person = await update_user(
        services.store,
        account.scope,
        login,
        record=change.record,
        name=change.name,
        by=actor(request, account),
        now=datetime.now(UTC),
    )
    if person is None:
        raise not_found()
    services.settings.wake()
    return _user(person)


@router.get("/numbers", operation_id="listNumbers")
async def list_numbers(account: Person, services: Shared) -> list[models.Number]:
    """The company's numbers."""
    return [models.Number(number=line.number, label=line.label) for line in await numbers_of(services.store, account.scope)]


def _user(person: UserProfile) -> models.User:
    return models.User(login=person.login, name=person.name, extension=person.extension, role=person.role, record=person.record)
