"""Events of the audit for what an account hears or sees of a call's recording."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import HTTPConnection

from api.dependencies.access import actor, session_token
from store.audit.write import NewEntry
from store.people.accounts import Account


def listening_event(
    connection: HTTPConnection, account: Account, call: str, *, action: str = "listened", detail: Mapping[str, Any], now: datetime
) -> NewEntry:
    """Return an event; those of one session, call, action and address are one entry."""
    by = actor(connection, account)
    listening = hashlib.sha256("\0".join([session_token(connection) or "", call, action, by.address]).encode()).hexdigest()
    return NewEntry(at=now, domain_id=account.domain_id, by=by, action=action, subject=call, detail=detail, listening=listening)
