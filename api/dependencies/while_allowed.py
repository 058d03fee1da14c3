"""Check during a long transfer that its session lasts."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from api.dependencies.access import account_by
from api.dependencies.services import Services
from fonoteka.core.errors import SessionEnded
from store.people.accounts import Account

_SESSION_CHECKED_EACH_S: Final = 10.0


async def while_allowed(
    services: Services, account: Account, token: str | None, pieces: AsyncIterator[bytes]
) -> AsyncGenerator[bytes, None]:
    """Yield the pieces while the session lasts and its scope is the same. Raises SessionEnded.

    A slow client can make an export last for days.
    """
    checked = time.monotonic()
    async for piece in pieces:
        if time.monotonic() - checked >= _SESSION_CHECKED_EACH_S:
            now = await account_by(services, token)
            if now is None or now.scope != account.scope:
                raise SessionEnded(account.login)
            checked = time.monotonic()
        yield piece
