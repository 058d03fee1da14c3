"""`fonoteka retention`: delete what has expired, or say what would be deleted."""

from collections.abc import Iterator
from datetime import UTC, datetime

from fonoteka.core.config import Configuration
from store.database.store import Store
from store.retention.run import Amount, Deleted, delete_due, what_is_due


async def expired(configuration: Configuration, *, dry_run: bool) -> list[str]:
    """Delete what is due, or with `dry_run` only count it; return a line for each domain and rule.

    Raises ConfigurationError and StoreError.
    """
    store = await Store.open(configuration.store)
    try:
        now = datetime.now(UTC)
        return list(_lines(await (what_is_due(store, now) if dry_run else delete_due(store, now)), dry_run=dry_run))
    finally:
        await store.close()


def _lines(deleted: Deleted, *, dry_run: bool) -> Iterator[str]:
    done = "would be deleted" if dry_run else "deleted"
    for rule, amount in deleted.items():
        yield f"{rule.domain}: {rule}: {_words(amount, of_calls=rule.is_of_calls)} {done}"
    if not deleted:
        yield "nothing is due"


def _words(amount: Amount, *, of_calls: bool) -> str:
    if of_calls:
        return f"{amount.calls} calls"
    return f"{amount.recordings} recordings of {amount.calls} calls, {amount.size_bytes / 1e6:.1f} MB,"
