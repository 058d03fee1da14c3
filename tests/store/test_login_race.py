"""A login with the old password opens no session if the password changes during the check."""

from datetime import UTC, datetime

import pytest

from store.database.store import Store
from store.people import accounts
from store.people.accounts import Pbx, log_in, set_password
from store.people.passwords import verify_login
from tests.data import seed


async def test_the_old_password_opens_no_session_after_the_change(store: Store, pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly(password_hash: str | None, password: str) -> bool:
        right = await verify_login(password_hash, password)
        await set_password(store, "acme", "152", "a new password")
        return right

    now = datetime.now(UTC)
    with monkeypatch.context() as patch:
        patch.setattr(accounts, "verify_login", slowly)
        assert await log_in(store, "acme", "152", seed.PASSWORD, now) is None
    assert await log_in(store, "acme", "152", "a new password", now) is not None
