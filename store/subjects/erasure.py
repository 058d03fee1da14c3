"""Erase the calls of an outside party, with their audio.

The audit has an entry before anything is deleted, and an entry for each batch in the transaction
that deletes its rows. A kill in between leaves a call either as it was, or without its audio, or
deleted; the same erasure once more deletes the rest.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from fonoteka.core.call_report import Direction
from store.audit.write import Actor, NewEntry, write_entries
from store.database.schema import calls
from store.database.store import Store
from store.retention.removal import erase_calls
from store.subjects.calls import SubjectCall, SubjectCalls, find_calls, masked

FOUND: Final = "subject_found"
EXPORTED: Final = "subject_exported"
BEGUN: Final = "subject_erasure"
ERASED: Final = "subject_erased"


def subject_entry(
    domain_id: int, found: SubjectCalls, by: Actor, now: datetime, *, action: str, detail: Mapping[str, Any] | None = None
) -> NewEntry:
    """Return an audit entry about an outside party, with the last two digits of the number only.

    An export names its calls, so that the entries about a call show who took its audio.
    """
    counted = {"calls": len(found.calls), "recordings": found.recordings} if detail is None else detail
    if action == EXPORTED:
        counted = {**counted, "ids": _ids(found.calls)}
    return NewEntry(domain_id=domain_id, at=now, by=by, action=action, subject=masked(found.number), detail=counted)


async def write_subject_entry(store: Store, entry: NewEntry) -> None:
    """Write an entry in a transaction of its own."""
    async with store.writing() as connection:
        await write_entries(connection, [entry])


async def erase_subject(store: Store, domain_id: int, text: str, *, by: Actor, now: datetime) -> tuple[SubjectCalls, int]:
    """Erase the calls of an outside party; return what was found before, and how many were erased.

    Calls under legal hold and calls in progress stay. Fewer calls are erased than were found if one
    was put under legal hold meanwhile, or if its file cannot be deleted. On return no file of an
    SQLite index has the number, unless a call still has it. Raises ValueError if the text
    identifies no outside party.
    """
    found = await find_calls(store, domain_id, text, now)
    left = {"held": _ids(found.held), "in_progress": _ids(found.in_progress)}
    begun = {"calls": len(found.erasable)} | {key: ids for key, ids in left.items() if ids}
    await write_subject_entry(store, subject_entry(domain_id, found, by, now, action=BEGUN, detail=begun))

    def erased(ids: Sequence[str]) -> NewEntry:
        return subject_entry(domain_id, found, by, now, action=ERASED, detail={"calls": len(ids), "ids": list(ids)})

    keys = [call.key for call in found.erasable]
    removed = await erase_calls(store, domain_id, keys, now=now, entry=erased)
    await store.purge(await _gone(store, found) if removed else ())
    return found, len({call.public_id for call in found.erasable} & set(removed))


async def _gone(store: Store, found: SubjectCalls) -> Sequence[str]:
    """Return the number in all ways in which the index had it; none if any call still has it.

    The calls of all domains count, so that the time of an erasure does not show whether another
    company has the number.
    """
    query = select(calls.c.id).where(calls.c.outside_number == found.number).limit(1)
    async with store.reading() as connection:
        if (await connection.execute(query)).first() is not None:
            return ()
    return sorted({found.number, *(call.src if call.direction is Direction.IN else call.dst for call in found.erasable)} - {""})


def _ids(listed: Sequence[SubjectCall]) -> list[str]:
    return [call.public_id for call in listed]
