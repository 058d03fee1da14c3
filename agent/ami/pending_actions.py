"""Match the answers of Asterisk to the actions that were sent, by ActionID.

An ActionID begins with random digits of the session, so that no text in an event passes for an
answer. It also tells whether the action asks for a list, so that late items of a list are not taken
for events.
"""

import asyncio
import itertools
import secrets
from dataclasses import dataclass, field
from typing import Final

from agent.ami.message import AmiMessage
from fonoteka.core.errors import AmiActionFailed, AmiUnreachable

# The answer of an Asterisk that is ending to every action, until it closes the connection.
_SHUTTING_DOWN: Final = "Asterisk is shutting down"


@dataclass(kw_only=True, slots=True)
class PendingAction:
    """An action without its answer. `done` resolves to the response, or to the items of a list."""

    action: str
    wants_list: bool
    done: asyncio.Future[list[AmiMessage]]
    items: list[AmiMessage] = field(default_factory=list)


class PendingActions:
    """The actions of one session that are not answered yet."""

    def __init__(self) -> None:
        token = secrets.token_hex(6)
        self._plain, self._list = f"{token}-", f"{token}+"
        self._mark, self._list_mark = f"ActionID: {token}".encode(), f"ActionID: {self._list}".encode()
        self._numbers = itertools.count(1)
        self._pending: dict[str, PendingAction] = {}

    def add(self, action: str, *, wants_list: bool) -> tuple[str, PendingAction]:
        """Register an action. Return its ActionID and its pending answer."""
        action_id = f"{self._list if wants_list else self._plain}{next(self._numbers)}"
        pending = PendingAction(action=action, wants_list=wants_list, done=asyncio.get_running_loop().create_future())
        self._pending[action_id] = pending
        return action_id, pending

    def discard(self, action_id: str) -> None:
        """Stop waiting for an answer. A late answer is dropped."""
        self._pending.pop(action_id, None)

    def take_response(self, message: AmiMessage) -> str | None:
        """Process a response. Return the name of the action that it completes, or None."""
        pending = self._pending.get(message.get("ActionID", ""))
        if pending is None or pending.done.done():
            return None
        if message["Response"].startswith("Error"):
            reason = " ".join(message.get("Message", "Asterisk gives no reason").split())
            kind = AmiUnreachable if reason == _SHUTTING_DOWN else AmiActionFailed
            pending.done.set_exception(kind(f"{pending.action}: {reason}"))
        elif not pending.wants_list:
            pending.done.set_result([message])
            return pending.action
        elif message.get("EventList", "").lower() != "start":
            pending.done.set_exception(AmiActionFailed(f"{pending.action} does not answer with a list"))
        return None

    def is_answer(self, raw: bytes) -> bool:
        """Return whether an unparsed message answers an action of this session."""
        return self._mark in raw

    def may_be_list_item(self, raw: bytes) -> bool:
        """Return whether an unparsed event belongs to a list. Cheap while no action is pending."""
        return bool(self._pending) and self._list_mark in raw

    def take_list_item(self, message: AmiMessage) -> bool:
        """Return whether an event is an item of a list, and add it if the list is pending."""
        action_id = message.get("ActionID", "")
        if not action_id.startswith(self._list):
            return False
        pending = self._pending.get(action_id)
        if pending is None or pending.done.done():
            return True
        match message.get("EventList", "").lower():
            case "complete":
                pending.done.set_result(pending.items)
            case "cancelled":
                pending.done.set_exception(AmiActionFailed(f"{pending.action} was cancelled by Asterisk"))
            case _:
                pending.items.append(message)
        return True

    def fail_all(self, reason: str) -> None:
        """Fail every pending action with AmiUnreachable; none is sent again."""
        while self._pending:
            _, pending = self._pending.popitem()
            if not pending.done.done():
                pending.done.set_exception(AmiUnreachable(reason))
