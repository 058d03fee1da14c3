"""Making domains, users and numbers be what a file says: first the difference, which is pure, then the doing."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.errors import ConfigurationError
from store.audit.write import OPERATOR, write_entry
from store.database.dialect import insert
from store.database.schema import domains, numbers, users
from store.database.store import Store
from store.intake.call_backs import rebuild_call_backs
from store.intake.write_counters import rebuild_counters
from store.people.accounts import close_sessions
from store.people.passwords import hash_password, verifies
from store.provisioning.directory import bump_version
from store.provisioning.directory_file import WantedDirectory, WantedDomain, WantedUser
from store.selection.scope import Scope

Values = Mapping[str, Any]

_NAMING: Final = {
    "domain": frozenset({"id", "name", "removed_at"}),
    "user": frozenset({"id", "domain_id", "login", "removed_at"}),
    "number": frozenset({"id", "domain_id", "number"}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Something named: a domain ("", "domain", name), a user or a number (domain, kind, name). `values` are its columns."""

    domain: str
    kind: str
    name: str
    values: Values


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One line of the diff. `before` None: it is added; `after` None: it is removed. Only columns that differ are in both."""

    domain: str
    kind: str
    name: str
    before: Values | None
    after: Values | None

    def __str__(self) -> str:
        what = f"{self.kind} {self.domain}/{self.name}" if self.domain else f"{self.kind} {self.name}"
        if self.before is None:
            return f"+ {what}"
        if self.after is None:
            return f"- {what}"
        return f"~ {what}: " + ", ".join(_line(key, self.before[key], value) for key, value in self.after.items())


def _line(key: str, before: object, after: object) -> str:
    if key == "password_hash":
        return "password changed"
    return f"{key} {_shown(before)} → {_shown(after)}"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def difference(wanted: Sequence[Entry], there: Sequence[Entry], *, prune: bool) -> list[Change]:
    """What must change so that `there` becomes `wanted`: domains before what is in them, removals last. Pure.

    A wanted entry without some column leaves that column as it is.
    """
    present = {(entry.domain, entry.kind, entry.name): entry.values for entry in there}
    changes = [change for entry in wanted if (change := _change(entry, present.get((entry.domain, entry.kind, entry.name))))]
    if prune:
        named = {(entry.domain, entry.kind, entry.name) for entry in wanted}
        gone = [entry for entry in there if (entry.domain, entry.kind, entry.name) not in named]
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
    """Do it, in one transaction, and tell what was done; nothing if nothing differs. Raises ConfigurationError.

    Removed users and domains cannot log in and are not recorded; their calls stay until they expire.
    """
    async with store.reading() as connection:
        there = await _present(connection)
    # Hashing passwords takes a while, in which nobody else may be kept from writing.
    entries = await asyncio.to_thread(lambda: list(_wanted(wanted.domains, there)))
    async with store.writing() as connection:
        # As writers of calls hold them, in this order: their calls may have to be counted anew.
        await connection.execute(select(domains.c.id).order_by(domains.c.id).with_for_update(key_share=True))
        changes = difference(entries, await _present(connection), prune=prune)
        for change in changes:
            await _perform(connection, change)
        if changes:
            _check_whole(wanted.source, await _present(connection))
            await bump_version(connection)
    return changes


def _wanted(wanted: Sequence[WantedDomain], there: Sequence[Entry]) -> Iterator[Entry]:
    hashes = {(entry.domain, entry.name): entry.values["password_hash"] for entry in there if entry.kind == "user"}
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
    there = (await connection.execute(select(domains).where(domains.c.removed_at.is_(None)))).mappings().all()
    user_rows = (await connection.execute(select(users).where(users.c.removed_at.is_(None)))).mappings().all()
    lines = (await connection.execute(select(numbers))).mappings().all()
    names = {row["id"]: row["name"] for row in there}
    return [
        *(_entry("", "domain", row["name"], row) for row in there),
        *(_entry(names[row["domain_id"]], "user", row["login"], row) for row in user_rows if row["domain_id"] in names),
        *(_entry(names[row["domain_id"]], "number", row["number"], row) for row in lines if row["domain_id"] in names),
    ]


def _entry(domain: str, kind: str, name: str, row: Mapping[Any, Any]) -> Entry:
    """A row as an entry; what names it, and what the file does not speak of, is left out."""
    values = {key: value for key, value in row.items() if key not in _NAMING[kind]}
    return Entry(domain=domain, kind=kind, name=name, values=values)


def _check_whole(source: str, entries: Sequence[Entry]) -> None:
    """Without --prune the file is laid over what is there, and only the whole shows whether two users share something."""
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


async def _perform(connection: AsyncConnection, change: Change) -> None:
    if change.kind == "domain":
        await _write(connection, domains, {"name": change.name}, change)
    named = domains.c.name == (change.name if change.kind == "domain" else change.domain)
    domain_id = (await connection.execute(select(domains.c.id).where(named))).scalar_one()
    action, detail = audited(change)
    within, now = Scope(domain_id=domain_id, login=None), datetime.now(UTC)
    await write_entry(connection, within, OPERATOR, action=action, subject=change.name, detail=detail, now=now)
    if change.kind == "domain":
        await _look_at_calls_again(connection, domain_id, change)
        return
    if change.kind == "user":
        key = {"domain_id": domain_id, "login": change.name}
        await _write(connection, users, key, change)
        if change.after is None or "password_hash" in change.after:
            mine = (users.c.domain_id == domain_id) & (users.c.login == change.name)
            await close_sessions(connection, (await connection.execute(select(users.c.id).where(mine))).scalar_one())
    elif change.after is None:
        mine = (numbers.c.domain_id == domain_id) & (numbers.c.number == change.name)
        await connection.execute(numbers.delete().where(mine))
    else:
        await _write(connection, numbers, {"domain_id": domain_id, "number": change.name}, change)


def audited(change: Change) -> tuple[str, Values]:
    """What the audit says of a change: its action and detail. A password is said to be changed, and no more. Pure."""
    if change.before is None or change.after is None:
        return f"{change.kind}_{'added' if change.before is None else 'removed'}", {}
    before, after = change.before, dict(change.after)
    if after.pop("password_hash", None) is not None and not after:
        return "password_changed", {}
    password = {"password": "changed"} if "password_hash" in change.after else {}
    return f"{change.kind}_changed", {key: {"from": before[key], "to": value} for key, value in after.items()} | password


async def _look_at_calls_again(connection: AsyncConnection, domain_id: int, domain: Change) -> None:
    """By another clock calls are of other hours and days, in another country numbers mean others."""
    values = domain.after or {}
    if values.keys() & {"country", "area_codes"}:
        await connection.run_sync(rebuild_call_backs, domain_id)
    if values.keys() & {"timezone", "country", "area_codes"}:
        await connection.run_sync(rebuild_counters, domain_id)


async def _write(connection: AsyncConnection, table: Table, key: Values, change: Change) -> None:
    """Add (or take back what was removed before), alter, or mark as removed."""
    mine = [table.c[name] == value for name, value in key.items()]
    if change.after is None:
        await connection.execute(update(table).where(*mine).values(removed_at=datetime.now(UTC)))
    elif change.before is not None:
        await connection.execute(update(table).where(*mine).values(change.after))
    else:
        back = {"removed_at": None} if "removed_at" in table.c else {}
        fresh = {"password_hash": None} | dict(change.after) if table is users else dict(change.after)
        new = insert(connection.dialect, table).values(**key, **fresh, **back)
        await connection.execute(new.on_conflict_do_update(index_elements=[table.c[name] for name in key], set_={**fresh, **back}))
