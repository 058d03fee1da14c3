"""Limit the size of the request line and headers: uvicorn's parser keeps them without a limit."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A selection of a thousand users is an address of some 20 KiB; proxies accept less.
_MAX_BYTES: Final = 128 * 1024


class HeadLimitProtocol(HttpToolsProtocol):
    """Close a connection on which a request line, headers or trailers exceed `_MAX_BYTES`."""

    _unfinished = 0

    def data_received(self, data: bytes) -> None:
        """Parse data from the client."""
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > _MAX_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of this request is too long.")

    def on_headers_complete(self) -> None:
        """Handle the end of the headers."""
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Handle a part of the body."""
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Handle the end of the request."""
        self._unfinished = 0
        super().on_message_complete()
