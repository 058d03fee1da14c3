"""Whether an object is the one that was stored: its size, and the SHA-256 of its content.

The first check of one hour of Opus (11 MB) takes 9 ms of a processor, 14 ms if the object is
encrypted. So a verdict is remembered by the file's inode, size and times: a change of the file
changes them too.

Of a long encrypted object in a bucket each chunk is checked when it is read: seeking need not fetch
all of it. Its key binds it to its name, and so to the digest of its content (decision 42).
"""

import asyncio
import hashlib
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from typing import Final

from fonoteka.core.errors import ObjectDamaged, ObjectMissing
from fonoteka.core.naming import content_digest, peaks_key
from store.encryption.content import status_of
from store.encryption.encrypted_file import is_decrypted
from store.objects.object_store import ObjectStore
from store.queries.audio import StoredAudio

_REMEMBERED: Final = 10_000
_REMEMBERED_S: Final = 900.0  # a disk can lose bits without a change of the file's times
_AT_ONCE: Final = 2
_LONG_BYTES: Final = 1024**2  # six minutes of Opus
_DIGEST_IN_KEY: Final = re.compile(r"[^./]+\.([0-9a-f]{32})\.[^./]+")


class DamageReason(StrEnum):
    """What is wrong with an object."""

    MISSING = "missing"
    ALTERED = "altered"


def damage_reason(error: ObjectMissing | ObjectDamaged) -> DamageReason:
    """Return what an error says of an object."""
    return DamageReason.MISSING if isinstance(error, ObjectMissing) else DamageReason.ALTERED


class IntactObjects:
    """Opens objects after the checks, and remembers those that were intact."""

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects
        self._verdicts: OrderedDict[str, tuple[Hashable, str, float]] = OrderedDict()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def check(self, audio: StoredAudio) -> None:
        """Check the audio. Raises ObjectMissing and ObjectDamaged."""
        (await self.open(audio)).close()

    async def open(self, audio: StoredAudio) -> BufferedReader:
        """Open the audio at its beginning after the checks; the caller closes it.

        Another file that gets its name meanwhile is not read. Raises ObjectMissing and
        ObjectDamaged.
        """
        file = await _opened(self.objects, audio.object_key, encrypted=audio.encrypted)
        try:
            await self._check(file, audio)
        except BaseException:
            file.close()
            raise
        return file

    def opener(self, audio: StoredAudio) -> Callable[[], AbstractContextManager[BufferedReader]]:
        """Return a function that opens audio as `open` does, for threads of this event loop.

        At the end plain audio of a folder is checked again: it may have changed while it was read.
        """
        loop = asyncio.get_running_loop()

        @contextmanager
        def opened() -> Iterator[BufferedReader]:
            with asyncio.run_coroutine_threadsafe(self.open(audio), loop).result() as file:
                yield file
                if not is_decrypted(file) and not status_of(file).is_fixed:
                    _check(file, audio)

        return opened

    async def _check(self, file: BufferedReader, audio: StoredAudio) -> None:
        await asyncio.to_thread(_check_size, file, audio)
        identity, _, is_fixed = status_of(file)
        if is_fixed and is_decrypted(file) and audio.size_bytes > _LONG_BYTES:
            return
        verdict = self._verdicts.get(audio.object_key)
        if verdict is not None and verdict[:2] == (identity, audio.sha256) and time.monotonic() < verdict[2]:
            return
        async with self._slots:
            await asyncio.to_thread(_check, file, audio)
        self._verdicts[audio.object_key] = (identity, audio.sha256, time.monotonic() + _REMEMBERED_S)
        self._verdicts.move_to_end(audio.object_key)
        while len(self._verdicts) > _REMEMBERED:
            self._verdicts.popitem(last=False)


async def opened_intact(objects: ObjectStore, audio: StoredAudio) -> BufferedReader:
    """Open an object at its beginning after the checks. Raises ObjectMissing and ObjectDamaged."""
    file = await _opened(objects, audio.object_key, encrypted=audio.encrypted)
    try:
        await asyncio.to_thread(_check, file, audio)
    except BaseException:
        file.close()
        raise
    return file


async def intact_peaks(objects: ObjectStore, audio: StoredAudio) -> bytes:
    """Read the peaks file of an object and check it. Raises ObjectMissing and ObjectDamaged."""
    key = peaks_key(audio.object_key)
    with await _opened(objects, key, encrypted=audio.encrypted) as file:
        content = await asyncio.to_thread(_read_all, file, key)
    if audio.peaks_sha256 is not None:
        is_intact = hashlib.sha256(content).hexdigest() == audio.peaks_sha256
    else:
        digest = _DIGEST_IN_KEY.fullmatch(Path(audio.object_key).name)
        is_intact = digest is None or content_digest(audio.sha256, content) == digest[1]
    if not is_intact:
        raise ObjectDamaged(f"{key} is not the file that was stored: its digest differs")
    return content


async def _opened(objects: ObjectStore, key: str, *, encrypted: bool) -> BufferedReader:
    """Open an object, which must be encrypted if it was stored so."""
    file = await objects.open(key)
    if encrypted and not is_decrypted(file):
        file.close()
        raise ObjectDamaged(f"{key} is not the file that was stored: it is not encrypted")
    return file


def _check(file: BufferedReader, audio: StoredAudio) -> None:
    _check_size(file, audio)
    with _read_errors(audio.object_key):
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
    if digest != audio.sha256:
        raise ObjectDamaged(f"{audio.object_key} is not the file that was stored: its SHA-256 differs")


def _check_size(file: BufferedReader, audio: StoredAudio) -> None:
    """Check the size. Raises ObjectDamaged."""
    with _read_errors(audio.object_key):
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
    if size != audio.size_bytes:
        sizes = f"{size} bytes instead of {audio.size_bytes}"
        raise ObjectDamaged(f"{audio.object_key} is not the file that was stored: it has {sizes}")


def _read_all(file: BufferedReader, key: str) -> bytes:
    with _read_errors(key):
        return file.read()


@contextmanager
def _read_errors(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ObjectDamaged(f"{key} cannot be read: {error.strerror}") from error
