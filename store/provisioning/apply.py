"""`fonoteka apply`: the difference between the index and a file (pure), and its execution."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Table, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.errors import ConfigurationError
from store.audit.write import OPERATOR, NewEntry, write_entries
from store.database.domain_keys import destroy_keys
from store.database.schema import EPOCH, domains, numbers, users
from store.database.store import Store
from store.intake.call_backs import rebuild_call_backs
from store.intake.write_counters import rebuild_counters
from store.people.passwords import hash_password
from store.people.sessions import close_sessions
from store.provisioning.directory import bump_version
from store.provisioning.directory_file import WantedDirectory, WantedDomain, WantedUser
from store.provisioning.own_buckets import Claim, claim_buckets, note_place

Values = Mapping[str, Any]

_NO_CLAIMS: Final[Mapping[str, Claim]] = MappingProxyType({})
_HIDDEN: Final = {"password_hash": "password", "objects": "objects"}
_IDENTITY: Final = ("removed_at", "valid_from", "valid_until")
_NAMING: Final = {
    "domain": frozenset({"id", "name", *_IDENTITY}),
    "user": frozenset({"id", "domain_id", "login", *_IDENTITY}),
    "number": frozenset({"id", "domain_id", "number"}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A domain, user or number with its columns; `domain` is empty for a domain itself."""

    domain: str
    kind: str
    name: str
    values: Values


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A line of the difference, with the columns that differ.

    `before` is None for an addition, `after` for a removal.
    """

    domain: str
    kind: str
    name: str
    before: Values | None
    after: Values | None

    def __str__(self) -> str:
        label = f"{self.kind} {self.domain}/{self.name}" if self.domain else f"{self.kind} {self.name}"
        if self.before is None:
            return f"+ {label}"
        if self.after is None:
            return f"- {label}"
        return f"~ {label}: " + ", ".join(_line(key, self.before[key], value) for key, value in self.after.items())


def _line(key: str, before: object, after: object) -> str:
    if key == "password_hash":
        return "password set"
    return f"{key} {_shown(before)} → {_shown(after)}"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def difference(wanted: Sequence[Entry], present: Sequence[Entry], *, prune: bool) -> list[Change]:
    """Return the changes that make `present` equal to `wanted`; `prune` adds removals.

    Domains come before their users and numbers, removals come last. Columns that a wanted entry
    lacks do not change.
    """
    values = {(entry.domain, entry.kind, entry.name): entry.values for entry in present}
    changes = [change for entry in wanted if (change := _change(entry, values.get((entry.domain, entry.kind, entry.name))))]
    if prune:
        named = {(entry.domain, entry.kind, entry.name) for entry in wanted}
        gone = [entry for entry in present if (entry.domain, entry.kind, entry.name) not in named]
        changes += [_removal(entry) for entry in gone if not any(other.name == entry.domain for other in gone if not other.domain)]
    return changes


def _change(wanted: Entry, present: Values | None) -> Change | None:
    if present is None:
        return Change(domain=wanted.domain, kind=wanted.kind, name=wanted.name, before=None, after=wanted.values)
    differing = {key: value for key, value in wanted.values.items() if present[key] != value and not _is_own(key, present)}
    if not differing:
        return None
    before = {key: present[key] for key in differing}
    return Change(domain=wanted.domain, kind=wanted.kind, name=wanted.name, before=before, after=differing)


def _is_own(key: str, present: Values) -> bool:
    """Whether a value is the user's own: the file has the first password only."""
    return key == "password_hash" and present[key] is not None


def _removal(entry: Entry) -> Change:
    return Change(domain=entry.domain, kind=entry.kind, name=entry.name, before=entry.values, after=None)


async def apply(store: Store, wanted: WantedDirectory, *, prune: bool = False) -> list[Change]:
    """Make the directory equal to a file in one transaction, and return the changes.

    Removed users and domains cannot log in and are not recorded; their calls stay until they
    expire. The keys of a removed domain are destroyed, and its encrypted recordings with them. What
    is removed never comes back: a name that is given again is a new domain or user, without the
    calls and the sessions of the old one. Raises ConfigurationError.
    """
    async with store.reading() as connection:
        present = await _present(connection)
    claims = await claim_buckets(store, wanted)
    # Hashing passwords is slow, so it comes before the transaction.
    entries = await asyncio.to_thread(lambda: list(_wanted(wanted.domains, present)))
    async with store.writing() as connection:
        # In the order in which writers of calls lock domains: calls may be counted again.
        await connection.execute(select(domains.c.id).order_by(domains.c.id).with_for_update(key_share=True))
        changes = difference(entries, await _present(connection), prune=prune)
        entries_of_audit = [await _perform(connection, change, claims) for change in changes]
        if changes:
            _check_shared(wanted.source, await _present(connection))
            await bump_version(connection)
            await write_entries(connection, entries_of_audit)
    return changes


async def remove_user(store: Store, domain: str, login: str) -> None:
    """Remove a user for good; the login may then be given to another person.

    Raises ConfigurationError if there is no such user.
    """
    async with store.writing() as connection:
        present = {(entry.domain, entry.kind, entry.name): entry for entry in await _present(connection)}
        entry = present.get((domain, "user", login))
        if entry is None:
            raise ConfigurationError(f"no user {login!r} in domain {domain!r}")
        await write_entries(connection, [await _perform(connection, _removal(entry))])
        await bump_version(connection)


def renamed_users(changes: Sequence[Change]) -> list[Change]:
    """Return the changes that give users another name: it may be another person. Pure."""
    return [change for change in changes if change.kind == "user" and change.before and "name" in (change.after or {})]


def _wanted(wanted: Sequence[WantedDomain], present: Sequence[Entry]) -> Iterator[Entry]:
    with_password = {
        (entry.domain, entry.name) for entry in present if entry.kind == "user" and entry.values["password_hash"] is not None
    }
    for domain in wanted:
        columns = domain.model_dump(mode="json", exclude={"name", "user", "number"})
        yield Entry(domain="", kind="domain", name=domain.name, values=columns)
        for user in domain.user:
            values = _user_values(user, has_password=(domain.name, user.login) in with_password)
            yield Entry(domain=domain.name, kind="user", name=user.login, values=values)
        for line in domain.number:
            yield Entry(domain=domain.name, kind="number", name=line.number, values={"label": line.label})


def _user_values(user: WantedUser, *, has_password: bool) -> Values:
    values = user.model_dump(mode="json", exclude={"login", "password", "password_hash"})
    if has_password:
        return values
    if user.password_hash is not None:
        values["password_hash"] = user.password_hash
    elif user.password is not None:
        values["password_hash"] = hash_password(user.password.get_secret_value())
    return values


async def _present(connection: AsyncConnection) -> list[Entry]:
    domain_rows = (await connection.execute(select(domains).where(domains.c.removed_at.is_(None)))).mappings().all()
    user_rows = (await connection.execute(select(users).where(users.c.removed_at.is_(None)))).mappings().all()
    lines = (await connection.execute(select(numbers))).mappings().all()
    names = {row["id"]: row["name"] for row in domain_rows}
    return [
        *(_entry("", "domain", row["name"], row) for row in domain_rows),
        *(_entry(names[row["domain_id"]], "user", row["login"], row) for row in user_rows if row["domain_id"] in names),
        *(_entry(names[row["domain_id"]], "number", row["number"], row) for row in lines if row["domain_id"] in names),
    ]


def _entry(domain: str, kind: str, name: str, row: Mapping[Any, Any]) -> Entry:
    """Make an entry of a row, without its key and the columns that a file lacks."""
    values = {key: value for key, value in row.items() if key not in _NAMING[kind]}
    return Entry(domain=domain, kind=kind, name=name, values=values)


def _check_shared(source: str, entries: Sequence[Entry]) -> None:
    """Raise ConfigurationError if two users share an endpoint or an extension.

    Without --prune, users that the file lacks stay, so the check of the file is not enough.
    """
    owners: dict[tuple[str, str, str], str] = {}
    for entry in entries:
        if entry.kind != "user":
            continue
        own = f"{entry.domain}/{entry.name}"
        keys = [("endpoint", "", endpoint) for endpoint in entry.values["endpoints"]]
        keys += [("extension", entry.domain, entry.values["extension"])] if entry.values["extension"] else []
        for key in keys:
            if (other := owners.setdefault(key, own)) != own:
                raise ConfigurationError(
                    f'{source}: {key[0]} "{key[2]}" would belong to {other} and {own}; change one of them in the file, '
                    "or apply with --prune to remove users that the file does not name"
                )


async def _perform(connection: AsyncConnection, change: Change, claims: Mapping[str, Claim] = _NO_CLAIMS) -> NewEntry:
    """Write a change, and return its entry of the audit, which comes last in the transaction."""
    now = datetime.now(UTC)
    if change.kind == "domain" and change.before is None:
        await _add(connection, domains, {"name": change.name}, change.after or {}, now)
    domain_id = await _domain_id(connection, change)
    action, detail = audited(change)
    if change.kind == "domain":
        await _change_domain(connection, domain_id, change, now)
        if "objects" in (change.after or {}) and change.name in claims:
            await note_place(connection, domain_id, claims[change.name])
        if change.after is None and await destroy_keys(connection, domain_id):
            detail = {"recordings": "key destroyed"}
    elif change.kind == "user":
        await _change_user(connection, domain_id, change, now)
    else:
        await _change_number(connection, domain_id, change)
    return NewEntry(domain_id=domain_id, at=now, by=OPERATOR, action=action, subject=change.name, detail=detail)


async def _domain_id(connection: AsyncConnection, change: Change) -> int:
    name = change.name if change.kind == "domain" else change.domain
    present = select(domains.c.id).where(domains.c.name == name, domains.c.removed_at.is_(None))
    return int((await connection.execute(present)).scalar_one())


async def _change_domain(connection: AsyncConnection, domain_id: int, change: Change, now: datetime) -> None:
    is_domain = domains.c.id == domain_id
    if change.after is None:
        await connection.execute(update(domains).where(is_domain).values(removed_at=now))
        await close_sessions(connection, users.c.domain_id == domain_id)
    elif change.before is not None:
        await connection.execute(update(domains).where(is_domain).values(change.after))
    await _rebuild_statistics(connection, domain_id, change)


async def _change_user(connection: AsyncConnection, domain_id: int, change: Change, now: datetime) -> None:
    key = {"domain_id": domain_id, "login": change.name}
    if change.before is None:
        await _add(connection, users, key, change.after or {}, now)
        return
    is_user = (users.c.domain_id == domain_id) & (users.c.login == change.name) & users.c.removed_at.is_(None)
    if change.after is None or "password_hash" in change.after:
        await close_sessions(connection, is_user)
    await connection.execute(update(users).where(is_user).values({"removed_at": now} if change.after is None else change.after))


async def _change_number(connection: AsyncConnection, domain_id: int, change: Change) -> None:
    is_number = (numbers.c.domain_id == domain_id) & (numbers.c.number == change.name)
    if change.after is None:
        await connection.execute(delete(numbers).where(is_number))
    elif change.before is not None:
        await connection.execute(update(numbers).where(is_number).values(change.after))
    else:
        await connection.execute(insert(numbers).values(domain_id=domain_id, number=change.name, **change.after))


async def _add(connection: AsyncConnection, table: Table, key: Values, values: Values, now: datetime) -> None:
    """Add a domain or user. If its name was given before, the new row has the calls from now on.

    A removed row is not revived, and keeps the calls that began before now.
    """
    last = and_(*(table.c[name] == value for name, value in key.items()), table.c.valid_until.is_(None))
    given_before = (await connection.execute(update(table).where(last).values(valid_until=now))).rowcount > 0
    await connection.execute(insert(table).values(**key, **values, valid_from=now if given_before else EPOCH))


def audited(change: Change) -> tuple[str, Values]:
    """Return the action and the detail of a change for the audit. Pure.

    It has no hashes, and no addresses of buckets: the domain's administrators read it.
    """
    if change.before is None or change.after is None:
        return f"{change.kind}_{'added' if change.before is None else 'removed'}", {}
    before, after = change.before, change.after
    if after.keys() == {"password_hash"}:
        return "password_changed", {}
    shown = {key: {"from": before[key], "to": value} for key, value in after.items() if key not in _HIDDEN}
    hidden = {name: "changed" for key, name in _HIDDEN.items() if key in after}
    return f"{change.kind}_changed", shown | hidden


async def _rebuild_statistics(connection: AsyncConnection, domain_id: int, domain: Change) -> None:
    """Recompute what depends on the domain's clock, country and area codes."""
    values = domain.after or {}
    if values.keys() & {"country", "area_codes"}:
        await connection.run_sync(rebuild_call_backs, domain_id)
    if values.keys() & {"timezone", "country", "area_codes"}:
        await connection.run_sync(rebuild_counters, domain_id)
