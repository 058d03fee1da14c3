"""The ETag that S3 gives an object: of one part its MD5, of several the MD5 of theirs."""

import hashlib
from pathlib import Path


def etag_of(path: Path, part_bytes: int) -> tuple[str, int]:
    """Return what S3 calls the ETag of a file, sent in parts, and its size."""
    with path.open("rb") as file:
        digests = [hashlib.md5(part, usedforsecurity=False) for part in iter(lambda: file.read(part_bytes), b"")]
    size = path.stat().st_size
    if len(digests) == 1:
        return digests[0].hexdigest(), size
    together = hashlib.md5(b"".join(each.digest() for each in digests), usedforsecurity=False).hexdigest()
    return (f"{together}-{len(digests)}" if digests else together), size
