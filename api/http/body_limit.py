"""No request's body is longer than what it is for; that is looked at before anybody reads it."""

from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import answer

_KIB: Final = 1024
_MOST_BYTES: Final = 64 * _KIB
_MOST_BYTES_OF_CALLS: Final = 4 * _KIB**2
_MOST_BYTES_OF_A_RECORDING: Final = _KIB**3  # the largest that is usual: four hours of 16 kHz stereo as WAV are 0.86 of it
_CALLS: Final = "/agent/v1/calls"
_OUTCOMES: Final = "/agent/v1/commands/"
_RECORDINGS: Final = "/agent/v1/recordings/"


def most_bytes(path: str) -> int:
    """How long a body may be that is sent to `path`.

    What agents ship may be longer than the rest: their routes read it only after they have seen the PBX's token.
    """
    if path == _CALLS or path.startswith(_OUTCOMES):  # an outcome holds the call
        return _MOST_BYTES_OF_CALLS
    return _MOST_BYTES_OF_A_RECORDING if path.startswith(_RECORDINGS) else _MOST_BYTES


class BodyLimit:
    """Answers 413 where Content-Length says too much, and ends the reading where more comes than may.

    The connection stays open, the rest of the body is thrown away: closed on somebody who still sends, it would be reset
    and the answer lost on the way, and an agent would try again for ever.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = most_bytes(scope["path"])
        told = Headers(scope=scope).get("content-length", "0")
        if len(told) > len(str(limit)) or int(told) > limit:  # the server lets nothing pass but digits
            await answer(413, "too-large", _words(limit))(scope, receive, send)
            return
        come = 0

        async def counted() -> Message:
            nonlocal come
            message = await receive()
            come += len(message.get("body", b""))
            if come > limit:
                raise HTTPException(413, _words(limit))
            return message

        await self._app(scope, counted, send)


def _words(limit: int) -> str:
    return f"at most {limit} bytes are taken here"
