"""`fonoteka apply`: the difference between the index and a file (pure), and its execution."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.errors import ConfigurationError
from store.audit.write import OPERATOR, NewEntry, write_entries
from store.database.dialect import insert
from store.database.schema import domains, numbers, users
from store.database.store import Store
from store.intake.call_backs import rebuild_call_backs
from store.intake.write_counters import rebuild_counters
from store.people.accounts import close_sessions
from store.people.passwords import hash_password, verifies
from store.provisioning.directory import bump_version
from store.provisioning.directory_file import WantedDirectory, WantedDomain, WantedUser

Values = Mapping[str, Any]

_NAMING: Final = {
    "domain": frozenset({"id", "name", "removed_at"}),
    "user": frozenset({"id", "domain_id", "login", "removed_at"}),
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
        return "password changed"
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
    differing = {key: value for key, value in wanted.values.items() if present[key] != value}
    if not differing:
        return None
    before = {key: present[key] for key in differing}
    return Change(domain=wanted.domain, kind=wanted.kind, name=wanted.name, before=before, after=differing)


def _removal(entry: Entry) -> Change:
    return Change(domain=entry.domain, kind=entry.kind, name=entry.name, before=entry.values, after=None)


async def apply(store: Store, wanted: WantedDirectory, *, prune: bool = False) -> list[Change]:
    """Make the directory equal to a file in one transaction, and return the changes.

    Removed users and domains cannot log in and are not recorded; their calls stay until they
    expire. Raises ConfigurationError.
    """
    async with store.reading() as connection:
        present = await _present(connection)
    # Hashing passwords is slow, so it comes before the transaction.
    entries = await asyncio.to_thread(lambda: list(_wanted(wanted.domains, present)))
    async with store.writing() as connection:
        # In the order in which writers of calls lock domains: calls may be counted again.
        await connection.execute(select(domains.c.id).order_by(domains.c.id).with_for_update(key_share=True))
        changes = difference(entries, await _present(connection), prune=prune)
        entries_of_audit = [await _perform(connection, change) for change in changes]
        if changes:
            _check_shared(wanted.source, await _present(connection))
            await bump_version(connection)
            await write_entries(connection, entries_of_audit)
    return changes


def _wanted(wanted: Sequence[WantedDomain], present: Sequence[Entry]) -> Iterator[Entry]:
    hashes = {(entry.domain, entry.name): entry.values["password_hash"] for entry in present if entry.kind == "user"}
    for domain in wanted:
        columns = domain.model_dump(mode="json", exclude={"name", "user", "number"})
        yield Entry(domain="", kind="domain", name=domain.name, values=columns)
        for user in domain.user:
            values = _user_values(user, hashes.get((domain.name, user.login)))
            yield Entry(domain=domain.name, kind="user", name=user.login, values=values)
        for line in domain.number:
            yield Entry(domain=domain.name, kind="number", name=line.number, values={"label": line.label})


def _user_values(user: WantedUser, present_hash: str | None) -> Values:
    values = user.model_dump(mode="json", exclude={"login", "password", "password_hash"})
    if user.password_hash is not None:
        values["password_hash"] = user.password_hash
    elif user.password is not None:
        password = user.password.get_secret_value()
        same = present_hash is not None and verifies(present_hash, password)
        values["password_hash"] = present_hash if same else hash_password(password)
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


async def _perform(connection: AsyncConnection, change: Change) -> NewEntry:
    """Write a change, and return its entry of the audit, which comes last in the transaction."""
    if change.kind == "domain":
        await _write(connection, domains, {"name": change.name}, change)
    named = domains.c.name == (change.name if change.kind == "domain" else change.domain)
    domain_id = (await connection.execute(select(domains.c.id).where(named))).scalar_one()
    action, detail = audited(change)
    entry = NewEntry(domain_id=domain_id, at=datetime.now(UTC), by=OPERATOR, action=action, subject=change.name, detail=detail)
    if change.kind == "domain":
        await _rebuild_statistics(connection, domain_id, change)
    elif change.kind == "user":
        key = {"domain_id": domain_id, "login": change.name}
        await _write(connection, users, key, change)
        if change.after is None or "password_hash" in change.after:
            is_user = (users.c.domain_id == domain_id) & (users.c.login == change.name)
            await close_sessions(connection, (await connection.execute(select(users.c.id).where(is_user))).scalar_one())
    elif change.after is None:
        is_number = (numbers.c.domain_id == domain_id) & (numbers.c.number == change.name)
        await connection.execute(numbers.delete().where(is_number))
    else:
        await _write(connection, numbers, {"domain_id": domain_id, "number": change.name}, change)
    return entry


def audited(change: Change) -> tuple[str, Values]:
    """Return the action and the detail of a change for the audit, without hashes. Pure."""
    if change.before is None or change.after is None:
        return f"{change.kind}_{'added' if change.before is None else 'removed'}", {}
    before, after = change.before, dict(change.after)
    if after.pop("password_hash", None) is not None and not after:
        return "password_changed", {}
    password = {"password": "changed"} if "password_hash" in change.after else {}
    return f"{change.kind}_changed", {key: {"from": before[key], "to": value} for key, value in after.items()} | password


async def _rebuild_statistics(connection: AsyncConnection, domain_id: int, domain: Change) -> None:
    """Recompute what depends on the domain's clock, country and area codes."""
    values = domain.after or {}
    if values.keys() & {"country", "area_codes"}:
        await connection.run_sync(rebuild_call_backs, domain_id)
    if values.keys() & {"timezone", "country", "area_codes"}:
        await connection.run_sync(rebuild_counters, domain_id)


async def _write(connection: AsyncConnection, table: Table, key: Values, change: Change) -> None:
    """Add (or restore), change, or mark as removed."""
    is_row = [table.c[name] == value for name, value in key.items()]
    if change.after is None:
        await connection.execute(update(table).where(*is_row).values(removed_at=datetime.now(UTC)))
    elif change.before is not None:
        await connection.execute(update(table).where(*is_row).values(change.after))
    else:
        restored = {"removed_at": None} if "removed_at" in table.c else {}
        values = {"password_hash": None} | dict(change.after) if table is users else dict(change.after)
        new = insert(connection.dialect, table).values(**key, **values, **restored)
        await connection.execute(
            new.on_conflict_do_update(index_elements=[table.c[name] for name in key], set_={**values, **restored})
        )
