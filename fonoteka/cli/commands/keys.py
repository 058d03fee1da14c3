"""`fonoteka keys`: the keys of encrypted recordings."""

import asyncio
from typing import Annotated

import typer

from fonoteka.cli.commands.options import Config, load
from fonoteka.core.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="The keys of encrypted recordings.")


@app.command("show")
def keys_show(
    config: Config = None,
    recovery: Annotated[bool, typer.Option("--recovery", help="Print the master key, for its backup.")] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="With --recovery: the backup is made; ask nothing.")] = False,
) -> None:
    """Print whether recordings are encrypted, under which keys, and how many are plain."""
    from fonoteka.cli import keys

    configuration, _ = load(config)
    if confirm and not recovery:
        raise ConfigurationError("--confirm goes with --recovery")
    asyncio.run(keys.show_recovery(configuration, confirm=confirm) if recovery else keys.show(configuration))


@app.command("encrypt-existing")
def keys_encrypt_existing(config: Config = None) -> int:
    """Encrypt what is plain, and new recordings from now on. Run it again after a kill."""
    from fonoteka.cli import keys

    configuration, _ = load(config)
    return asyncio.run(keys.encrypt_existing(configuration))


@app.command("rotate")
def keys_rotate(
    config: Config = None,
    master: Annotated[bool, typer.Option("--master", help="Replace the master key alone: recordings stay as they are.")] = False,
) -> int:
    """Give each domain a new key, encrypt its recordings again, destroy the old keys.

    Run it again after a kill.
    """
    from fonoteka.cli import keys

    configuration, _ = load(config)
    if master:
        asyncio.run(keys.replace_master_key(configuration))
        return 0
    return asyncio.run(keys.rotate(configuration))
