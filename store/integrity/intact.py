"""Whether an object is the one that was stored: its size, and the SHA-256 of its content.

The SHA-256 of one hour of Opus (11 MB) takes some 10 ms of a processor; so a verdict is remembered
by the file's inode, size and times, which a change of the file changes too.
"""

import asyncio
import hashlib
import os
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

from fonoteka.core.errors import ObjectDamaged, ObjectMissing, StoreError
from fonoteka.core.naming import content_digest, peaks_key
from store.objects.folder import ObjectFolder
from store.queries.audio import StoredAudio

_REMEMBERED: Final = 10_000
_REMEMBERED_S: Final = 900.0  # a disk can lose bits without a change of the file's times
_AT_ONCE: Final = 2
_BLOCK: Final = 256 * 1024
_DIGEST_IN_KEY: Final = re.compile(r"[^./]+\.([0-9a-f]{32})\.[^./]+")


class DamageReason(StrEnum):
    """What is wrong with an object."""

    MISSING = "missing"
    ALTERED = "altered"


def damage_reason(error: ObjectMissing | ObjectDamaged) -> DamageReason:
    """Return what an error says of an object."""
    return DamageReason.MISSING if isinstance(error, ObjectMissing) else DamageReason.ALTERED


Identity = tuple[int, int, int, int, int]


class IntactObjects:
    """Checks objects before they are sent, and remembers those that were intact."""

    def __init__(self, objects: ObjectFolder) -> None:
        self._objects = objects
        self._verdicts: OrderedDict[str, tuple[Identity, str, float]] = OrderedDict()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def check(self, audio: StoredAudio) -> None:
        """Check the audio. Raises ObjectMissing and ObjectDamaged."""
        identity = await asyncio.to_thread(_identity, self._objects, audio)
        verdict = self._verdicts.get(audio.object_key)
        if verdict is not None and verdict[:2] == (identity, audio.sha256) and time.monotonic() < verdict[2]:
            return
        async with self._slots:
            await asyncio.to_thread(check_audio, self._objects, audio)
        self._verdicts[audio.object_key] = (identity, audio.sha256, time.monotonic() + _REMEMBERED_S)
        self._verdicts.move_to_end(audio.object_key)
        while len(self._verdicts) > _REMEMBERED:
            self._verdicts.popitem(last=False)

    async def peaks(self, audio: StoredAudio) -> bytes:
        """Return the peaks file. Raises ObjectMissing and ObjectDamaged."""
        return await asyncio.to_thread(intact_peaks, self._objects, audio)


def check_audio(objects: ObjectFolder, audio: StoredAudio) -> None:
    """Check the size, then the SHA-256 of an object. Raises ObjectMissing and ObjectDamaged."""
    opened_intact(objects, audio).close()


def opened_intact(objects: ObjectFolder, audio: StoredAudio) -> BinaryIO:
    """Open an object at its beginning after the checks. Raises ObjectMissing and ObjectDamaged."""
    file = _opened_of_size(objects, audio)
    try:
        with _read_errors(objects, audio.object_key):
            digest = hashlib.sha256()
            while block := file.read(_BLOCK):
                digest.update(block)
            if digest.hexdigest() != audio.sha256:
                raise ObjectDamaged(f"{audio.object_key} is not the file that was stored: its SHA-256 differs")
            file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def intact_peaks(objects: ObjectFolder, audio: StoredAudio) -> bytes:
    """Read the peaks file of an object and check it. Raises ObjectMissing and ObjectDamaged."""
    key = peaks_key(audio.object_key)
    with _read_errors(objects, key), open_object(objects, key) as file:
        content = file.read()
    if audio.peaks_sha256 is not None:
        is_intact = hashlib.sha256(content).hexdigest() == audio.peaks_sha256
    else:
        digest = _DIGEST_IN_KEY.fullmatch(Path(audio.object_key).name)
        is_intact = digest is None or content_digest(audio.sha256, content) == digest[1]
    if not is_intact:
        raise ObjectDamaged(f"{key} is not the file that was stored: its digest differs")
    return content


def open_object(objects: ObjectFolder, key: str) -> BinaryIO:
    """Open the content of an object. Raises OSError."""
    return objects.path(key).open("rb")


def _identity(objects: ObjectFolder, audio: StoredAudio) -> Identity:
    """Check the size; return what a change of the file changes.

    Raises ObjectMissing and ObjectDamaged.
    """
    with _opened_of_size(objects, audio) as file, _read_errors(objects, audio.object_key):
        found = os.fstat(file.fileno())
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _opened_of_size(objects: ObjectFolder, audio: StoredAudio) -> BinaryIO:
    with _read_errors(objects, audio.object_key):
        file = open_object(objects, audio.object_key)
    try:
        with _read_errors(objects, audio.object_key):
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
        if size != audio.size_bytes:
            sizes = f"{size} bytes instead of {audio.size_bytes}"
            raise ObjectDamaged(f"{audio.object_key} is not the file that was stored: it has {sizes}")
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def _read_errors(objects: ObjectFolder, key: str) -> Iterator[None]:
    """Raise StoreErrors for OSErrors; without the folder of objects no object is missing."""
    try:
        yield
    except OSError as error:
        if not objects.root.is_dir():
            raise StoreError("the folder of recordings is gone: is its disk mounted?") from error
        if isinstance(error, FileNotFoundError):
            raise ObjectMissing(f"{key} does not exist") from error
        raise ObjectDamaged(f"{key} cannot be read: {error.strerror}") from error
