"""Accounts: users by password and session, PBXs by token."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError
from sqlalchemy import Select, and_, delete, or_, select, update

from fonoteka.core.config import PbxSection
from fonoteka.core.domains import Role
from fonoteka.core.errors import ConfigurationError
from store.audit.write import OPERATOR, Actor, write_entry
from store.database.dialect import insert
from store.database.schema import EPOCH, LONGEST_PBX_NAME, domains, pbxs, sessions, users
from store.database.signals import publish
from store.database.store import Store
from store.people.origins import remember_origins
from store.people.password_rule import broken_rule
from store.people.passwords import hash_new, hash_password, new_token, token_hash, verify_login
from store.people.served_domains import Serves, write_served_domains
from store.people.sessions import begin_session, close_sessions, is_open, mark_seen, sessions_ended
from store.selection.scope import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A user who is logged in, and the domain; `since` as in `store.selection.identity`.

    `quota_warned` says that the domain has nearly used up its quota (`store/retention/quota.py`).
    """

    user_id: int
    login: str
    name: str
    role: Role
    domain_id: int
    domain: str
    domain_title: str
    timezone: str
    since: datetime
    quota_warned: bool

    @property
    def scope(self) -> Scope:
        """The calls that the user may see."""
        if self.role is Role.ADMIN:
            return Scope(domain_id=self.domain_id, login=None)
        return Scope(domain_id=self.domain_id, login=self.login, since=None if self.since == EPOCH else self.since)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pbx:
    """A PBX that is authenticated by its token."""

    id: int
    name: str


_HAS_QUOTA: Final = or_(domains.c.quota_gb.is_not(None), domains.c.quota_recordings.is_not(None))
_ACCOUNT: Final = (
    users.c.id.label("user_id"),
    users.c.login,
    users.c.name,
    users.c.role,
    domains.c.id.label("domain_id"),
    domains.c.name.label("domain"),
    domains.c.title.label("domain_title"),
    domains.c.timezone,
    users.c.valid_from.label("since"),
    and_(domains.c.quota_warned_at.is_not(None), _HAS_QUOTA).label("quota_warned"),
)


def _accounts() -> Select[tuple[object, ...]]:
    query = select(*_ACCOUNT).join_from(users, domains, users.c.domain_id == domains.c.id)
    return query.where(users.c.removed_at.is_(None), domains.c.removed_at.is_(None))


def _account(row: dict[str, object]) -> Account:
    return Account(**{key: row[key] for key in Account.__dataclass_fields__} | {"role": Role(str(row["role"]))})  # type: ignore[arg-type]


async def log_in(
    store: Store,
    domain: str,
    login: str,
    password: str,
    now: datetime,
    *,
    address: str = "",
    device: str = "",
    origins: Sequence[str] = (),
) -> tuple[str, Account] | None:
    """Open a session; return its token and the account. `origins` are remembered as known.

    Returns None if domain, login or password is wrong, in the same time whichever it is.
    """
    query = _accounts().add_columns(users.c.password_hash).where(domains.c.name == domain, users.c.login == login)
    async with store.reading() as connection:
        row = (await connection.execute(query)).mappings().first()
    if not await verify_login(row["password_hash"] if row else None, password) or row is None:
        return None
    async with store.writing() as connection:
        # A change of the password, or a removal, during the check ended all sessions: none may
        # begin after it.
        unchanged = _accounts().where(users.c.id == row["user_id"], users.c.password_hash == row["password_hash"])
        if (await connection.execute(unchanged.with_for_update(of=users))).first() is None:
            return None
        token = await begin_session(connection, row["user_id"], now, address=address, device=device)
        await remember_origins(connection, row["user_id"], origins, now)
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
    query = _accounts().add_columns(sessions.c.seen_at).join(sessions, sessions.c.user_id == users.c.id)
    async with store.reading() as connection:
        row = (await connection.execute(query.where(session, is_open(now)))).mappings().first()
    if row is None:
        return None
    await mark_seen(store, token, row["seen_at"], now)
    return _account(dict(row))


async def set_password(store: Store, domain: str, login: str, password: str) -> None:
    """Set the password of a user and close all sessions of the user.

    Raises ConfigurationError if there is no such user, or the password breaks the rule.
    """
    if problem := broken_rule(password):
        raise ConfigurationError(problem)
    hashed = hash_password(password)
    async with store.writing() as connection:
        query = _accounts().where(domains.c.name == domain, users.c.login == login)
        user = (await connection.execute(query.with_only_columns(users.c.id, users.c.domain_id))).first()
        if user is None:
            raise ConfigurationError(f"no user {login!r} in domain {domain!r}: name them in the file that `fonoteka apply` takes")
        await connection.execute(update(users).where(users.c.id == user.id).values(password_hash=hashed))
        await close_sessions(connection, users.c.id == user.id)
        publish(connection, sessions_ended(user.domain_id))
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
        publish(connection, sessions_ended(account.domain_id))
        await write_entry(connection, account.scope, by, action="password_changed", subject=account.login, detail={}, now=now)
    return True


async def add_pbx(store: Store, name: str, domain_names: Sequence[str] | None) -> str:
    """Register a PBX and return its token, which is not stored.

    The PBX serves these domains, or all if `domain_names` is None. Raises ConfigurationError if the
    name is taken or invalid, or if a domain does not exist.
    """
    _check_name(name)
    token = new_token()
    async with store.writing() as connection:
        new = insert(connection.dialect, pbxs).values(name=name, token_hash=token_hash(token)).on_conflict_do_nothing()
        if (await connection.execute(new)).rowcount == 0:
            raise ConfigurationError(f"a PBX {name!r} is registered already; choose another name (its token cannot be shown again)")
        await write_served_domains(connection, name, domain_names)
    return token


async def renew_token(store: Store, name: str) -> str:
    """Give a registered PBX a new token and return it; the former one opens nothing any more.

    Raises ConfigurationError if no PBX has this name.
    """
    token = new_token()
    async with store.writing() as connection:
        renewed = await connection.execute(update(pbxs).where(pbxs.c.name == name).values(token_hash=token_hash(token)))
        if renewed.rowcount == 0:
            raise ConfigurationError(f"no PBX {name!r} is registered (see: fonoteka pbx list)")
    return token


async def ensure_pbx(store: Store, name: str, token: str) -> None:
    """Set the token of a PBX, registering the PBX if necessary.

    A PBX whose domains nobody has named serves all of them. Raises ConfigurationError if the name
    is invalid.
    """
    _check_name(name)
    async with store.writing() as connection:
        new = insert(connection.dialect, pbxs).values(name=name, token_hash=token_hash(token), serves=Serves.ALL)
        upsert = new.on_conflict_do_update(index_elements=[pbxs.c.name], set_={"token_hash": new.excluded.token_hash})
        await connection.execute(upsert)
        unset = update(pbxs).where(pbxs.c.name == name, pbxs.c.serves == Serves.UNSET)
        await connection.execute(unset.values(serves=Serves.ALL))


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


async def pbx_names(store: Store) -> dict[int, str]:
    """Return the names of all PBXs, by key."""
    async with store.reading() as connection:
        return {row.id: row.name for row in await connection.execute(select(pbxs.c.id, pbxs.c.name))}


async def pbx_of(store: Store, token: str) -> Pbx | None:
    """Return the PBX of a token; None if there is none."""
    async with store.reading() as connection:
        row = (await connection.execute(select(pbxs.c.id, pbxs.c.name).where(pbxs.c.token_hash == token_hash(token)))).first()
    return Pbx(id=row.id, name=row.name) if row else None
