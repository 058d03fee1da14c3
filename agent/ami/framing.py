"""Split the bytes of a TCP stream into messages. Each message is decoded later, as a unit."""

from collections.abc import Iterator
from typing import Final

from fonoteka.core.errors import AmiRefused, AmiUnreachable

MOST_MESSAGE_BYTES: Final = 4 * 1024 * 1024
_END: Final = b"\r\n\r\n"
_GREETING: Final = b"Asterisk Call Manager/"
_MOST_GREETING_BYTES: Final = 256


class Framing:
    """The incoming bytes of one connection. `version` is that of the greeting, None before it."""

    def __init__(self) -> None:
        self.version: str | None = None
        self._partial = bytearray()

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Yield the messages that are complete now, without the empty line at their end.

        Raises AmiRefused if the peer is not Asterisk, AmiUnreachable for a message over 4 MiB.
        """
        # The end may be cut in two. Bytes searched before are not searched again.
        unsearched = max(0, len(self._partial) - len(_END) + 1)
        self._partial += received
        if self.version is None:
            if not self._greeted():
                return
            unsearched = 0
        if self._partial.find(_END, unsearched) >= 0:
            *messages, rest = bytes(self._partial).split(_END)
            self._partial = bytearray(rest)
            for message in messages:
                _check_length(message)
                # Asterisk ends some messages with two empty lines (OriginateResponse).
                if complete := message.lstrip(b"\r\n"):
                    yield complete
        _check_length(self._partial)

    def _greeted(self) -> bool:
        """Remove the greeting, a single line. Return False while it is incomplete."""
        line, end, rest = bytes(self._partial).partition(b"\r\n")
        plausible = line.startswith(_GREETING) or (not end and _GREETING.startswith(line))
        if not plausible or len(line) > _MOST_GREETING_BYTES:
            raise AmiRefused("the service there is not Asterisk's manager interface")
        if not end:
            return False
        self.version = line[len(_GREETING) :].decode("ascii", "replace")
        self._partial = bytearray(rest)
        return True


def _check_length(message: bytes | bytearray) -> None:
    if len(message) > MOST_MESSAGE_BYTES:
        raise AmiUnreachable(f"a message of more than {MOST_MESSAGE_BYTES} bytes came")
