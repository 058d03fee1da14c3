"""Limit the size of request bodies, before a route reads them."""

from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import answer

_KIB: Final = 1024
_MAX_BYTES: Final = 64 * _KIB
_MAX_BYTES_OF_CALLS: Final = 4 * _KIB**2
_MAX_BYTES_OF_A_RECORDING: Final = _KIB**3  # four hours of 16 kHz stereo as WAV are 0.86 of it
_CALLS: Final = "/agent/v1/calls"
_OUTCOMES: Final = "/agent/v1/commands/"
_RECORDINGS: Final = "/agent/v1/recordings/"


def max_bytes(path: str) -> int:
    """Return the largest size of a body that is sent to `path`.

    Agents may send larger bodies: their routes check the token of the PBX before they read one.
    """
    if path == _CALLS or path.startswith(_OUTCOMES):  # an outcome contains the call
        return _MAX_BYTES_OF_CALLS
    return _MAX_BYTES_OF_A_RECORDING if path.startswith(_RECORDINGS) else _MAX_BYTES


class BodyLimit:
    """Answer 413 if Content-Length exceeds the limit, and stop reading when the body exceeds it.

    The connection stays open and the rest of the body is discarded. If it were closed while the
    client sends, it would be reset and the answer lost, and an agent would retry forever.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = max_bytes(scope["path"])
        length = Headers(scope=scope).get("content-length", "0")
        if len(length) > len(str(limit)) or int(length) > limit:  # the server accepts only digits
            await answer(413, "too-large", _detail(limit))(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, _detail(limit))
            return message

        await self._app(scope, counted, send)


def _detail(limit: int) -> str:
    return f"at most {limit} bytes are taken here"
