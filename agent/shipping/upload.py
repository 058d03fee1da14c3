"""Stream a form whose last part is an open file, read block by block in a thread.

httpx encodes a form from open files with synchronous reads, which would run in the event loop and
delay the events of the PBX for as long as the disk takes.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO, Final

import httpx

_BLOCK_BYTES: Final = 256 * 1024
_LAST_BOUNDARY: Final = b"\r\n--"


class StreamedForm(httpx.AsyncByteStream):
    """A form that httpx encoded with an empty last part; the content of the file takes its place.

    Yields few blocks: each one costs as much CPU as several AMI events. Raises OSError.
    """

    def __init__(self, form: bytes, file: BinaryIO) -> None:
        self._before, boundary, rest = form.rpartition(_LAST_BOUNDARY)
        self._after = boundary + rest
        self._file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._before
        while block := await asyncio.to_thread(self._file.read, _BLOCK_BYTES):
            yield block
        yield self._after


def stream_last_part(request: httpx.Request, file: BinaryIO, size_bytes: int) -> None:
    """Let a request with an empty last part send the content of a file of that size instead."""
    form = request.read()
    request.headers["Content-Length"] = str(len(form) + size_bytes)
    request.stream = StreamedForm(form, file)
