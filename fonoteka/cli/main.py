"""The command line: start a command, map errors to exit codes.

Exit codes: 0 done, 1 a check found something, 2 wrong usage or configuration, which
is reported in one line on stderr.
"""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final, NoReturn

import typer

from fonoteka import __version__
from fonoteka.cli.commands import evidence, installation, keys, objects, parts, pbxs, spool, subjects, users
from fonoteka.core.errors import FonotekaError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
_COMMANDS: Final[tuple[Callable[..., Any], ...]] = (
    parts.agent,
    parts.mixer,
    parts.api,
    parts.up,
    installation.apply,
    installation.doctor,
    installation.retention,
    installation.verify,
    installation.backup,
    installation.restore,
    installation.migrate,
    parts.demo,
)
_GROUPS: Final = {
    "pbx": pbxs,
    "user": users,
    "subject": subjects,
    "keys": keys,
    "objects": objects,
    "evidence": evidence,
    "spool": spool,
}


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"fonoteka {__version__}")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Call recording for Asterisk, for whole companies."""


for command in _COMMANDS:
    app.command()(command)
for name, group in _GROUPS.items():
    app.add_typer(group.app, name=name)


def main() -> NoReturn:
    """The entry point of the `fonoteka` command."""
    os.umask(0o077)  # recordings are private
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        _complain(f"{error} (see: fonoteka --help)")
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except FonotekaError as error:
        _complain(str(error))
    except ExceptionGroup as group:
        ours, others = group.split(FonotekaError)
        if others is not None or ours is None:
            raise
        _complain(str(_first(ours)))
    sys.exit(code if isinstance(code, int) else 0)


def _complain(text: str) -> NoReturn:
    print(f"fonoteka: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(2)


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner
