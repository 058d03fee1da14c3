"""Poll the API for commands to recordings on this PBX, and answer them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from agent.shipping.api_client import ApiClient
from fonoteka.core.agent_protocol import Command, CommandOutcome, PbxLink
from fonoteka.core.backoff import Backoff
from fonoteka.core.errors import ShipError

POLL_S: Final = 25
_log = structlog.get_logger()


async def follow(
    api: ApiClient,
    carry_out: Callable[[Command], Awaitable[CommandOutcome]],
    spawn: Callable[[Coroutine[Any, Any, None]], None],
    link: Callable[[], PbxLink],
    clock_s: Callable[[], Awaitable[float | None]],
) -> None:
    """Carry out commands as they come, concurrently, until cancelled.

    `link` returns the agent's connection to Asterisk, and `clock_s` the time of Asterisk's clock,
    which each poll reports.
    """
    backoff, last = Backoff(most_s=5), 0
    while True:
        try:
            commands = await api.commands(last, POLL_S, link(), await clock_s())
        except ShipError as error:
            wait_s = backoff.next_s()
            _log.warning("commands.poll_failed", reason=str(error), retry_in_s=round(wait_s, 1))
            last = 0  # the ids of a restored store begin earlier
            await asyncio.sleep(wait_s)
            continue
        backoff.reset()
        for command in commands:
            last = max(last, command.id)
            spawn(_answer(api, command, carry_out))


async def _answer(api: ApiClient, command: Command, carry_out: Callable[[Command], Awaitable[CommandOutcome]]) -> None:
    try:
        await api.put_outcome(command.id, await carry_out(command))
    except ShipError as error:
        _log.warning("command.answer_failed", command=command.id, linkedid=command.linkedid, reason=str(error))
    except Exception:
        _log.exception("command.failed", command=command.id, linkedid=command.linkedid)
