"""Poll the API for the settings. A copy in the spool serves while the API is unreachable.

A long poll returns within a moment of a change.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from agent.shipping.api_client import ApiClient
from fonoteka.core.atomic_file import write_atomically
from fonoteka.core.backoff import Backoff
from fonoteka.core.domains import DomainSettings
from fonoteka.core.errors import ShipError
from fonoteka.core.plain_file import read_plain

POLL_S = 25
_SETTINGS = TypeAdapter(DomainSettings)
_log = structlog.get_logger()


def read_copy(path: Path) -> DomainSettings | None:
    """Return the settings that an earlier run left in the spool, if the file is readable."""
    try:
        return _SETTINGS.validate_json(read_plain(path))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        _log.warning("settings.read_failed", file=str(path), reason=str(error))
        return None


async def follow(api: ApiClient, copy: Path, known: Callable[[], int], changed: Callable[[DomainSettings], None]) -> None:
    """Call `changed` with each new version of the settings, and write the copy, until cancelled.

    `known` returns the current version.
    """
    backoff = Backoff(most_s=5)
    while True:
        try:
            settings = await api.settings(known(), POLL_S)
        except ShipError as error:
            wait_s = backoff.next_s()
            _log.warning("settings.poll_failed", reason=str(error), retry_in_s=round(wait_s, 1))
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
            _log.error("settings.write_failed", file=str(copy), reason=str(error))
