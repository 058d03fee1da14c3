"""Move the calls in progress with the wall clock: a jump makes no call longer or shorter."""

from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call


def move_calls(registry: CallRegistry, by: timedelta) -> list[Call]:
    """Move all times of the calls that have not ended. Return these calls, with a new revision."""
    moved = [replace(_moved(call, by), revision=call.revision + 1) for call in registry.calls.values() if call.ended_at is None]
    registry.calls |= {call.linkedid: call for call in moved}
    return moved


def _moved(value: Any, by: timedelta) -> Any:
    """Return a value of a call's state with every time in it moved."""
    match value:
        case datetime():
            return value + by
        case tuple():
            return tuple(_moved(part, by) for part in value)
        case dict():
            return {key: _moved(part, by) for key, part in value.items()}
        case _ if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{field.name: _moved(getattr(value, field.name), by) for field in fields(value)})
        case _:
            return value
