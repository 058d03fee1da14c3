"""The stored bytes of an object in a bucket; what is read is fetched, in pieces."""

from typing import Final

from store.encryption.content import Content, ContentStatus
from store.objects.s3_client import Piece, S3Client

_FIRST_BYTES: Final = 128 * 1024
_MOST_BYTES: Final = 2 * 1024**2
_KEPT_BYTES: Final = 4 * 1024**2  # of the beginning: most recordings are read twice, to check and to send


class BucketContent(Content):
    """An object of the version that it had when it was opened.

    The beginning is fetched at once. Reading on fetches pieces that grow; reading elsewhere fetches
    little. Reading raises StoreError, also if the object was replaced.
    """

    def __init__(self, client: S3Client, key: str) -> None:
        self._client, self._key = client, key
        first = client.get(key, 0, _FIRST_BYTES)
        super().__init__(first.size, ContentStatus((first.etag, first.size), first.modified_at, is_fixed=True))
        self._etag = first.etag
        self._head = bytearray(first.content)
        self._piece, self._piece_at = b"", 0
        self._fetched = len(first.content)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read at the present place."""
        content = self.read_at(self._place, len(buffer))
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

    def read_at(self, offset: int, size: int) -> bytes:
        """Read bytes; fewer at the end. Raises StoreError and ObjectMissing."""
        end = min(offset + size, self._size)
        if offset >= end:
            return b""
        if end > len(self._head) and offset <= len(self._head) and end <= _KEPT_BYTES:
            self._head += self._fetch(len(self._head), end - len(self._head), follows=True).content
        if end <= len(self._head):
            return bytes(self._head[offset:end])
        begin, piece_end = self._piece_at, self._piece_at + len(self._piece)
        if not begin <= offset <= end <= piece_end:
            kept = self._piece[offset - begin :] if begin <= offset < piece_end else b""
            fetched = self._fetch(offset + len(kept), end - offset - len(kept), follows=begin <= offset <= piece_end)
            self._piece, self._piece_at = kept + fetched.content, offset
        return self._piece[offset - self._piece_at : end - self._piece_at]

    def _fetch(self, offset: int, size: int, *, follows: bool) -> Piece:
        """Fetch bytes; more of them if they follow what was read before."""
        ahead = min(self._fetched * 2, _MOST_BYTES) if follows else _FIRST_BYTES
        size = max(size, min(ahead, self._size - offset))
        self._fetched = size
        return self._client.get(self._key, offset, size, etag=self._etag)
