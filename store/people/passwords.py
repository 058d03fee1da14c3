"""Passwords and tokens: what is kept of them, and checking in a time that tells nothing."""

import asyncio
import hashlib
import secrets
from typing import Final

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's password storage cheat sheet
# One at a time for each of the machine's usual cores: a flood of logins must neither starve the loop nor eat the memory.
_ROOM: Final = asyncio.Semaphore(2)


def hash_password(password: str) -> str:
    """What is kept of a password (argon2id)."""
    return _HASHER.hash(password)


async def hash_new(password: str) -> str:
    """The same in a thread, for who has others to serve meanwhile."""
    async with _ROOM:
        return await asyncio.to_thread(hash_password, password)


def is_password_hash(text: str) -> bool:
    """Whether `password_hash` in a file can be verified against at all."""
    try:
        extract_parameters(text)
    except InvalidHashError:
        return False
    return True


def verifies(password_hash: str, password: str) -> bool:
    """Whether the password is the one the hash was made of; 15–30 ms of a core."""
    try:
        return _HASHER.verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False


_NOBODYS: Final = hash_password(secrets.token_urlsafe())


async def verify_login(password_hash: str | None, password: str) -> bool:
    """Check in a thread. Where there is nobody to check against, one hash is computed all the same: the time tells nothing."""
    async with _ROOM:
        right = await asyncio.to_thread(verifies, password_hash or _NOBODYS, password)
    return right and password_hash is not None


def new_token() -> str:
    """A secret of 256 bits: a session's, or a PBX's."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What is kept of a token. It is random, so one SHA-256 is enough and fast enough for every request."""
    return hashlib.sha256(token.encode()).hexdigest()
