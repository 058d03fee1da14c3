"""`fonoteka objects`: the store of recordings."""

import asyncio
from typing import Annotated

import typer

from fonoteka.cli.commands.options import Config, load

app = typer.Typer(no_args_is_help=True, help="The store of recordings.")


@app.callback()
def _group() -> None:
    """Keep `move` a command of its own: of a single one typer would make the group."""


@app.command("move")
def objects_move(
    to: Annotated[str, typer.Option("--to", help="The new place, as in store.objects.", metavar="URL")],
    since: Annotated[
        str | None, typer.Option("--from", help="The place to copy from; default: store.objects.", metavar="URL")
    ] = None,
    config: Config = None,
) -> int:
    """Copy all recordings to another place, and read them back there. Nothing is deleted.

    Calls may go on. Run it again after a kill, and for what came in between.
    """
    from fonoteka.cli import objects

    configuration, _ = load(config)
    return asyncio.run(objects.move_objects(configuration, to, since))
