"""`fonoteka objects`: the store of recordings."""

import asyncio
from typing import Annotated

import typer

from fonoteka.cli.commands.options import Config, load
from fonoteka.core.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="The store of recordings.")


@app.callback()
def _group() -> None:
    """Keep `move` a command of its own: of a single one typer would make the group."""


@app.command("move")
def objects_move(
    to: Annotated[str | None, typer.Option("--to", help="The new place, as in store.objects.", metavar="URL")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="The place to copy from; default: store.objects.", metavar="URL")
    ] = None,
    domain: Annotated[
        str | None, typer.Option("--domain", help="A domain: its recordings come to where its setting says.", metavar="NAME")
    ] = None,
    config: Config = None,
) -> int:
    """Copy all recordings to another place, and read them back there. Nothing is deleted.

    With --domain, move the recordings of one domain to the place that `fonoteka apply` has set for
    new ones: then they are deleted where they were. Calls may go on. Run it again after a kill, and
    for what came in between.
    """
    from fonoteka.cli import objects

    configuration, _ = load(config)
    if domain is not None and to is None and since is None:
        return asyncio.run(objects.move_domain_objects(configuration, domain))
    if domain is not None or to is None:
        raise ConfigurationError("give either --to, or --domain alone: its setting `objects` says where to")
    return asyncio.run(objects.move_objects(configuration, to, since))
