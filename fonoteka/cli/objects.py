"""`fonoteka objects move`: copy all recordings to another place, or move those of a domain."""

import hashlib
import sys
from contextlib import ExitStack
from typing import Final

from fonoteka.cli.progress_bar import progress_bar
from fonoteka.core.config import Configuration
from fonoteka.core.errors import ConfigurationError
from store.database.store import Store
from store.objects.object_store import ObjectStore
from store.objects.places import objects_at
from store.transfer.domain_objects import move_domain
from store.transfer.objects import Moved, move

_SHOWN: Final = 20


async def move_objects(configuration: Configuration, to: str, since: str | None) -> int:
    """Copy the recordings; print what was done; return the exit code.

    Raises ConfigurationError and StoreError.
    """
    section = configuration.store
    begin = since or section.objects
    if begin == to:
        raise ConfigurationError(f"--to = {to!r}: the recordings are there already")
    store = await Store.open(section)
    try:
        with ExitStack() as stack:
            source, target = (_at(store, configuration, place, stack) for place in (begin, to))
            name = hashlib.sha256(f"{begin}\n{to}".encode()).hexdigest()[:8]
            workspace = store.objects.workspace
            journal = workspace.with_name(f"{workspace.name}-move-{name}.log")
            with progress_bar("recordings") as progress:
                moved = await move(store, source, target, journal, progress)
    finally:
        await store.close()
    _print(moved, to, is_last=to == section.objects)
    return 1 if moved.lost else 0


async def move_domain_objects(configuration: Configuration, domain: str) -> int:
    """Move the recordings of a domain; print what was done; return the exit code.

    Raises ConfigurationError and StoreError.
    """
    store = await Store.open(configuration.store)
    try:
        with progress_bar("recordings") as progress:
            moved = await move_domain(store, domain, progress)
    finally:
        await store.close()
    print(f"moved: {moved.moved} recordings ({moved.moved_bytes / 1e6:.1f} MB), read back")
    print(f"deleted where they were: {moved.deleted} objects")
    for address in moved.emptied:
        print(f"empty, and no longer needed: {address}")
    _print_lost(moved.lost)
    return 1 if moved.lost else 0


def _print_lost(lost: list[str]) -> None:
    for line in lost[:_SHOWN]:
        print(f"missing or damaged at the old place: {line}", file=sys.stderr)
    if lost:
        print(f"recordings that cannot be moved: {len(lost)}; see: fonoteka verify", file=sys.stderr)


def _at(store: Store, configuration: Configuration, place: str, stack: ExitStack) -> ObjectStore:
    """Return the objects at a place, ready to be used."""
    if place == configuration.store.objects:
        return store.objects.main
    objects = objects_at(place, configuration.store, store.keys, store.objects.workspace)
    stack.callback(objects.close)
    objects.prepare(sweep=False)
    return objects


def _print(moved: Moved, to: str, *, is_last: bool) -> None:
    print(f"copied: {moved.copied} objects ({moved.copied_bytes / 1e6:.1f} MB), read back; there already: {moved.present}")
    if moved.deleted:
        print(f"deleted at the new place, since they have expired: {moved.deleted}")
    _print_lost(moved.lost)
    if is_last:
        print("check with: fonoteka verify; then the old place may be deleted")
    else:
        print("what is stored from now on is at the old place: stop the API (agents keep what they record),")
        print(f"run this again, set store.objects = {to!r}, and start the API")
