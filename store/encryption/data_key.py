"""Data keys: each domain has its own, in versions, and objects are encrypted under it."""

import secrets
from dataclasses import dataclass, field
from typing import Final, Protocol

from fonoteka.core.errors import ObjectDamaged

KEY_BYTES: Final = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class DataKey:
    """One version of a domain's key."""

    domain_id: int
    version: int
    secret: bytes = field(repr=False)


class DataKeys(Protocol):
    """The keys by which objects are read."""

    async def find(self, domain_id: int, version: int) -> DataKey:
        """Return a key. Raises ObjectDamaged if it does not exist, and StoreError."""


class MemoryKey:
    """A key that exists in this process only, for files that need not outlive it."""

    def __init__(self) -> None:
        identity = secrets.randbits(63)  # of no domain, and of no other process
        self.key = DataKey(domain_id=identity, version=1, secret=secrets.token_bytes(KEY_BYTES))

    async def find(self, domain_id: int, version: int) -> DataKey:
        """Return the key. Raises ObjectDamaged for a file of another process."""
        if (domain_id, version) != (self.key.domain_id, self.key.version):
            raise ObjectDamaged("the file is encrypted under the key of another process")
        return self.key
