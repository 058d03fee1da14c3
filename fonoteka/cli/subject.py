"""`fonoteka subject`: what is kept of an outside party, as a list, as a file, or no longer."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from fonoteka.core.atomic_file import drafted, sync_folder
from fonoteka.core.config import Configuration
from fonoteka.core.errors import ConfigurationError

if TYPE_CHECKING:
    from store.database.store import Store
    from store.subjects.calls import SubjectCall, SubjectCalls


@dataclass(frozen=True, kw_only=True, slots=True)
class _Opened:
    """The store, and the domains of the command: one, or all removed ones of a name."""

    store: "Store"
    domain_ids: Sequence[int]


@asynccontextmanager
async def _opened(configuration: Configuration, domain: str, *, removed: bool = False) -> "AsyncIterator[_Opened]":
    from store.database.store import Store
    from store.provisioning.directory import domain_id_of, removed_domain_ids_of

    store = await Store.open(configuration.store)
    try:
        domain_ids = await removed_domain_ids_of(store, domain)
        if not removed:
            present = await domain_id_of(store, domain)
            if present is None and domain_ids:
                raise ConfigurationError(f"domain {domain!r} was removed: --removed means its calls")
            domain_ids = [present] if present is not None else []
        if not domain_ids:
            raise ConfigurationError(f"there is no {'removed ' if removed else ''}domain {domain!r}")
        yield _Opened(store=store, domain_ids=domain_ids)
    finally:
        await store.close()


async def _found(opened: _Opened, domain_id: int, number: str, now: datetime) -> "SubjectCalls":
    """Return the calls of an outside party. Raises ConfigurationError."""
    from store.subjects.calls import find_calls

    try:
        return await find_calls(opened.store, domain_id, number, now)
    except ValueError as error:
        raise ConfigurationError(f"NUMBER {number!r} {error}") from error


async def find(configuration: Configuration, domain: str, number: str, *, removed: bool = False) -> "SubjectCalls":
    """Return the calls of an outside party; the audit has the search. Raises FonotekaError."""
    from store.audit.write import OPERATOR
    from store.subjects.erasure import FOUND, subject_entry, write_subject_entry

    now, all_found = datetime.now(UTC), []
    async with _opened(configuration, domain, removed=removed) as opened:
        for domain_id in opened.domain_ids:
            all_found.append(found := await _found(opened, domain_id, number, now))
            await write_subject_entry(opened.store, subject_entry(domain_id, found, OPERATOR, now, action=FOUND))
    return _together(all_found)


async def export(configuration: Configuration, domain: str, number: str, output: Path | None) -> tuple["SubjectCalls", Path]:
    """Write the data of an outside party to a new ZIP file. Raises FonotekaError."""
    from api.exports.subject_package import SubjectPackage
    from store.audit.write import OPERATOR
    from store.subjects.erasure import EXPORTED, subject_entry, write_subject_entry

    now = datetime.now(UTC)
    target = output or Path(f"fonoteka-{domain}-subject-{now.astimezone():%Y-%m-%d}.zip")
    if target.exists():
        raise ConfigurationError(f"{target} exists already: name another file with --output")
    async with _opened(configuration, domain) as opened:
        (domain_id,) = opened.domain_ids
        found = await _found(opened, domain_id, number, now)
        await write_subject_entry(opened.store, subject_entry(domain_id, found, OPERATOR, now, action=EXPORTED))
        package = SubjectPackage(store=opened.store, domain=domain, domain_id=domain_id, zone=found.zone, found=found, now=now)
        try:
            with drafted(target, target.with_name(f".{target.name}.new"), sync=True) as file:
                async for piece in package.pieces():
                    file.write(piece)
            sync_folder(target.parent)
        except OSError as error:
            raise ConfigurationError(f"{target} cannot be written: {error.strerror}") from error
    return found, target


async def erase(configuration: Configuration, domain: str, number: str, *, removed: bool = False) -> tuple["SubjectCalls", int]:
    """Erase the calls of an outside party; return those found and the number erased."""
    from store.audit.write import OPERATOR
    from store.subjects.erasure import erase_subject

    now = datetime.now(UTC)
    async with _opened(configuration, domain, removed=removed) as opened:
        erased = [await erase_subject(opened.store, key, number, by=OPERATOR, now=now) for key in opened.domain_ids]
    return _together([found for found, _ in erased]), sum(count for _, count in erased)


def _together(found: "Sequence[SubjectCalls]") -> "SubjectCalls":
    """Return the calls of several domains as those of the last one."""
    return replace(found[-1], calls=tuple(call for each in found for call in each.calls))


def listed(found: "SubjectCalls") -> Iterator[str]:
    """Yield a line for each call, and a summary."""
    for call in found.calls:
        yield _line(call, found.zone)
    yield summary(found)
    yield from left(found)


def summary(found: "SubjectCalls") -> str:
    """Return the number and how many calls it has."""
    return f"{found.number}: calls: {len(found.calls)}, with audio: {found.recordings}"


def left(found: "SubjectCalls") -> Iterator[str]:
    """Yield a line for each call that an erasure leaves."""
    for call in found.held:
        yield f"{call.public_id} is under legal hold and stays"
    for call in found.in_progress:
        yield f"{call.public_id} is in progress and stays; erase again after its end"


def as_json(found: "SubjectCalls") -> str:
    """Return the calls as a JSON document."""
    return json.dumps({"number": found.number, "calls": [_fields(call, found.zone) for call in found.calls]}, ensure_ascii=False)


def _fields(call: "SubjectCall", zone: ZoneInfo) -> dict[str, Any]:
    names: Sequence[str] = ("direction", "src", "dst", "recorded", "held", "in_progress")
    started_at = call.started_at.astimezone(zone).isoformat(timespec="milliseconds")
    return {"id": call.public_id, "started_at": started_at} | {name: getattr(call, name) for name in names}


def _line(call: "SubjectCall", zone: ZoneInfo) -> str:
    marks = {"audio": call.recorded, "legal hold": call.held, "in progress": call.in_progress}
    notes = ", ".join(name for name, is_so in marks.items() if is_so)
    at = call.started_at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    return f"{at} {call.direction} {call.src} > {call.dst} {call.public_id}{f' ({notes})' if notes else ''}"
