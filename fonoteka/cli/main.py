"""The command line: import a part when its command runs, start it, map errors to exit codes.

Exit codes: 0 done, 1 a check found something, 2 wrong usage or configuration, which
is reported in one line on stderr.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NoReturn

import structlog
import typer

from fonoteka.cli.supervisor import die_with_supervisor
from fonoteka.core import config
from fonoteka.core import logging_setup as log
from fonoteka.core.errors import ConfigurationError, FonotekaError, ObjectDamaged, ObjectMissing
from fonoteka.core.unused_settings import unused_settings

_log = structlog.get_logger()
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
pbx_app = typer.Typer(no_args_is_help=True, help="The PBXs whose agents may ship to this installation.")
evidence_app = typer.Typer(no_args_is_help=True, help="Calls as signed packages.")
keys_app = typer.Typer(no_args_is_help=True, help="The keys of encrypted recordings.")
user_app = typer.Typer(no_args_is_help=True, help="The users who log in.")
app.add_typer(pbx_app, name="pbx")
app.add_typer(user_app, name="user")
subject_app = typer.Typer(no_args_is_help=True, help="The rights of an outside party: what is kept of its number.")
app.add_typer(subject_app, name="subject")
app.add_typer(keys_app, name="keys")
app.add_typer(evidence_app, name="evidence")
spool_app = typer.Typer(invoke_without_command=True, help="What waits on this PBX and what was set aside, why.")
app.add_typer(spool_app, name="spool")

DEFAULT_FILE = Path("fonoteka.toml")
_DEMO_IN_CHECKOUT = "demo needs the folder lab/ of a source checkout, which is not installed: run `make demo` there"
_CONFIG_HELP = "The TOML file; default: fonoteka.toml here, if there is one."
Config = Annotated[
    Path | None,
    typer.Option("--config", envvar="FONOTEKA_CONFIG", help=_CONFIG_HELP),
]


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


def _load(path: Path | None) -> tuple[config.Configuration, Path | None]:
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    return config.load(path), path


def log_unused_settings(part: str, configuration: config.Configuration) -> None:
    """Log the settings of a part that have no effect yet."""
    for key, hint in unused_settings(part, configuration):
        _log.warning("setting.not_used_yet", key=key, hint=hint)


def _run_part(
    name: str,
    work: Coroutine[Any, Any, None],
    configuration: config.Configuration,
    *,
    shares_spool: bool = False,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run a part until SIGTERM or SIGINT, which cancel it so that it ends in order."""
    if shares_spool:
        os.umask(0o007)  # the group of the spool includes Asterisk
    log.configure(name)
    die_with_supervisor()

    async def until_signalled() -> None:
        task = asyncio.ensure_future(work)
        for wanted in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(wanted, task.cancel)
        await asyncio.sleep(0)
        if not task.done():  # a part that cannot start prints one line only
            log_unused_settings(name, configuration)
        try:
            await task
        except asyncio.CancelledError:
            return

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(until_signalled())


@app.command()
def agent(config: Config = None) -> None:
    """Follow one Asterisk, decide what to record, ship calls and recordings."""
    import uvloop

    from agent.app import run

    configuration, source = _load(config)
    work, loop_factory = run(configuration, source), uvloop.new_event_loop
    _run_part("agent", work, configuration, shares_spool=True, loop_factory=loop_factory)


@app.command()
def mixer(config: Config = None) -> None:
    """Make one encoded file of each recording's legs."""
    from mixer.app import run

    configuration, _ = _load(config)
    _run_part("mixer", run(configuration), configuration, shares_spool=True)


@app.command()
def api(config: Config = None) -> None:
    """Serve the API and the portal."""
    import uvloop

    from api.serve import run

    configuration, _ = _load(config)
    # uvloop saves a fifth of the time of a small request.
    _run_part("api", run(configuration), configuration, loop_factory=uvloop.new_event_loop)


@app.command()
def up(config: Config = None) -> int:
    """Run agent, mixer, API and portal together."""
    from fonoteka.cli.parts import parts_of_up
    from fonoteka.cli.supervisor import supervise
    from fonoteka.core.spool import Spool

    configuration, source = _load(config)
    log.configure("up")
    with Spool(configuration.pbx.spool).alone() as lock:
        parts = asyncio.run(parts_of_up(configuration, source, lock))
        return asyncio.run(supervise(parts, source.absolute() if source is not None else None))


@app.command()
def apply(
    file: Annotated[Path | None, typer.Argument(help="The wanted domains, users and numbers.")] = None,
    config: Config = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove domains, users and numbers that FILE does not name.")] = False,
    from_asterisk: Annotated[bool, typer.Option("--from-asterisk", help="Only print a FILE to begin with.")] = False,
    domain: Annotated[str | None, typer.Option(help="With --from-asterisk: only this domain.")] = None,
) -> None:
    """Make domains, users and numbers match FILE; print the changes."""
    from fonoteka.cli import apply

    configuration, source = _load(config)
    if from_asterisk:
        if file is not None or prune:
            raise ConfigurationError("--from-asterisk prints a proposal and applies nothing: leave out FILE and --prune")
        print(asyncio.run(apply.proposed(configuration, source, domain)), end="")
    elif file is None or domain is not None:
        raise ConfigurationError("apply takes a FILE, or --from-asterisk [--domain NAME] to print one to begin with")
    else:
        for line in asyncio.run(apply.applied(configuration, file, prune=prune)):
            print(line)


_DOMAIN_HELP = "A domain that the PBX serves; may be repeated."
Domains = Annotated[list[str] | None, typer.Option("--domain", metavar="NAME", help=_DOMAIN_HELP)]
AllDomains = Annotated[bool, typer.Option("--all-domains", help="The PBX serves every domain, also later ones.")]


@pbx_app.command("add")
def pbx_add(name: str, domain: Domains = None, all_domains: AllDomains = False, config: Config = None) -> None:
    """Register a PBX and the domains it serves; print its token, which is not stored."""
    from fonoteka.cli import pbx

    names = pbx.chosen_domains(domain, all_domains=all_domains)
    configuration, _ = _load(config)
    print(asyncio.run(pbx.add(configuration, name, names)))


@pbx_app.command("domains")
def pbx_domains(name: str, domain: Domains = None, all_domains: AllDomains = False, config: Config = None) -> None:
    """Replace the domains that a registered PBX serves. Its token stays."""
    from fonoteka.cli import pbx

    names = pbx.chosen_domains(domain, all_domains=all_domains)
    configuration, _ = _load(config)
    asyncio.run(pbx.set_domains(configuration, name, names))


@pbx_app.command("list")
def pbx_list(config: Config = None) -> None:
    """Print the registered PBXs, each with the domains it serves."""
    from fonoteka.cli import pbx

    configuration, _ = _load(config)
    for line in asyncio.run(pbx.listed(configuration)):
        print(line)


@user_app.command("passwd")
def user_passwd(
    domain: str,
    login: str,
    config: Config = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read it from standard input.")] = False,
) -> None:
    """Give a user a new password and end their sessions."""
    from store.database.store import Store
    from store.people.accounts import set_password

    password = (
        sys.stdin.readline().rstrip("\n") if password_stdin else typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    configuration, _ = _load(config)

    async def work() -> None:
        store = await Store.open(configuration.store)
        try:
            await set_password(store, domain, login, password)
        finally:
            await store.close()

    asyncio.run(work())


@user_app.command("remove")
def user_remove(domain: str, login: str, config: Config = None) -> None:
    """Remove a user for good, so that the login can be given to another person."""
    from store.database.store import Store
    from store.provisioning.apply import remove_user

    configuration, _ = _load(config)

    async def work() -> None:
        store = await Store.open(configuration.store)
        try:
            await remove_user(store, domain, login)
        finally:
            await store.close()

    asyncio.run(work())


SubjectDomain = Annotated[str, typer.Option("--domain", metavar="NAME", help="The domain whose calls are meant.")]
SubjectNumber = Annotated[str, typer.Argument(metavar="NUMBER", help="The number of the outside party, as dialled or E.164.")]


@subject_app.command("find")
def subject_find(
    number: SubjectNumber,
    domain: SubjectDomain,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calls as JSON.")] = False,
) -> None:
    """Print the calls of an outside party."""
    from fonoteka.cli import subject

    configuration, _ = _load(config)
    found = asyncio.run(subject.find(configuration, domain, number))
    print(subject.as_json(found) if as_json else "\n".join(subject.listed(found)))


@subject_app.command("export")
def subject_export(
    number: SubjectNumber,
    domain: SubjectDomain,
    config: Config = None,
    output: Annotated[Path | None, typer.Option(help="The file; default: a name with the domain and the day, here.")] = None,
) -> None:
    """Write a ZIP file with the calls of an outside party, their audio and journal entries."""
    from fonoteka.cli import subject

    configuration, _ = _load(config)
    found, target = asyncio.run(subject.export(configuration, domain, number, output))
    print(f"{subject.summary(found)}, in {target}")


@subject_app.command("erase")
def subject_erase(
    number: SubjectNumber,
    domain: SubjectDomain,
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> int:
    """Delete the calls of an outside party with their audio, for good."""
    from fonoteka.cli import subject

    configuration, _ = _load(config)
    found = asyncio.run(subject.find(configuration, domain, number))
    print("\n".join(subject.listed(found)))
    if dry_run:
        return 0
    if found.erasable and not yes:
        typer.confirm(f"Erase the calls of {found.number} with their audio, for good ({len(found.erasable)})?", abort=True)
    found, erased = asyncio.run(subject.erase(configuration, domain, number))
    print(f"{found.number}: calls erased: {erased}")
    if erased < len(found.erasable):
        print(f"calls that could not be erased: {len(found.erasable) - erased}; erase again", file=sys.stderr)
    return 0 if erased == len(found.erasable) else 1


@keys_app.command("show")
def keys_show(
    config: Config = None,
    recovery: Annotated[bool, typer.Option("--recovery", help="Print the master key, for its backup.")] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="With --recovery: the backup is made; ask nothing.")] = False,
) -> None:
    """Print whether recordings are encrypted, under which keys, and how many are plain."""
    from fonoteka.cli import keys

    configuration, _ = _load(config)
    if confirm and not recovery:
        raise ConfigurationError("--confirm goes with --recovery")
    asyncio.run(keys.show_recovery(configuration, confirm=confirm) if recovery else keys.show(configuration))


@keys_app.command("encrypt-existing")
def keys_encrypt_existing(config: Config = None) -> int:
    """Encrypt what is plain, and new recordings from now on. Run it again after a kill."""
    from fonoteka.cli import keys

    configuration, _ = _load(config)
    return asyncio.run(keys.encrypt_existing(configuration))


@keys_app.command("rotate")
def keys_rotate(
    config: Config = None,
    master: Annotated[bool, typer.Option("--master", help="Replace the master key alone: recordings stay as they are.")] = False,
) -> int:
    """Give each domain a new key, encrypt its recordings again, destroy the old keys.

    Run it again after a kill.
    """
    from fonoteka.cli import keys

    configuration, _ = _load(config)
    if master:
        asyncio.run(keys.replace_master_key(configuration))
        return 0
    return asyncio.run(keys.rotate(configuration))


@app.command()
def doctor(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> int:
    """Check every part that can be reached; print problems and how to fix them."""
    from fonoteka.cli.doctor import examine, in_order, to_json, to_text

    configuration, source = _load(config)
    findings = asyncio.run(examine(configuration, source))
    print(to_json(findings) if as_json else to_text(findings))
    return 0 if in_order(findings) else 1


@app.command()
def retention(
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be deleted, and delete nothing.")] = False,
) -> None:
    """Delete recordings and calls whose retention has ended; `api` and `up` do it each night."""
    from fonoteka.cli.retention import expired

    configuration, _ = _load(config)
    for line in asyncio.run(expired(configuration, dry_run=dry_run)):
        print(line)


@app.command()
def verify(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    fix_index: Annotated[bool, typer.Option("--fix-index", help="Mend what can be mended without losing anything.")] = False,
    heads: Annotated[Path | None, typer.Option(metavar="LOG", help="A log of the API: check its lines audit.head too.")] = None,
) -> int:
    """Compare the index with the recordings, the journal's chains and the counters."""
    from fonoteka.cli import verify

    configuration, _ = _load(config)
    report = asyncio.run(verify.verify(configuration, fix=fix_index, heads=heads))
    print(verify.to_json(report) if as_json else verify.to_text(report))
    return 1 if report.found else 0


AsJson = Annotated[bool, typer.Option("--json", help="Print the contents as JSON.")]


@spool_app.callback()
def spool(context: typer.Context, config: Config = None, as_json: AsJson = False) -> None:
    """Print what waits on this PBX and what was set aside, why."""
    context.obj = config
    if context.invoked_subcommand is None:
        spool_list(context, config, as_json)


@spool_app.command("list")
def spool_list(context: typer.Context, config: Config = None, as_json: AsJson = False) -> None:
    """Print what waits on this PBX and what was set aside, why."""
    from fonoteka.cli import spool
    from fonoteka.core.spool import Spool

    configuration, _ = _load(config or context.obj)
    found = spool.contents(Spool(configuration.pbx.spool))
    print(spool.to_json(found) if as_json else spool.to_text(found))


@spool_app.command("retry")
def spool_retry(
    context: typer.Context, names: Annotated[list[str], typer.Argument(metavar="NAME...")], config: Config = None
) -> None:
    """Put back what was set aside: mix a recording again, or send a call again."""
    from fonoteka.cli import spool
    from fonoteka.core.spool import Spool

    configuration, _ = _load(config or context.obj)
    for name in names:
        print(spool.retry(Spool(configuration.pbx.spool), name))


BackupDir = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the backup, best on another disk.")]


@app.command()
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

    configuration, _ = _load(config)
    return backup.backup(configuration, directory, with_keys=with_keys, verify_all=verify_all)


@app.command()
def restore(
    directory: BackupDir,
    config: Config = None,
    without_damaged: Annotated[bool, typer.Option("--without-damaged", help="Restore what is intact in a damaged backup.")] = False,
) -> int:
    """Restore the backup in DIR to where no index and no recordings are.

    The service must not run.
    """
    from fonoteka.cli import backup

    configuration, _ = _load(config)
    return asyncio.run(backup.restored(configuration, directory, without_damaged=without_damaged))


@evidence_app.command("export")
def evidence_export(call: str, file: Path, config: Config = None) -> int:
    """Write a call with its recordings and its journal into FILE, a signed package."""
    from fonoteka.cli import evidence

    configuration, _ = _load(config)
    try:
        print(asyncio.run(evidence.export(configuration, call, file)))
    except (ObjectDamaged, ObjectMissing) as error:
        print(f"fonoteka: {error}; see: fonoteka verify", file=sys.stderr)
        return 1
    return 0


@evidence_app.command("verify")
def evidence_verify(
    file: Path, key: Annotated[str | None, typer.Option(help="The expected public key, its fingerprint, or a file with it.")] = None
) -> int:
    """Check a package and say what it proves. Needs no server and no configuration."""
    from fonoteka.cli import evidence

    lines = evidence.verify(file, key)
    print(evidence.to_text(lines))
    return 0 if evidence.is_genuine(lines) else 1


@app.command()
def demo(
    calls_per_minute: Annotated[float, typer.Option(min=0.1, max=120)] = 12,
    duration: Annotated[float | None, typer.Option(help="Seconds; default: until Ctrl-C.", min=1)] = None,
) -> None:
    """Run a temporary real Asterisk whose phones call each other, and Fonoteka with it."""
    if find_spec("lab") is None:
        raise ConfigurationError(_DEMO_IN_CHECKOUT)
    from fonoteka.cli.demo import run

    log.configure("demo")
    asyncio.run(run(calls_per_minute, duration))
