"""Hashes of passwords and tokens. Checking takes the same time for unknown users."""

import asyncio
import hashlib
import secrets
from typing import Final

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's password storage cheat sheet
# Two at once: a flood of logins must neither starve the event loop nor fill the memory.
_CONCURRENCY: Final = asyncio.Semaphore(2)


def hash_password(password: str) -> str:
    """Hash a password (argon2id)."""
    return _HASHER.hash(password)


async def hash_new(password: str) -> str:
    """Hash a password in a thread."""
    async with _CONCURRENCY:
        return await asyncio.to_thread(hash_password, password)


def is_password_hash(text: str) -> bool:
    """Whether a text is a hash that passwords can be verified against."""
    try:
        extract_parameters(text)
    except InvalidHashError:
        return False
    return True


def verifies(password_hash: str, password: str) -> bool:
    """Verify a password; takes 15 to 30 ms of a core."""
    try:
        return _HASHER.verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False


_HASH_OF_UNKNOWN: Final = hash_password(secrets.token_urlsafe())


async def verify_login(password_hash: str | None, password: str) -> bool:
    """Verify a password in a thread.

    Without a hash, one is computed all the same: the time does not reveal which logins exist.
    """
    async with _CONCURRENCY:
        right = await asyncio.to_thread(verifies, password_hash or _HASH_OF_UNKNOWN, password)
    return right and password_hash is not None


def new_token() -> str:
    """Make a secret of 256 bits, for a session or a PBX."""
    return secrets.token_urlsafe(32)


def new_session_id() -> str:
    """Make the name of a session, which is no secret."""
    return secrets.token_hex(8)


def token_hash(token: str) -> str:
    """Hash a token. It is random, so one SHA-256 is enough, and fast enough for every request."""
    return hashlib.sha256(token.encode()).hexdigest()
