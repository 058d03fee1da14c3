"""Files that are sent while they are made, and what must happen when that ends, however it ends."""

from collections.abc import AsyncGenerator
from contextlib import ExitStack
from typing import Final

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

_DISPOSITION: Final = 'attachment; filename="{}"'


class Sending(StreamingResponse):
    """A file under a name of ours (letters, digits, `.`, `_`, `-`: RFC 6266 needs no more), kept by no cache.

    `ending` is closed when the last byte is out, when the client has gone, and when making the rest has failed, after `content`.
    """

    def __init__(
        self, content: AsyncGenerator[bytes, None], *, name: str, media_type: str, ending: ExitStack, size: int | None = None
    ) -> None:
        headers = {"Content-Disposition": _DISPOSITION.format(name), "Cache-Control": "no-store"}
        if size is not None:
            headers["Content-Length"] = str(size)
        super().__init__(content, headers=headers, media_type=media_type)
        self._content, self._ending = content, ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        with self._ending:
            try:
                await super().__call__(scope, receive, send)
            finally:
                await self._content.aclose()
