"""Limit the queries of one account, so that they do not keep all other accounts waiting."""

from collections.abc import AsyncIterator

from api.dependencies.access import CurrentAccount
from api.dependencies.services import Shared


async def query_slot(account: CurrentAccount, services: Shared) -> AsyncIterator[None]:
    """Hold one of the account's slots for queries that read many calls; wait until one is free."""
    async with services.account_queries.enter(account.user_id):
        yield
