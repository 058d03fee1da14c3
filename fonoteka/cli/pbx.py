"""`fonoteka pbx`: register PBXs and the domains that each serves."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fonoteka.core.config import Configuration
from fonoteka.core.errors import ConfigurationError

if TYPE_CHECKING:
    from store.database.store import Store


def chosen_domains(domains: Sequence[str] | None, *, all_domains: bool) -> Sequence[str] | None:
    """Return the names of the chosen domains, None for all.

    Raises ConfigurationError unless either is chosen: a token must not open every company by
    oversight.
    """
    if all_domains == bool(domains):
        raise ConfigurationError("name the domains that the PBX serves: either --domain NAME (once for each) or --all-domains")
    return None if all_domains else domains


async def add(configuration: Configuration, name: str, domains: Sequence[str] | None) -> str:
    """Register a PBX and return its token. Raises ConfigurationError and StoreError."""
    from store.people.accounts import add_pbx

    async with _store(configuration) as store:
        return await add_pbx(store, name, domains)


async def renew(configuration: Configuration, name: str) -> str:
    """Give a PBX a new token and return it. Raises ConfigurationError and StoreError."""
    from store.people.accounts import renew_token

    async with _store(configuration) as store:
        return await renew_token(store, name)


async def set_domains(configuration: Configuration, name: str, domains: Sequence[str] | None) -> None:
    """Replace the domains of a PBX. Raises ConfigurationError and StoreError."""
    from store.people.served_domains import set_served_domains

    async with _store(configuration) as store:
        await set_served_domains(store, name, domains)


async def listed(configuration: Configuration) -> list[str]:
    """Return one line for each PBX: its name and domains. Raises StoreError."""
    from store.people.served_domains import Serves, registered_pbxs

    words = {Serves.ALL: "all domains", Serves.UNSET: "all domains, as nobody has named any (`fonoteka pbx domains`)"}
    async with _store(configuration) as store:
        return [
            f"{pbx.name}: {words.get(pbx.serves) or ', '.join(pbx.domains or ()) or 'no domain'}"
            for pbx in await registered_pbxs(store)
        ]


@asynccontextmanager
async def _store(configuration: Configuration) -> "AsyncIterator[Store]":
    from store.database.store import Store

    store = await Store.open(configuration.store)
    try:
        yield store
    finally:
        await store.close()
