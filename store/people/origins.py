"""Where users have logged in lately: on which devices (by a cookie), from which networks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database.dialect import insert
from store.database.schema import domains, login_origins, users
from store.database.store import Store
from store.people.passwords import token_hash

KNOWN_FOR: Final = timedelta(days=90)  # from the last login
_MOST_OF_A_USER: Final = 50


def device_origin(token: str) -> str:
    """Return the origin of a device, whose cookie holds a secret token."""
    return f"device {token_hash(token)}"


def network_origin(network: str) -> str:
    """Return the origin of an IPv4 address or IPv6 network."""
    return f"network {network}"


async def known_origin(store: Store, domain: str, login: str, origins: Sequence[str], now: datetime) -> str | None:
    """Return the first origin from which a user logged in lately; None without one."""
    source = login_origins.join(users, users.c.id == login_origins.c.user_id).join(domains, domains.c.id == users.c.domain_id)
    is_user = (domains.c.name == domain) & (users.c.login == login) & users.c.removed_at.is_(None) & domains.c.removed_at.is_(None)
    query = select(login_origins.c.origin).select_from(source)
    query = query.where(login_origins.c.origin.in_(origins), login_origins.c.seen_at > now - KNOWN_FOR, is_user)
    async with store.reading() as connection:
        known = set((await connection.execute(query)).scalars())
    return next((origin for origin in origins if origin in known), None)


async def is_known_device(store: Store, token: str) -> bool:
    """Whether any user has logged in on the device of a cookie."""
    query = select(login_origins.c.user_id).where(login_origins.c.origin == device_origin(token)).limit(1)
    async with store.reading() as connection:
        return (await connection.execute(query)).first() is not None


async def remember_origins(connection: AsyncConnection, user_id: int, origins: Sequence[str], now: datetime) -> None:
    """Remember where a user logged in; forget what is too old or too much."""
    if not origins:
        return
    new = insert(connection.dialect, login_origins)
    upsert = new.on_conflict_do_update(
        index_elements=[login_origins.c.user_id, login_origins.c.origin], set_={"seen_at": new.excluded.seen_at}
    )
    await connection.execute(upsert, [{"user_id": user_id, "origin": origin, "seen_at": now} for origin in origins])
    own = login_origins.c.user_id == user_id
    newest = select(login_origins.c.origin).where(own).order_by(login_origins.c.seen_at.desc()).limit(_MOST_OF_A_USER)
    is_old = (login_origins.c.seen_at <= now - KNOWN_FOR) | login_origins.c.origin.not_in(newest.scalar_subquery())
    await connection.execute(delete(login_origins).where(own, is_old))
