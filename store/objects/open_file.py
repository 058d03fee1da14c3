"""Open objects that are files: those of a folder, drafts, and copies."""

import asyncio
from io import BufferedReader
from pathlib import Path

from fonoteka.core.errors import ObjectDamaged, ObjectMissing
from store.encryption.content import FileBytes
from store.encryption.data_key import DataKeys
from store.encryption.encrypted_file import HEADER_BYTES, Header, decrypted, parse_header


async def open_plain(path: Path, name: str, keys: DataKeys) -> BufferedReader:
    """Open the plain content of a file, which may be encrypted under a name.

    Raises ObjectMissing and ObjectDamaged.
    """
    file, header = await asyncio.to_thread(open_file, path, name)
    if header is None:
        return file
    try:
        return decrypted(FileBytes(file), header, await keys.find(header.domain_id, header.version), name)
    except BaseException:
        file.close()
        raise


def open_file(path: Path, name: str) -> tuple[BufferedReader, Header | None]:
    """Open a file as it is, and read its header. Raises ObjectMissing and ObjectDamaged."""
    try:
        file = path.open("rb")
        header = parse_header(file.read(HEADER_BYTES))
        file.seek(0)
    except FileNotFoundError as error:
        raise ObjectMissing(f"object {name} does not exist") from error
    except OSError as error:
        raise ObjectDamaged(f"object {name} cannot be read: {error.strerror}") from error
    return file, header
