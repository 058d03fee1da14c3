"""`fonoteka apply`: a file's domains, users and numbers into the store; and a file to begin with, from what Asterisk has."""

from pathlib import Path

from fonoteka.core.config import Configuration


async def applied(configuration: Configuration, file: Path, *, prune: bool) -> list[str]:
    """Make the store be what the file says; what was changed, a line each. Raises ConfigurationError and StoreError."""
    from store.database.store import Store
    from store.provisioning.apply import apply
    from store.provisioning.directory_file import parse_directory_file

    wanted = parse_directory_file(file)
    store = await Store.open(configuration.store)
    try:
        changes = await apply(store, wanted, prune=prune)
    finally:
        await store.close()
    return [*map(str, changes), f"{len(changes)} changes" if changes else "nothing to change"]


async def proposed(configuration: Configuration, source: Path | None, domain: str | None) -> str:
    """The text of a file for `apply`, to be read and corrected. Raises ConfigurationError and AmiError."""
    from fonoteka.cli.ami_connection import linked
    from fonoteka.cli.proposal.endpoints import endpoints
    from fonoteka.cli.proposal.file import proposal, zone_here

    async with linked(configuration, source) as client:
        found = await endpoints(client)
    return proposal(found, asterisk=configuration.pbx.ami, timezone=zone_here(), domain=domain)
