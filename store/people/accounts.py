"""Accounts: users by password and session, PBXs by token."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError
from sqlalchemy import Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.config import PbxSection
from fonoteka.core.domains import Role
from fonoteka.core.errors import ConfigurationError
from store.audit.write import OPERATOR, Actor, write_entry
from store.database.dialect import insert
from store.database.schema import LONGEST_PBX_NAME, domains, pbxs, sessions, users
from store.database.store import Store
from store.people.passwords import hash_new, hash_password, new_token, token_hash, verify_login
from store.selection.scope import Scope

SESSION_LASTS: Final = timedelta(days=14)  # from its last use
_EXTENDED_EACH: Final = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A user who is logged in, and the domain."""

    user_id: int
    login: str
    name: str
    role: Role
    domain_id: int
    domain: str
    domain_title: str
    timezone: str

    @property
    def scope(self) -> Scope:
        """The calls that the user may see."""
        return Scope(domain_id=self.domain_id, login=None if self.role is Role.ADMIN else self.login)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pbx:
    """A PBX that is authenticated by its token."""

    id: int
    name: str


_ACCOUNT: Final = (
    users.c.id.label("user_id"),
    users.c.login,
    users.c.name,
    users.c.role,
    domains.c.id.label("domain_id"),
    domains.c.name.label("domain"),
    domains.c.title.label("domain_title"),
    domains.c.timezone,
)


def _accounts() -> Select[tuple[object, ...]]:
    query = select(*_ACCOUNT).join_from(users, domains, users.c.domain_id == domains.c.id)
    return query.where(users.c.removed_at.is_(None), domains.c.removed_at.is_(None))


def _account(row: dict[str, object]) -> Account:
    return Account(**{key: row[key] for key in Account.__dataclass_fields__} | {"role": Role(str(row["role"]))})  # type: ignore[arg-type]


async def log_in(
    store: Store, domain: str, login: str, password: str, now: datetime, *, address: str = ""
) -> tuple[str, Account] | None:
    """Open a session; return its token and the account.

    Returns None if domain, login or password is wrong, in the same time whichever it is.
    """
    query = _accounts().add_columns(users.c.password_hash).where(domains.c.name == domain, users.c.login == login)
    async with store.reading() as connection:
        row = (await connection.execute(query)).mappings().first()
    if not await verify_login(row["password_hash"] if row else None, password) or row is None:
        return None
    token = new_token()
    async with store.writing() as connection:
        # A change of the password during the check ended all sessions: none may begin after it.
        unchanged = select(users.c.id).where(users.c.id == row["user_id"], users.c.password_hash == row["password_hash"])
        if (await connection.execute(unchanged.with_for_update())).first() is None:
            return None
        await connection.execute(delete(sessions).where(sessions.c.expires_at < now))
        values = {"user_id": row["user_id"], "created_at": now, "expires_at": now + SESSION_LASTS}
        await connection.execute(sessions.insert().values(token_hash=token_hash(token), **values))
        account = _account(dict(row))
        by = Actor(login=login, address=address)
        await write_entry(connection, account.scope, by, action="logged_in", subject=login, detail={}, now=now)
    return token, account


async def domain_and_user_exist(store: Store, domain: str, login: str) -> tuple[int | None, bool]:
    """Return the key of a domain, None if there is none, and whether it has the user.

    The time of the query does not depend on the answer.
    """
    query = select(domains.c.id, users.c.id.label("user_id")).select_from(
        domains.outerjoin(users, (users.c.domain_id == domains.c.id) & (users.c.login == login) & users.c.removed_at.is_(None))
    )
    async with store.reading() as connection:
        row = (await connection.execute(query.where(domains.c.name == domain, domains.c.removed_at.is_(None)))).first()
    return (row.id, row.user_id is not None) if row else (None, False)


async def account_of(store: Store, token: str, now: datetime) -> Account | None:
    """Return the account of a session's token and extend the session; None if there is none."""
    session = sessions.c.token_hash == token_hash(token)
    query = _accounts().add_columns(sessions.c.expires_at).join(sessions, sessions.c.user_id == users.c.id)
    async with store.reading() as connection:
        row = (await connection.execute(query.where(session, sessions.c.expires_at > now))).mappings().first()
    if row is None:
        return None
    if row["expires_at"] < now + SESSION_LASTS - _EXTENDED_EACH:
        async with store.writing() as connection:
            await connection.execute(update(sessions).where(session).values(expires_at=now + SESSION_LASTS))
    return _account(dict(row))


async def log_out(store: Store, token: str, account: Account | None, by: Actor | None, now: datetime) -> None:
    """Close a session of an account. A session that is over, with account None, is no error."""
    async with store.writing() as connection:
        closed = await connection.execute(delete(sessions).where(sessions.c.token_hash == token_hash(token)))
        if closed.rowcount and account is not None and by is not None:
            await write_entry(connection, account.scope, by, action="logged_out", subject=account.login, detail={}, now=now)


async def set_password(store: Store, domain: str, login: str, password: str) -> None:
    """Set the password of a user and close all sessions of the user.

    Raises ConfigurationError if there is no such user.
    """
    hashed = hash_password(password)
    async with store.writing() as connection:
        query = _accounts().where(domains.c.name == domain, users.c.login == login)
        user = (await connection.execute(query.with_only_columns(users.c.id, users.c.domain_id))).first()
        if user is None:
            raise ConfigurationError(f"no user {login!r} in domain {domain!r}: name them in the file that `fonoteka apply` takes")
        await connection.execute(update(users).where(users.c.id == user.id).values(password_hash=hashed))
        await close_sessions(connection, user.id)
        within, now = Scope(domain_id=user.domain_id, login=None), datetime.now(UTC)
        await write_entry(connection, within, OPERATOR, action="password_changed", subject=login, detail={}, now=now)


async def change_password(store: Store, account: Account, current: str, new: str, *, token: str, by: Actor, now: datetime) -> bool:
    """Change the password of a user who knows it; close all sessions but that of `token`.

    Returns False if `current` is not the password.
    """
    query = select(users.c.password_hash).where(users.c.id == account.user_id)
    async with store.reading() as connection:
        stored_hash = (await connection.execute(query)).scalar()
    if not await verify_login(stored_hash, current):
        return False
    hashed = await hash_new(new)
    async with store.writing() as connection:
        # If the password was changed during the check, `current` is no longer the password.
        unchanged = (users.c.id == account.user_id) & (users.c.password_hash == stored_hash)
        changed = await connection.execute(update(users).where(unchanged).values(password_hash=hashed))
        if changed.rowcount == 0:
            return False
        others = (sessions.c.user_id == account.user_id) & (sessions.c.token_hash != token_hash(token))
        await connection.execute(delete(sessions).where(others))
        await write_entry(connection, account.scope, by, action="password_changed", subject=account.login, detail={}, now=now)
    return True


async def close_sessions(connection: AsyncConnection, user_id: int) -> None:
    """Close all sessions of a user."""
    await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))


async def add_pbx(store: Store, name: str) -> str:
    """Register a PBX and return its token, which is not stored.

    Raises ConfigurationError if the name is taken or invalid.
    """
    _check_name(name)
    token = new_token()
    async with store.writing() as connection:
        new = insert(connection.dialect, pbxs).values(name=name, token_hash=token_hash(token)).on_conflict_do_nothing()
        if (await connection.execute(new)).rowcount == 0:
            raise ConfigurationError(f"a PBX {name!r} is registered already; choose another name (its token cannot be shown again)")
    return token


async def ensure_pbx(store: Store, name: str, token: str) -> None:
    """Set the token of a PBX, registering the PBX if necessary.

    Raises ConfigurationError if the name is invalid.
    """
    _check_name(name)
    async with store.writing() as connection:
        new = insert(connection.dialect, pbxs).values(name=name, token_hash=token_hash(token))
        upsert = new.on_conflict_do_update(index_elements=[pbxs.c.name], set_={"token_hash": new.excluded.token_hash})
        await connection.execute(upsert)


def _check_name(name: str) -> None:
    """Check a name as the agent's configuration does. Raises ConfigurationError."""
    try:
        PbxSection(name=name)
    except ValidationError:
        is_valid = False
    else:
        is_valid = len(name) <= LONGEST_PBX_NAME
    if not is_valid:
        raise ConfigurationError(f"PBX {name!r}: a name has letters, digits, - and _ only, 1 to {LONGEST_PBX_NAME} of them")


async def pbx_of(store: Store, token: str) -> Pbx | None:
    """Return the PBX of a token; None if there is none."""
    async with store.reading() as connection:
        row = (await connection.execute(select(pbxs.c.id, pbxs.c.name).where(pbxs.c.token_hash == token_hash(token)))).first()
    return Pbx(id=row.id, name=row.name) if row else None
