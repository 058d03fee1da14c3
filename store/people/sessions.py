"""Sessions of users: begun, seen, listed, ended. A session ends 14 days after its last use.

However often it is used, it ends 30 days after the login.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audit.write import Actor, NewEntry, write_entries, write_entry
from store.database.schema import LONGEST_ADDRESS, LONGEST_DEVICE, sessions, users
from store.database.signals import Signal, SignalKind, publish
from store.database.store import Store
from store.people.passwords import new_session_id, new_token, token_hash
from store.selection.scope import Scope

SESSION_LASTS: Final = timedelta(days=14)  # from its last use
SESSION_ENDS: Final = timedelta(days=30)  # from the login
_SEEN_EACH: Final = timedelta(minutes=10)  # a session that is used is written no more often


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """An open session of a user, as listed; `device` is the User-Agent of the login."""

    id: str
    device: str
    address: str
    begun_at: datetime
    seen_at: datetime
    is_current: bool


async def begin_session(connection: AsyncConnection, user_id: int, now: datetime, *, address: str, device: str) -> str:
    """Open a session in the caller's transaction and return its token; delete those that ended."""
    await connection.execute(delete(sessions).where((sessions.c.expires_at < now) | (sessions.c.created_at <= now - SESSION_ENDS)))
    token = new_token()
    values = {
        "token_hash": token_hash(token),
        "public_id": new_session_id(),
        "user_id": user_id,
        "created_at": now,
        "seen_at": now,
        "expires_at": now + SESSION_LASTS,
        "address": address[:LONGEST_ADDRESS],
        "device": device.replace("\0", "")[:LONGEST_DEVICE],
    }
    await connection.execute(sessions.insert().values(values))
    return token


def is_open(now: datetime) -> ColumnElement[bool]:
    """Return the condition for sessions that have not ended."""
    return (sessions.c.expires_at > now) & (sessions.c.created_at > now - SESSION_ENDS)


async def mark_seen(store: Store, token: str, seen_at: datetime, now: datetime) -> None:
    """Extend a session that is used, at most every ten minutes."""
    if now - seen_at >= _SEEN_EACH:
        seen = update(sessions).where(sessions.c.token_hash == token_hash(token))
        async with store.writing() as connection:
            await connection.execute(seen.values(seen_at=now, expires_at=now + SESSION_LASTS))


async def sessions_of(store: Store, scope: Scope, login: str, now: datetime, *, token: str) -> list[Session] | None:
    """Return the open sessions of a user, last seen first; `token` is that of the request.

    None if the scope has no such user.
    """
    query = select(sessions).join(users, users.c.id == sessions.c.user_id)
    query = query.where(_is_user(scope, login), is_open(now)).order_by(sessions.c.seen_at.desc(), sessions.c.public_id)
    async with store.reading() as connection:
        if (await connection.execute(select(users.c.id).where(_is_user(scope, login)))).first() is None:
            return None
        rows = (await connection.execute(query)).all()
    return [_session(row, token) for row in rows]


async def end_session(store: Store, scope: Scope, login: str, id: str, *, by: Actor, now: datetime) -> bool:
    """End a session of a user; return False if there is none. The audit gets an entry."""
    ended = sessions.c.public_id == id
    return await _end(store, scope, login, ended, by=by, now=now) > 0


async def end_other_sessions(store: Store, scope: Scope, login: str, *, token: str, by: Actor, now: datetime) -> None:
    """End all sessions of a user but that of `token`. The audit gets an entry for each."""
    await _end(store, scope, login, sessions.c.token_hash != token_hash(token), by=by, now=now)


async def log_out(store: Store, token: str, now: datetime, *, address: str = "") -> None:
    """Close a session. An unknown token is no error."""
    query = select(users.c.domain_id, users.c.login).join(sessions, sessions.c.user_id == users.c.id)
    async with store.writing() as connection:
        user = (await connection.execute(query.where(sessions.c.token_hash == token_hash(token)))).first()
        if user is None:
            return
        await connection.execute(delete(sessions).where(sessions.c.token_hash == token_hash(token)))
        publish(connection, sessions_ended(user.domain_id))
        scope, by = Scope(domain_id=user.domain_id, login=None), Actor(login=user.login, address=address)
        await write_entry(connection, scope, by, action="logged_out", subject=user.login, detail={}, now=now)


def sessions_ended(domain_id: int) -> Signal:
    """Return the signal that sessions of a domain ended."""
    return Signal(kind=SignalKind.SESSIONS, of=domain_id)


async def close_sessions(connection: AsyncConnection, of_users: ColumnElement[bool]) -> None:
    """Close all sessions of the users that meet a condition, in the caller's transaction."""
    await connection.execute(delete(sessions).where(sessions.c.user_id.in_(select(users.c.id).where(of_users))))


def _is_user(scope: Scope, login: str) -> ColumnElement[bool]:
    visible = (users.c.domain_id == scope.domain_id) & (users.c.login == login) & users.c.removed_at.is_(None)
    return visible if scope.login is None else visible & (users.c.login == scope.login)


async def _end(store: Store, scope: Scope, login: str, which: ColumnElement[bool], *, by: Actor, now: datetime) -> int:
    own = sessions.c.user_id.in_(select(users.c.id).where(_is_user(scope, login)))
    async with store.writing() as connection:
        rows = (await connection.execute(select(sessions).where(own, which, is_open(now)))).all()
        await connection.execute(delete(sessions).where(sessions.c.token_hash.in_([row.token_hash for row in rows])))
        details = ({"device": row.device, "from_address": row.address} for row in rows)
        entry = NewEntry(domain_id=scope.domain_id, at=now, by=by, action="session_ended", subject=login, detail={})
        await write_entries(connection, [replace(entry, detail=detail) for detail in details])
        publish(connection, sessions_ended(scope.domain_id))
    return len(rows)


def _session(row: Any, token: str) -> Session:
    return Session(
        id=row.public_id,
        device=row.device,
        address=row.address,
        begun_at=row.created_at,
        seen_at=row.seen_at,
        is_current=row.token_hash == token_hash(token),
    )
