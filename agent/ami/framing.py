"""Bytes of a TCP stream into messages, wherever the network has cut them; decoding comes after, per message."""

from collections.abc import Iterator
from typing import Final

from fonoteka.core.errors import AmiRefused, AmiUnreachable

MOST_MESSAGE_BYTES: Final = 4 * 1024 * 1024
_END: Final = b"\r\n\r\n"
_GREETING: Final = b"Asterisk Call Manager/"
_MOST_GREETING_BYTES: Final = 256


class Framing:
    """One connection's incoming bytes. `version` is that of the greeting, None until it has come."""

    def __init__(self) -> None:
        self.version: str | None = None
        self._partial = bytearray()

    def feed(self, received: bytes) -> Iterator[bytes]:
        """The messages that are complete now, without their end. Raises AmiRefused for a stranger, AmiUnreachable over 4 MiB."""
        # The end may be cut in two; what was searched before is not searched again.
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
                # Asterisk ends some messages with an empty line too many (OriginateResponse).
                if whole := message.lstrip(b"\r\n"):
                    yield whole
        _check_length(self._partial)

    def _greeted(self) -> bool:
        """Take the greeting, the one line that is no message, off the stream."""
        line, end, rest = bytes(self._partial).partition(b"\r\n")
        so_far_right = line.startswith(_GREETING) or (not end and _GREETING.startswith(line))
        if not so_far_right or len(line) > _MOST_GREETING_BYTES:
            raise AmiRefused("what answers there is not Asterisk's manager interface")
        if not end:
            return False
        self.version = line[len(_GREETING) :].decode("ascii", "replace")
        self._partial = bytearray(rest)
        return True


def _check_length(message: bytes | bytearray) -> None:
    if len(message) > MOST_MESSAGE_BYTES:
        raise AmiUnreachable(f"a message of more than {MOST_MESSAGE_BYTES} bytes came")
