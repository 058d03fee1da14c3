"""The part of the AMI client that the agent calls; tests put a scripted Asterisk in its place."""

from collections.abc import Mapping
from typing import Any, Protocol


class Ami(Protocol):
    """Sends actions to Asterisk. `agent.ami.client.AmiClient` is the real implementation."""

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str) -> Mapping[str, str]:
        """Send an action and return its response. Raises AmiError."""

    async def listing(self, name: str, /, timeout_s: float = 10, **headers: str) -> list[Any]:
        """Send an action that returns a list, and return the list. Raises AmiError."""
