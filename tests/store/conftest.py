"""The PBX of the store's tests, and cheap passwords."""

from collections.abc import Iterator

import pytest

from store.database.store import Store
from store.people.accounts import Pbx, pbx_of
from tests.data import seed
from tests.support.cheap_passwords import cheap_passwords


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    with cheap_passwords():
        yield


@pytest.fixture
async def pbx(store: Store) -> Pbx:
    """The PBX of a store that is seeded for it."""
    registered = await pbx_of(store, seed.PBX_TOKEN)
    assert registered is not None
    return registered
