"""Hash passwords at minimal cost: a login with the production parameters takes 15 to 30 ms."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from argon2 import PasswordHasher

from store.people import passwords


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """Replace the hasher of the store, and the hash used for unknown logins, in the block."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", hasher)
        patch.setattr(passwords, "_HASH_OF_UNKNOWN", hasher.hash("no password"))
        yield
