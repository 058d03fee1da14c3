"""Keeping the settings fresh: a long poll brings a change within a moment, a copy in the spool holds while the API is away."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from agent.shipping.api_client import Api
from fonoteka.core.atomic_file import write_atomically
from fonoteka.core.backoff import Backoff
from fonoteka.core.domains import DomainSettings
from fonoteka.core.errors import ShipError

POLL_S = 25
_SETTINGS = TypeAdapter(DomainSettings)
_log = structlog.get_logger()


def read_copy(path: Path) -> DomainSettings | None:
    """The settings an earlier run left in the spool, if they can be read."""
    try:
        return _SETTINGS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        _log.warning("settings.copy_unreadable", file=str(path), error=str(error))
        return None


async def follow(api: Api, copy: Path, known: Callable[[], int], changed: Callable[[DomainSettings], None]) -> None:
    """Call `changed` with every version of the settings other than the `known` one, and keep the copy; until cancelled."""
    backoff = Backoff(most_s=5)
    while True:
        try:
            settings = await api.settings(known(), POLL_S)
        except ShipError as error:
            wait_s = backoff.next_s()
            _log.warning("settings.unreachable", error=str(error), retry_in_s=round(wait_s, 1))
            await asyncio.sleep(wait_s)
            continue
        backoff.reset()
        if settings is None:
            continue
        _log.info("settings.changed", version=settings.version, domains=len(settings.domains))
        changed(settings)
        try:
            write_atomically(copy, _SETTINGS.dump_json(settings), sync=False)
        except OSError as error:
            _log.error("settings.copy_not_written", file=str(copy), error=str(error))
