"""Writing the audit, in the transaction of the audited action."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.schema import LONGEST_LOGIN, audit
from store.selection.scope import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """The user of an action, or the login that was tried, and the network address."""

    login: str
    address: str


OPERATOR: Final = Actor(login="", address="")  # the command line, on the machine itself


async def write_entry(
    connection: AsyncConnection, scope: Scope, by: Actor, *, action: str, subject: str, detail: Mapping[str, Any], now: datetime
) -> None:
    """Write an entry in the caller's transaction.

    `subject` is a login, a number or a call's public id.
    """
    # The login of a failed login is arbitrary text.
    values = {"domain_id": scope.domain_id, "at": now, "login": by.login[:LONGEST_LOGIN], "address": by.address[:64]}
    await connection.execute(audit.insert().values(**values, action=action, subject=subject, detail=dict(detail)))
