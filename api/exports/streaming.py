"""Send files while they are made, and clean up when the transfer ends, however it ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import IO, Final

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

_BLOCK: Final = 256 * 1024
_DISPOSITION: Final = 'attachment; filename="{}"'


class FileStream(StreamingResponse):
    """A file that is sent while it is made; no cache keeps it.

    `name` has only letters, digits, `.`, `_` and `-` (RFC 6266 needs no escapes then). `cleanup` is
    closed after `content`: when the last byte is sent, the client disconnects, or `content` fails.
    """

    def __init__(
        self,
        content: AsyncGenerator[bytes, None],
        *,
        name: str,
        media_type: str,
        cleanup: AsyncExitStack,
        size: int | None = None,
    ) -> None:
        headers = {"Content-Disposition": _DISPOSITION.format(name), "Cache-Control": "no-store"}
        if size is not None:
            headers["Content-Length"] = str(size)
        super().__init__(content, headers=headers, media_type=media_type)
        self._content, self._cleanup = content, cleanup

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        async with self._cleanup:
            try:
                await super().__call__(scope, receive, send)
            finally:
                await self._content.aclose()


async def with_first_piece(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Wait for the first piece, so that an error before it is still answered as a problem."""
    first = await anext(pieces)

    async def all_pieces() -> AsyncGenerator[bytes, None]:
        yield first
        async for piece in pieces:
            yield piece

    return all_pieces()


async def blocks(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the rest of a file."""
    while block := await asyncio.to_thread(file.read, _BLOCK):
        yield block
