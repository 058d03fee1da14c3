"""`fonoteka keys`: the keys of encrypted recordings."""

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

from fonoteka.core.config import Configuration
from fonoteka.core.errors import ConfigurationError

if TYPE_CHECKING:
    from store.database.store import Store
    from store.encryption.master_key import LocalMasterKey
    from store.rekeying import Progress

_LINE_EVERY_S: Final = 1.0


async def encrypt_existing(configuration: Configuration) -> int:
    """Encrypt all recordings; return the exit code. Raises ConfigurationError and StoreError."""
    from store.rekeying import encrypt_existing

    async with _store(configuration) as store:
        failed = await encrypt_existing(store, _Printer())
        print(f"every recording is encrypted under {store.keys.source}" if not failed else _failed(failed))
        print("confirm the backup of the master key: fonoteka keys show --recovery")
        return 1 if failed else 0


async def rotate(configuration: Configuration) -> int:
    """Replace the keys of all domains; return the exit code.

    Raises ConfigurationError and StoreError.
    """
    from store.rekeying import rotate

    async with _store(configuration) as store:
        failed = await rotate(store, _Printer())
        print("the keys of all domains are new, the old ones are destroyed" if not failed else _failed(failed))
        return 1 if failed else 0


async def replace_master_key(configuration: Configuration) -> None:
    """Replace the master key. Raises ConfigurationError and StoreError."""
    async with _store(configuration) as store:
        if await store.keys.state() is None:
            raise ConfigurationError("recordings are not encrypted: run `fonoteka keys encrypt-existing` first")
        await store.keys.replace_master_key()
        print(f"{store.keys.source} is a new key; confirm its backup: fonoteka keys show --recovery")


async def show(configuration: Configuration) -> None:
    """Print the state of encryption. Raises ConfigurationError and StoreError."""
    from store.rekeying import status

    async with _store(configuration) as store:
        if (state := await store.keys.state()) is None:
            print("recordings are not encrypted; `fonoteka keys encrypt-existing` does it")
        else:
            print(
                f"encrypted since {state.began_at:%Y-%m-%d %H:%M} UTC under master key {state.master_key_id} ({store.keys.source})"
            )
            confirmed = f"confirmed {state.confirmed_at:%Y-%m-%d}" if state.confirmed_at else "not confirmed: keys show --recovery"
            print(f"backup of the master key: {confirmed}")
            if state.rotation_began_at is not None:
                print("a rotation has not ended: run `fonoteka keys rotate` again")
        for domain in await status(store):
            keys = ", ".join(map(str, domain.versions)) or "destroyed" if domain.is_removed or domain.versions else "none"
            removed = " (removed)" if domain.is_removed else ""
            print(f"{domain.name}{removed}: key {keys}; recordings: {domain.encrypted} encrypted, {domain.plain} plain")


async def show_recovery(configuration: Configuration, *, confirm: bool) -> None:
    """Print the master key, and note that the operator has a backup of it.

    The operator types it back, or has said so by `confirm`. Raises ConfigurationError.
    """
    from store.rekeying import confirm_recovery

    if not confirm and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError("--recovery prints the master key on a terminal only; elsewhere add --confirm")
    async with _store(configuration) as store:
        if (state := await store.keys.state()) is None:
            raise ConfigurationError("recordings are not encrypted: there is no master key yet")
        key = store.keys.source.load(state.master_key_id)
        print(f"master key {key.id}: keep it apart from the backups of the recordings.")
        print("Without it every recording is lost; with it and the backups everybody can read them.\n")
        print(key.text)
        if confirm or _typed_back(key):
            await confirm_recovery(store, datetime.now(UTC))
            print("\nnoted: the master key has a backup")


def _typed_back(key: "LocalMasterKey") -> bool:
    while text := typer.prompt("\nCopy the key back from its backup (Enter: later)", default="", show_default=False).strip():
        if text == key.text:
            return True
        print("this is another text")
    return False


def _failed(count: int) -> str:
    return f"{count} recordings cannot be read and stay as they are; see the lines above, and `fonoteka verify`"


class _Printer:
    """Prints progress: a line a second, and the last one of a domain."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, progress: "Progress") -> None:
        if progress.done == progress.total or time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_EVERY_S
            failed = f", {progress.failed} cannot be read" if progress.failed else ""
            print(f"{progress.domain}: {progress.done} of {progress.total} recordings{failed}", flush=True)


@asynccontextmanager
async def _store(configuration: Configuration) -> AsyncIterator["Store"]:
    from store.database.store import Store

    store = await Store.open(configuration.store)
    try:
        yield store
    finally:
        await store.close()
