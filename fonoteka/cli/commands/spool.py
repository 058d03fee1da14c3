"""`fonoteka spool`: what waits on a PBX."""

from typing import Annotated

import typer

from fonoteka.cli.commands.options import Config, load

app = typer.Typer(invoke_without_command=True, help="What waits on this PBX and what was set aside, why.")


AsJson = Annotated[bool, typer.Option("--json", help="Print the contents as JSON.")]


@app.callback()
def spool(context: typer.Context, config: Config = None, as_json: AsJson = False) -> None:
    """Print what waits on this PBX and what was set aside, why."""
    context.obj = config
    if context.invoked_subcommand is None:
        spool_list(context, config, as_json)


@app.command("list")
def spool_list(context: typer.Context, config: Config = None, as_json: AsJson = False) -> None:
    """Print what waits on this PBX and what was set aside, why."""
    from fonoteka.cli import spool
    from fonoteka.core.spool import Spool

    configuration, _ = load(config or context.obj)
    found = spool.contents(Spool(configuration.pbx.spool))
    print(spool.to_json(found) if as_json else spool.to_text(found))


@app.command("retry")
def spool_retry(
    context: typer.Context, names: Annotated[list[str], typer.Argument(metavar="NAME...")], config: Config = None
) -> None:
    """Put back what was set aside: mix a recording again, or send a call again."""
    from fonoteka.cli import spool
    from fonoteka.core.spool import Spool

    configuration, _ = load(config or context.obj)
    for name in names:
        print(spool.retry(Spool(configuration.pbx.spool), name))
