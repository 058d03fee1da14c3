"""`fonoteka apply`: write a file's domains, users and numbers into the store, or propose a file."""

from pathlib import Path

from fonoteka.core.config import Configuration


async def applied(configuration: Configuration, file: Path, *, prune: bool) -> list[str]:
    """Make the store match a file; return one line per change, and a hint for renamed users.

    Raises ConfigurationError and StoreError.
    """
    from store.database.store import Store
    from store.provisioning.apply import apply, renamed_users
    from store.provisioning.directory_file import parse_directory_file

    wanted = parse_directory_file(file)
    store = await Store.open(configuration.store)
    try:
        changes = await apply(store, wanted, prune=prune)
    finally:
        await store.close()
    hints = [
        f"note: {change.domain}/{change.name} keeps the calls and the password of {(change.before or {})['name']}; if this is "
        f"another person, run `fonoteka user remove {change.domain} {change.name}` and apply the file again"
        for change in renamed_users(changes)
    ]
    return [*map(str, changes), *hints, f"{len(changes)} changes" if changes else "nothing to change"]


async def proposed(configuration: Configuration, source: Path | None, domain: str | None) -> str:
    """Return a proposed file for `apply`, from the endpoints of Asterisk.

    Raises ConfigurationError and AmiError.
    """
    from fonoteka.cli.ami_connection import linked
    from fonoteka.cli.proposal.endpoints import endpoints
    from fonoteka.cli.proposal.file import proposal, zone_here

    async with linked(configuration, source) as client:
        found = await endpoints(client)
    return proposal(found, asterisk=configuration.pbx.ami, timezone=zone_here(), domain=domain)
