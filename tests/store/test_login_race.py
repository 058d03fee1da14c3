"""A login that is being checked while the password changes opens no session: the change has ended them all."""

from datetime import UTC, datetime

import pytest

from store.database.store import Store
from store.people import accounts
from store.people.accounts import Pbx, log_in, set_password
from store.people.passwords import verify_login
from tests.data import seed


async def test_the_old_password_opens_nothing_once_it_is_changed(store: Store, pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly(password_hash: str | None, password: str) -> bool:
        right = await verify_login(password_hash, password)
        await set_password(store, "acme", "152", "a new password")
        return right

    now = datetime.now(UTC)
    with monkeypatch.context() as patch:
        patch.setattr(accounts, "verify_login", slowly)
        assert await log_in(store, "acme", "152", seed.PASSWORD, now) is None
    assert await log_in(store, "acme", "152", "a new password", now) is not None
