"""No request's head is longer than any that is meant: uvicorn's parser takes whatever comes, and holds it."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_BYTES: Final = 128 * 1024  # a selection of a thousand users is some 20 KiB of address; proxies take less


class BoundedHead(HttpToolsProtocol):
    """Hangs up on who sends more than that without an end of the head or a byte of a body (addresses, headers, trailers)."""

    _unfinished = 0

    def data_received(self, data: bytes) -> None:
        """What has come from the client."""
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > _MOST_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of this request is too long.")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._unfinished = 0
        super().on_message_complete()
