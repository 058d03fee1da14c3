"""Commands on an installation: its users and numbers, its state, its store."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from fonoteka.cli.commands.options import Config, load
from fonoteka.core.errors import ConfigurationError


def apply(
    file: Annotated[Path | None, typer.Argument(help="The wanted domains, users and numbers.")] = None,
    config: Config = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove domains, users and numbers that FILE does not name.")] = False,
    from_asterisk: Annotated[bool, typer.Option("--from-asterisk", help="Only print a FILE to begin with.")] = False,
    domain: Annotated[str | None, typer.Option(help="With --from-asterisk: only this domain.")] = None,
) -> None:
    """Make domains, users and numbers match FILE; print the changes."""
    from fonoteka.cli import apply

    configuration, source = load(config)
    if from_asterisk:
        if file is not None or prune:
            raise ConfigurationError("--from-asterisk prints a proposal and applies nothing: leave out FILE and --prune")
        print(asyncio.run(apply.proposed(configuration, source, domain)), end="")
    elif file is None or domain is not None:
        raise ConfigurationError("apply takes a FILE, or --from-asterisk [--domain NAME] to print one to begin with")
    else:
        for line in asyncio.run(apply.applied(configuration, file, prune=prune)):
            print(line)


def doctor(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> int:
    """Check every part that can be reached; print problems and how to fix them."""
    from fonoteka.cli.doctor import examine, in_order, to_json, to_text

    configuration, source = load(config)
    findings = asyncio.run(examine(configuration, source))
    print(to_json(findings) if as_json else to_text(findings))
    return 0 if in_order(findings) else 1


def retention(
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be deleted, and delete nothing.")] = False,
) -> None:
    """Delete recordings and calls whose retention has ended; `api` and `up` do it each night."""
    from fonoteka.cli.retention import expired

    configuration, _ = load(config)
    for line in asyncio.run(expired(configuration, dry_run=dry_run)):
        print(line)


def verify(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    fix_index: Annotated[bool, typer.Option("--fix-index", help="Mend what can be mended without losing anything.")] = False,
    heads: Annotated[Path | None, typer.Option(metavar="LOG", help="A log of the API: check its lines audit.head too.")] = None,
) -> int:
    """Compare the index with the recordings, the journal's chains and the counters."""
    from fonoteka.cli import verify

    configuration, _ = load(config)
    report = asyncio.run(verify.verify(configuration, fix=fix_index, heads=heads))
    print(verify.to_json(report) if as_json else verify.to_text(report))
    return 1 if report.found else 0


BackupDir = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the backup, best on another disk.")]


def backup(
    directory: BackupDir,
    config: Config = None,
    with_keys: Annotated[bool, typer.Option("--with-keys", help="Put the keys into the backup too.")] = False,
    verify_all: Annotated[bool, typer.Option("--verify-all", help="Read again what earlier backups wrote, too.")] = False,
) -> int:
    """Make DIR a backup of the index and the recordings; only what is new is copied.

    The service may run.
    """
    from fonoteka.cli import backup

    configuration, _ = load(config)
    return backup.backup(configuration, directory, with_keys=with_keys, verify_all=verify_all)


def restore(
    directory: BackupDir,
    config: Config = None,
    without_damaged: Annotated[bool, typer.Option("--without-damaged", help="Restore what is intact in a damaged backup.")] = False,
) -> int:
    """Restore the backup in DIR to where no index and no recordings are.

    The service must not run.
    """
    from fonoteka.cli import backup

    configuration, _ = load(config)
    return asyncio.run(backup.restored(configuration, directory, without_damaged=without_damaged))


def migrate(
    to: Annotated[
        str | None,
        typer.Option(metavar="URL", envvar="FONOTEKA_MIGRATE_TO", help="Move to this database: postgresql://user@host/name."),
    ] = None,
    config: Config = None,
    finish: Annotated[bool, typer.Option("--finish", help="End the move: copy the rest, compare, close the old index.")] = False,
) -> None:
    """Bring the index to this version; with --to, copy it from SQLite to PostgreSQL.

    A copy may be interrupted and repeated, and the service may run. With --finish, restart it after
    `store.database` names the new database.
    """
    from fonoteka.cli import migrate

    configuration, _ = load(config)
    if to is not None:
        asyncio.run(migrate.migrated(configuration, to, finish=finish))
    elif finish:
        raise ConfigurationError("--finish ends a move: name the database with --to")
    else:
        print(asyncio.run(migrate.upgraded(configuration)))
