"""The parts of Fonoteka, which run until a signal ends them."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from fonoteka.cli.commands.options import Config, load
from fonoteka.cli.supervisor import die_with_supervisor
from fonoteka.core import logging_setup as log
from fonoteka.core.errors import ConfigurationError

_STANDBY = "run `fonoteka agent`, `fonoteka mixer` and `fonoteka api` as services of their own"
_DEMO_IN_CHECKOUT = "demo needs the folder lab/ of a source checkout, which is not installed: run `make demo` there"


def _run_part(
    name: str,
    work: Coroutine[Any, Any, None],
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
        try:
            await task
        except asyncio.CancelledError:
            return

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(until_signalled())


def agent(config: Config = None) -> None:
    """Follow one Asterisk, decide what to record, ship calls and recordings."""
    import uvloop

    from agent.app import run

    configuration, source = load(config)
    work, loop_factory = run(configuration, source), uvloop.new_event_loop
    _run_part("agent", work, shares_spool=True, loop_factory=loop_factory)


def mixer(config: Config = None) -> None:
    """Make one encoded file of each recording's legs."""
    from mixer.app import run

    configuration, _ = load(config)
    _run_part("mixer", run(configuration), shares_spool=True)


def api(config: Config = None) -> None:
    """Serve the API and the portal."""
    import uvloop

    from api.serve import run

    configuration, _ = load(config)
    # uvloop saves a fifth of the time of a small request.
    _run_part("api", run(configuration), loop_factory=uvloop.new_event_loop)


def up(config: Config = None) -> int:
    """Run agent, mixer, API and portal together."""
    from fonoteka.cli.parts import parts_of_up
    from fonoteka.cli.supervisor import supervise
    from fonoteka.core.spool import Spool

    configuration, source = load(config)
    log.configure("up")
    if configuration.agent.standby:
        raise ConfigurationError(f"{source or 'environment'}: agent.standby = true: `fonoteka up` has no standby; {_STANDBY}")
    with Spool(configuration.pbx.spool).alone() as lock:
        parts = asyncio.run(parts_of_up(configuration, source, lock.descriptor))
        return asyncio.run(supervise(parts, source.absolute() if source is not None else None))


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
