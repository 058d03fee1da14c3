"""One account's questions to the index wait for each other, so that nobody's hundred keep all others waiting."""

from collections.abc import AsyncIterator

from api.dependencies.access import Person
from api.dependencies.services import Shared


async def in_turn(account: Person, services: Shared) -> AsyncIterator[None]:
    """A turn at what reads many calls."""
    async with services.turns.taken(account.user_id):
        yield
