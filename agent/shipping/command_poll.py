"""What people ask over the API of recordings on this PBX: a long poll brings it, and the outcome goes back."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from agent.shipping.api_client import Api
from fonoteka.core.agent_protocol import Command, CommandOutcome
from fonoteka.core.backoff import Backoff
from fonoteka.core.errors import ShipError

POLL_S: Final = 25
_log = structlog.get_logger()


async def follow(
    api: Api, carry_out: Callable[[Command], Awaitable[CommandOutcome]], spawn: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """Carry out every command as it comes, several at a time; until cancelled."""
    backoff, last = Backoff(most_s=5), 0
    while True:
        try:
            found = await api.commands(last, POLL_S)
        except ShipError as error:
            wait_s = backoff.next_s()
            _log.warning("commands.unreachable", error=str(error), retry_in_s=round(wait_s, 1))
            last = 0  # a store that was restored counts from where it stood
            await asyncio.sleep(wait_s)
            continue
        backoff.reset()
        for command in found:
            last = max(last, command.id)
            spawn(_answer(api, command, carry_out))


async def _answer(api: Api, command: Command, carry_out: Callable[[Command], Awaitable[CommandOutcome]]) -> None:
    try:
        await api.put_outcome(command.id, await carry_out(command))
    except ShipError as error:
        _log.warning("command.not_answered", command=command.id, linkedid=command.linkedid, error=str(error))
    except Exception:
        _log.exception("command.failed", command=command.id, linkedid=command.linkedid)
