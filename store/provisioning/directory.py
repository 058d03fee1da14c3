"""Domains, users and numbers for agents and the portal, and the settings of users."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.domains import Domain, DomainSettings, RecordRule, Role, User
from store.audit.write import Actor, write_entry
from store.database.schema import domains, numbers, settings, users
from store.database.signals import Signal, SignalKind, publish
from store.database.store import Store
from store.people.accounts import Pbx
from store.people.served_domains import Serves, served_domains
from store.selection.scope import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class UserProfile:
    """A user of a domain, as shown in the portal."""

    login: str
    name: str
    extension: str
    role: Role
    record: RecordRule


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number of the company."""

    number: str
    label: str


async def version_of(store: Store) -> int:
    """Return the version of the settings, which grows with every change."""
    async with store.reading() as connection:
        return await _version(connection)


async def lock_settings(store: Store) -> None:
    """Lock the settings for writing and release them, to see if the index takes writes."""
    async with store.writing() as connection:
        await connection.execute(select(settings.c.version).with_for_update())


async def bump_version(connection: AsyncConnection) -> None:
    """Increment the version: agents then fetch the settings."""
    await connection.execute(update(settings).values(version=settings.c.version + 1))
    publish(connection, Signal(kind=SignalKind.SETTINGS))


async def domain_settings(store: Store, pbx: Pbx) -> DomainSettings:
    """Return the settings of the domains that a PBX serves, at one version."""
    async with store.reading() as connection:
        version = await _version(connection)
        served = await served_domains(connection, pbx.id)
        user_rows = (await connection.execute(select(users).where(users.c.removed_at.is_(None)).order_by(users.c.login))).all()
        lines = (await connection.execute(select(numbers).order_by(numbers.c.number))).all()
        domain_rows = (
            await connection.execute(select(domains).where(domains.c.removed_at.is_(None)).order_by(domains.c.name))
        ).all()
    of_domain = {
        domain.id: Domain(
            name=domain.name,
            country=domain.country,
            area_codes=tuple(domain.area_codes),
            users=tuple(_user(row) for row in user_rows if row.domain_id == domain.id),
            numbers=tuple(row.number for row in lines if row.domain_id == domain.id),
            notice_in=domain.notice_in,
            notice_out=domain.notice_out,
            beep_every_s=domain.beep_every_s,
        )
        for domain in domain_rows
        if domain.id in served.ids.values()
    }
    return DomainSettings(version=version, domains=tuple(of_domain.values()), domains_unset=served.serves is Serves.UNSET)


async def domain_id_of(store: Store, domain: str) -> int | None:
    """Return the key of a domain; None if there is no such domain."""
    query = select(domains.c.id).where(domains.c.name == domain, domains.c.removed_at.is_(None))
    async with store.reading() as connection:
        domain_id: int | None = (await connection.execute(query)).scalar()
    return domain_id


async def removed_domain_ids_of(store: Store, domain: str) -> list[int]:
    """Return the keys of the removed domains that had a name, the first one first."""
    query = select(domains.c.id).where(domains.c.name == domain, domains.c.removed_at.is_not(None)).order_by(domains.c.id)
    async with store.reading() as connection:
        return list((await connection.execute(query)).scalars())


async def notify_email_of(store: Store, domain: str) -> str | None:
    """Return the address for notifications of a domain; None without one."""
    query = select(domains.c.notify_email).where(domains.c.name == domain, domains.c.removed_at.is_(None))
    async with store.reading() as connection:
        address: str | None = (await connection.execute(query)).scalar()
    return address


async def users_of(store: Store, scope: Scope) -> list[UserProfile]:
    """Return the users that a scope sees: all of the domain, or the user alone (manual, II)."""
    query = select(users).where(users.c.domain_id == scope.domain_id, users.c.removed_at.is_(None))
    if scope.login is not None:
        query = query.where(users.c.login == scope.login)
    async with store.reading() as connection:
        return [_profile(row._mapping) for row in await connection.execute(query.order_by(users.c.login))]


async def numbers_of(store: Store, scope: Scope) -> list[Number]:
    """Return the numbers of the company."""
    query = select(numbers).where(numbers.c.domain_id == scope.domain_id).order_by(numbers.c.number)
    async with store.reading() as connection:
        return [Number(number=row.number, label=row.label) for row in await connection.execute(query)]


async def update_user(
    store: Store, scope: Scope, login: str, *, record: RecordRule | None, name: str | None, by: Actor, now: datetime
) -> UserProfile | None:
    """Set the values that are not None; return None if there is no such user.

    The version grows only if a value changes.
    """
    wanted = {key: value for key, value in {"record": record, "name": name}.items() if value is not None}
    is_user = (users.c.domain_id == scope.domain_id) & (users.c.login == login) & users.c.removed_at.is_(None)
    async with store.writing() as connection:
        before = (await connection.execute(select(users).where(is_user).with_for_update())).mappings().first()
        if before is None:
            return None
        changed = {key: {"from": before[key], "to": value} for key, value in wanted.items() if before[key] != value}
        if changed:
            await connection.execute(update(users).where(is_user).values(wanted))
            await bump_version(connection)
            await write_entry(connection, scope, by, action="user_changed", subject=login, detail=changed, now=now)
    return _profile({**before, **wanted})


async def _version(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(settings.c.version))).scalar_one())


def _user(row: Any) -> User:
    return User(
        login=row.login,
        name=row.name,
        extension=row.extension,
        endpoints=tuple(row.endpoints),
        record=RecordRule(row.record),
    )


def _profile(row: Mapping[Any, Any]) -> UserProfile:
    return UserProfile(
        login=row["login"],
        name=row["name"],
        extension=row["extension"],
        role=Role(row["role"]),
        record=RecordRule(row["record"]),
    )
