"""Who waits for what: the actions that were sent and the answers that have come, matched by ActionID.

The ids begin with random digits of the session's own, so that no text in an event can pass for an answer, and say whether
a list was asked for: what still comes of a list that nobody waits for any more is not taken for events.
"""

import asyncio
import itertools
import secrets
from dataclasses import dataclass, field

from agent.ami.message import AmiMessage
from fonoteka.core.errors import AmiActionFailed, AmiUnreachable


@dataclass(kw_only=True, slots=True)
class Waiting:
    """One action on its way. `done` resolves to the items of a list, or to the one response of a plain action."""

    action: str
    wants_list: bool
    done: asyncio.Future[list[AmiMessage]]
    items: list[AmiMessage] = field(default_factory=list)


class Answers:
    """The actions of one session that are not answered yet."""

    def __init__(self) -> None:
        token = secrets.token_hex(6)
        self._plain, self._list = f"{token}-", f"{token}+"
        self._mark, self._list_mark = f"ActionID: {token}".encode(), f"ActionID: {self._list}".encode()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, Waiting] = {}

    def expect(self, action: str, *, wants_list: bool) -> tuple[str, Waiting]:
        """A fresh ActionID, and what to wait for."""
        action_id = f"{self._list if wants_list else self._plain}{next(self._numbers)}"
        waiting = Waiting(action=action, wants_list=wants_list, done=asyncio.get_running_loop().create_future())
        self._waiting[action_id] = waiting
        return action_id, waiting

    def give_up(self, action_id: str) -> None:
        """Nobody waits any more; a late answer will be dropped."""
        self._waiting.pop(action_id, None)

    def take_response(self, message: AmiMessage) -> str | None:
        """A `Response` has come. The action that it fully answers, well; None for anything else."""
        waiting = self._waiting.get(message.get("ActionID", ""))
        if waiting is None or waiting.done.done():
            return None
        if message["Response"].startswith("Error"):
            said = " ".join(message.get("Message", "Asterisk does not say why").split())
            waiting.done.set_exception(AmiActionFailed(f"{waiting.action}: {said}"))
        elif not waiting.wants_list:
            waiting.done.set_result([message])
            return waiting.action
        elif message.get("EventList", "").lower() != "start":
            waiting.done.set_exception(AmiActionFailed(f"{waiting.action} does not answer with a list"))
        return None

    def is_ours(self, raw: bytes) -> bool:
        """Whether a message, not yet parsed, answers an action of this session."""
        return self._mark in raw

    def may_be_listed(self, raw: bytes) -> bool:
        """Whether an event, not yet parsed, belongs to a list that somebody asked for; cheap while nobody does."""
        return bool(self._waiting) and self._list_mark in raw

    def take_listed(self, message: AmiMessage) -> bool:
        """An event has come; True if it is an item of a list, asked for now or before, and therefore no event of the stream."""
        action_id = message.get("ActionID", "")
        if not action_id.startswith(self._list):
            return False
        waiting = self._waiting.get(action_id)
        if waiting is None or waiting.done.done():
            return True
        match message.get("EventList", "").lower():
            case "complete":
                waiting.done.set_result(waiting.items)
            case "cancelled":
                waiting.done.set_exception(AmiActionFailed(f"{waiting.action} was cancelled by Asterisk"))
            case _:
                waiting.items.append(message)
        return True

    def fail_all(self, reason: str) -> None:
        """The link is gone: everybody hears of it, nothing is sent again."""
        while self._waiting:
            _, waiting = self._waiting.popitem()
            if not waiting.done.done():
                waiting.done.set_exception(AmiUnreachable(reason))
