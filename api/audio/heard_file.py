"""Send a file of audio; each part is announced before its first byte is sent."""

import os
import re
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from io import BufferedReader
from typing import Final

import anyio
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from store.encryption.content import status_of

# Three minutes of Opus: most recordings are one part. A client that disconnects has heard no more
# than the parts that were announced.
PART_BYTES: Final = 512 * 1024
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")

Announce = Callable[[int, int, int], Awaitable[None]]
"""Called with the first byte of a part, the byte after its last one, and the size of the file.

An exception ends the answer: before the first part it is answered as a problem.
"""


class HeardFile(FileResponse):
    """A file, or the range of it that the request wants.

    The parts are those of the answer that is really sent, however its range was asked for. The file
    is closed with the answer.
    """

    # Each read is a stay in a thread: with 64 KiB they take more time than decryption.
    chunk_size = 256 * 1024

    def __init__(
        self, file: BufferedReader, announce: Announce, *, headers: Mapping[str, str], media_type: str, filename: str | None = None
    ) -> None:
        super().__init__("", headers=headers, media_type=media_type, filename=filename, stat_result=_status(file))
        self._file, self._announce = file, announce

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file. A HEAD request gets none of it, so nothing is announced."""
        if scope["method"] != "HEAD":
            send = _Announcing(send, self._announce)
        with self._file:
            await super().__call__(scope, receive, send)

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[anyio.AsyncFile[bytes]]:
        """Yield the open file: a path would give an encrypted file as it is on the disk."""
        yield anyio.wrap_file(self._file)


def _status(file: BufferedReader) -> os.stat_result:
    """Return the status of a file, with the size of its plain content."""
    modified_at = int(status_of(file).modified_at)
    return os.stat_result((stat.S_IFREG, 0, 0, 1, 0, 0, size_of(file), modified_at, modified_at, modified_at))


def size_of(file: BufferedReader) -> int:
    """Return the size of a file's plain content; the file is at its beginning then."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


class _Announcing:
    """Passes the messages of an answer on, after the announcement of their bytes."""

    def __init__(self, send: Send, announce: Announce) -> None:
        self._send, self._announce = send, announce
        self._place = self._announced = self._end = self._size = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begin(message)
            await self._reach(min(self._place + 1, self._end))
        elif message["type"] == "http.response.body":
            self._place += len(message.get("body", b""))
            await self._reach(self._place)
        else:
            raise RuntimeError(f"audio would be sent without its announcement: {message['type']}")
        await self._send(message)

    def _begin(self, message: Message) -> None:
        """Read from the answer's head which bytes it has; an error's body has no audio."""
        headers = Headers(raw=list(message["headers"]))
        if match := _CONTENT_RANGE.fullmatch(headers.get("content-range", "")):
            self._place, self._end, self._size = int(match[1]), int(match[2]) + 1, int(match[3])
        elif message["status"] == 200:
            self._end = self._size = int(headers["content-length"])
        elif message["status"] < 400:
            raise RuntimeError("an answer with audio does not say which bytes it has")
        self._announced = self._place

    async def _reach(self, place: int) -> None:
        """Announce parts until the place is reached."""
        while self._announced < min(place, self._end):
            first, self._announced = self._announced, min(self._announced + PART_BYTES, self._end)
            await self._announce(first, self._announced, self._size)
