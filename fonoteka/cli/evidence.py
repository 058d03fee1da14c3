"""`fonoteka evidence`: take a call out as a signed package; check a package."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from fonoteka.core.atomic_file import drafted
from fonoteka.core.config import Configuration
from fonoteka.core.errors import ConfigurationError, StoreError
from store.audit.signing import AuditKey, key_file
from store.audit.write import OPERATOR, write_entry
from store.database.store import Store
from store.evidence.package import domain_of_call, write_package
from store.evidence.verification import Line, Verdict, examined, fingerprint


async def export(configuration: Configuration, public_id: str, file: Path) -> str:
    """Write the package of a call into a new file; return what to tell the receiver.

    Raises ConfigurationError and StoreError.
    """
    if file.exists():
        raise ConfigurationError(f"{str(file)!r} exists already, and is not replaced")
    store = await Store.open(configuration.store)
    try:
        call = await domain_of_call(store, public_id)
        if call is None:
            raise ConfigurationError(f"there is no call {public_id!r}: take the id from the address of the call in the portal")
        key = await asyncio.to_thread(AuditKey.load, key_file(configuration.store.audit_key, store.objects.workspace))
        now = datetime.now(UTC)
        async with store.writing() as connection:
            action = "evidence_exported"
            await write_entry(connection, call.scope, OPERATOR, action=action, subject=public_id, detail={}, now=now)
        with drafted(file, file.with_name(f".{file.name}.new"), sync=True) as target:
            await write_package(store, key, call.scope, public_id, target, made_by="", now=now)
        file.chmod(0o600)
    except OSError as error:
        raise StoreError(f"{str(file)!r} cannot be written: {error.strerror}") from error
    finally:
        await store.close()
    return f"{file}\nkey {fingerprint(key.public)}\nGive the fingerprint to the receiver by another way than the file."


def verify(file: Path, key: str | None) -> list[Line]:
    """Check a package. `key` is a public key, its fingerprint, or a file with either.

    Raises ConfigurationError.
    """
    try:
        if key is not None and Path(key).is_file():
            key = Path(key).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--key {key!r} cannot be read: {error}") from error
    return examined(file, key)


def to_text(lines: list[Line]) -> str:
    """Return the lines of a result; text of the package cannot control the terminal."""
    texts = [f"{line.verdict.value:10} {line.text}" for line in lines]
    result = "the package is genuine if the key is" if is_genuine(lines) else "the package is NOT as it was signed"
    return "\n".join("".join(sign if sign.isprintable() else "?" for sign in text) for text in [*texts, result])


def is_genuine(lines: list[Line]) -> bool:
    """Whether nothing differs."""
    return all(line.verdict is not Verdict.DIFFERS for line in lines)
