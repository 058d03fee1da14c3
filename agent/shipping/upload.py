"""Stream a form whose last part is an open file, read block by block in a thread.

httpx encodes a form from open files with synchronous reads, which would run in the event loop and
delay the events of the PBX for as long as the disk takes.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import BinaryIO, Final, NamedTuple, Self

import httpx

_BLOCK_BYTES: Final = 256 * 1024
_LAST_BOUNDARY: Final = b"\r\n--"


class OpenedFile(NamedTuple):
    """An open file, its size, and its first block, which is read already: most files have one."""

    file: BinaryIO
    size_bytes: int
    beginning: bytes

    @classmethod
    def of(cls, file: BinaryIO) -> Self:
        """Read the beginning. If that fails, the file is closed. Raises OSError."""
        try:
            return cls(file, os.fstat(file.fileno()).st_size, file.read(_BLOCK_BYTES))
        except OSError:
            file.close()
            raise


class StreamedForm(httpx.AsyncByteStream):
    """A form that httpx encoded with an empty last part; the content of the file takes its place.

    Yields few blocks: each one costs as much CPU as several AMI events. Raises OSError.
    """

    def __init__(self, form: bytes, file: OpenedFile) -> None:
        self._before, boundary, rest = form.rpartition(_LAST_BOUNDARY)
        self._after = boundary + rest
        self._file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        file, size_bytes, beginning = self._file
        block, left_bytes = self._before + beginning, size_bytes - len(beginning)
        while left_bytes > 0 and (more := await asyncio.to_thread(file.read, _BLOCK_BYTES)):
            yield block
            block, left_bytes = more, left_bytes - len(more)
        yield block + self._after


def stream_last_part(request: httpx.Request, file: OpenedFile) -> None:
    """Let a request with an empty last part send the content of a file instead."""
    form = request.read()
    request.headers["Content-Length"] = str(len(form) + file.size_bytes)
    request.stream = StreamedForm(form, file)
