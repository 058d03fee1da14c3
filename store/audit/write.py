"""Who did what, written in the transaction in which they did it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.schema import LONGEST_LOGIN, audit
from store.selection.scope import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Somebody who logs in or has, and the address they came from."""

    login: str
    address: str


OPERATOR: Final = Actor(login="", address="")  # whoever runs `fonoteka` on the machine itself


async def note(
    connection: AsyncConnection, scope: Scope, by: Actor, *, action: str, subject: str, detail: Mapping[str, Any], now: datetime
) -> None:
    """Write an entry into the caller's transaction. `subject` is a login, a number or a call's public id."""
    # A failed login is whatever somebody typed.
    values = {"domain_id": scope.domain_id, "at": now, "login": by.login[:LONGEST_LOGIN], "address": by.address[:64]}
    await connection.execute(audit.insert().values(**values, action=action, subject=subject, detail=dict(detail)))
