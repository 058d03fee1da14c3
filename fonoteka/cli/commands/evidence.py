"""`fonoteka evidence`: calls as signed packages."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from fonoteka.cli.commands.options import Config, load
from fonoteka.core.errors import ObjectDamaged, ObjectMissing

app = typer.Typer(no_args_is_help=True, help="Calls as signed packages.")


@app.command("export")
def evidence_export(call: str, file: Path, config: Config = None) -> int:
    """Write a call with its recordings and its journal into FILE, a signed package."""
    from fonoteka.cli import evidence

    configuration, _ = load(config)
    try:
        print(asyncio.run(evidence.export(configuration, call, file)))
    except (ObjectDamaged, ObjectMissing) as error:
        print(f"fonoteka: {error}; see: fonoteka verify", file=sys.stderr)
        return 1
    return 0


@app.command("verify")
def evidence_verify(
    file: Path, key: Annotated[str | None, typer.Option(help="The expected public key, its fingerprint, or a file with it.")] = None
) -> int:
    """Check a package and say what it proves. Needs no server and no configuration."""
    from fonoteka.cli import evidence

    lines = evidence.verify(file, key)
    print(evidence.to_text(lines))
    return 0 if evidence.is_genuine(lines) else 1
