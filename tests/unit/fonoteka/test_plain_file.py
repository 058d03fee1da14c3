"""Documents of the spool are read with little memory, and not without bound."""

import tracemalloc
from pathlib import Path

import pytest

from fonoteka.core.plain_file import MOST_BYTES, read_plain


def test_a_small_document_takes_little_memory(tmp_path: Path) -> None:
    """Not as much as the largest document may have."""
    path = tmp_path / "document"
    path.write_bytes(b"{}")
    tracemalloc.start()
    content = read_plain(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert content == b"{}"
    assert peak_bytes < MOST_BYTES / 16


def test_a_document_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "document"
    path.write_bytes(b"12345")
    assert read_plain(path, 5) == b"12345"
    with pytest.raises(OSError, match="document has more than 4 bytes"):
        read_plain(path, 4)
