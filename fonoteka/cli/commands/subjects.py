"""`fonoteka subject`: the rights of an outside party."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from fonoteka.cli.commands.options import Config, load

app = typer.Typer(no_args_is_help=True, help="The rights of an outside party: what is kept of its number.")


SubjectDomain = Annotated[str, typer.Option("--domain", metavar="NAME", help="The domain whose calls are meant.")]
SubjectNumber = Annotated[str, typer.Argument(metavar="NUMBER", help="The number of the outside party, as dialled or E.164.")]
Removed = Annotated[bool, typer.Option("--removed", help="The removed domains of that name, which `apply --prune` removed.")]


@app.command("find")
def subject_find(
    number: SubjectNumber,
    domain: SubjectDomain,
    config: Config = None,
    removed: Removed = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calls as JSON.")] = False,
) -> None:
    """Print the calls of an outside party."""
    from fonoteka.cli import subject

    configuration, _ = load(config)
    found = asyncio.run(subject.find(configuration, domain, number, removed=removed))
    print(subject.as_json(found) if as_json else "\n".join(subject.listed(found)))


@app.command("export")
def subject_export(
    number: SubjectNumber,
    domain: SubjectDomain,
    config: Config = None,
    output: Annotated[Path | None, typer.Option(help="The file; default: a name with the domain and the day, here.")] = None,
) -> None:
    """Write a ZIP file with the calls of an outside party, their audio and journal entries."""
    from fonoteka.cli import subject

    configuration, _ = load(config)
    found, target = asyncio.run(subject.export(configuration, domain, number, output))
    print(f"{subject.summary(found)}, in {target}")


@app.command("erase")
def subject_erase(
    number: SubjectNumber,
    domain: SubjectDomain,
    config: Config = None,
    removed: Removed = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> int:
    """Delete the calls of an outside party with their audio, for good."""
    from fonoteka.cli import subject

    configuration, _ = load(config)
    found = asyncio.run(subject.find(configuration, domain, number, removed=removed))
    print("\n".join(subject.listed(found)))
    if dry_run:
        return 0
    if found.erasable and not yes:
        typer.confirm(f"Erase the calls of {found.number} with their audio, for good ({len(found.erasable)})?", abort=True)
    found, erased = asyncio.run(subject.erase(configuration, domain, number, removed=removed))
    print(f"{found.number}: calls erased: {erased}")
    if erased < len(found.erasable):
        print(f"calls that could not be erased: {len(found.erasable) - erased}; erase again", file=sys.stderr)
    return 0 if erased == len(found.erasable) else 1
