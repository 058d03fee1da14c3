"""The format of encrypted objects: each range is the plain one, and nothing fits elsewhere."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fonoteka.core.errors import ObjectDamaged
from store.encryption.content import FileBytes
from store.encryption.data_key import DataKey, MemoryKey
from store.encryption.encrypted_file import CHUNK_BYTES, HEADER_BYTES, EncryptingWriter, decrypted, parse_header

NAME = "pbx1/2026/11/22/pbx1-1-1.opus"
KEY = DataKey(domain_id=7, version=2, secret=bytes(range(32)))
OTHER_KEY = DataKey(domain_id=7, version=2, secret=bytes(32))
SEALED_BYTES = CHUNK_BYTES + 16
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 77)


def content_of(size: int) -> bytes:
    """Bytes that differ from place to place."""
    return hashlib.shake_128(b"content").digest(size)


def encrypt(path: Path, content: bytes, name: str = NAME, key: DataKey = KEY, piece: int = 100_000) -> bytes:
    with path.open("wb") as file:
        writer = EncryptingWriter(file, key, name)
        for start in range(0, len(content), piece):
            writer.write(content[start : start + piece])
        writer.finish()
    return path.read_bytes()


def read(path: Path, name: str = NAME, key: DataKey = KEY) -> bytes:
    file = path.open("rb")
    header = parse_header(file.read(HEADER_BYTES))
    assert header is not None and (header.domain_id, header.version) == (key.domain_id, key.version)
    try:
        with decrypted(FileBytes(file), header, key, name) as plain:
            return plain.read()
    finally:
        file.close()


@pytest.mark.parametrize("size", SIZES)
def test_what_is_read_is_what_was_written(tmp_path: Path, size: int) -> None:
    content = content_of(size)
    sealed = encrypt(tmp_path / "x", content)
    assert read(tmp_path / "x") == content
    assert len(sealed) == HEADER_BYTES + size + 16 * max(1, -(-size // CHUNK_BYTES))
    assert content[:32] not in sealed or size < 32


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "x"
    encrypt(path, content_of(SIZES[-1]))
    return path


def in_blocks(file: BinaryIO, start: int, length: int, block: int) -> bytes:
    file.seek(start)
    return b"".join(iter(lambda: file.read(min(block, start + length - file.tell())), b""))


@given(
    first=st.integers(0, SIZES[-1] + 10),
    length=st.integers(0, SIZES[-1] + 10),
    again=st.integers(0, SIZES[-1]),
    block=st.sampled_from([1000, CHUNK_BYTES, CHUNK_BYTES + 1, 10**6]),
)
@settings(max_examples=40)
def test_any_range_is_that_of_the_plain_content(long_file: Path, first: int, length: int, again: int, block: int) -> None:
    content = content_of(SIZES[-1])
    file = long_file.open("rb")
    header = parse_header(file.read(HEADER_BYTES))
    assert header is not None
    with decrypted(FileBytes(file), header, KEY, NAME) as plain:
        assert plain.seek(0, 2) == len(content)
        for start in (first, again):
            assert in_blocks(plain, start, length, block) == content[start : start + length]


def test_a_range_decrypts_the_chunks_that_it_touches(long_file: Path, tmp_path: Path) -> None:
    """Chunks beside the range may be damaged: nobody looks at them."""
    sealed = bytearray(long_file.read_bytes())
    sealed[HEADER_BYTES + 5] ^= 1
    sealed[HEADER_BYTES + 2 * SEALED_BYTES + 5] ^= 1
    damaged = tmp_path / "x"
    damaged.write_bytes(sealed)
    file = damaged.open("rb")
    header = parse_header(file.read(HEADER_BYTES))
    assert header is not None
    with decrypted(FileBytes(file), header, KEY, NAME) as plain:
        plain.seek(CHUNK_BYTES + 10)
        assert plain.read(1000) == content_of(CHUNK_BYTES + 1010)[-1000:]
        plain.seek(0)
        with pytest.raises(ObjectDamaged, match="chunk 0 does not fit"):
            plain.read(10)


def chunk(sealed: bytes, number: int) -> bytes:
    start = HEADER_BYTES + number * SEALED_BYTES
    return sealed[start : start + SEALED_BYTES]


def with_chunks(sealed: bytes, *numbers: int) -> bytes:
    return sealed[:HEADER_BYTES] + b"".join(chunk(sealed, number) for number in numbers)


def flipped(sealed: bytes, place: int) -> bytes:
    return sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]


# What is done to a file of four chunks; `other` is another object of the same domain and key.
ATTACKS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "a bit of the salt": lambda own, _: flipped(own, HEADER_BYTES - 1),
    "a bit of a chunk": lambda own, _: flipped(own, HEADER_BYTES + SEALED_BYTES + 7),
    "a bit of a tag": lambda own, _: flipped(own, HEADER_BYTES + SEALED_BYTES - 1),
    "the last byte": lambda own, _: flipped(own, len(own) - 1),
    "two chunks swapped": lambda own, _: with_chunks(own, 1, 0, 2, 3),
    "a chunk twice": lambda own, _: with_chunks(own, 0, 0, 1, 2, 3),
    "a chunk left out": lambda own, _: with_chunks(own, 0, 2, 3),
    "the last chunk cut off": lambda own, _: with_chunks(own, 0, 1, 2),
    "one chunk left": lambda own, _: with_chunks(own, 0),
    "nothing but the header": lambda own, _: own[:HEADER_BYTES],
    "the last byte cut off": lambda own, _: own[:-1],
    "a piece of a tag left": lambda own, _: own[: HEADER_BYTES + 3 * SEALED_BYTES + 3],
    "a tag alone left": lambda own, _: own[: HEADER_BYTES + 3 * SEALED_BYTES + 16],
    "a byte added": lambda own, _: own + b"x",
    "a chunk added": lambda own, _: own + chunk(own, 1),
    "a chunk of another recording": lambda own, other: (
        with_chunks(own, 0) + chunk(other, 1) + own[HEADER_BYTES + 2 * SEALED_BYTES :]
    ),
    "chunks under another header": lambda own, other: other[:HEADER_BYTES] + own[HEADER_BYTES:],
    "another recording": lambda _, other: other,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_is_altered_is_refused(tmp_path: Path, attack: Callable[[bytes, bytes], bytes]) -> None:
    own, other = (encrypt(tmp_path / f"{number}", content_of(SIZES[-1]), f"{NAME}{number}") for number in range(2))
    (tmp_path / "x").write_bytes(attack(own, other))
    with pytest.raises(ObjectDamaged):
        read(tmp_path / "x", f"{NAME}0")
    (tmp_path / "x").write_bytes(own)
    assert read(tmp_path / "x", f"{NAME}0") == content_of(SIZES[-1])


def test_an_empty_object_cannot_be_made_of_another(tmp_path: Path) -> None:
    sealed = encrypt(tmp_path / "x", content_of(CHUNK_BYTES))
    (tmp_path / "x").write_bytes(sealed[: HEADER_BYTES + 16])
    with pytest.raises(ObjectDamaged):
        read(tmp_path / "x")


def test_another_key_or_name_reads_nothing(tmp_path: Path) -> None:
    encrypt(tmp_path / "x", b"secret")
    for name, key in ((NAME, OTHER_KEY), (f"{NAME}.peaks.json", KEY)):
        with pytest.raises(ObjectDamaged):
            read(tmp_path / "x", name, key)


def test_the_same_content_is_never_encrypted_alike(tmp_path: Path) -> None:
    assert encrypt(tmp_path / "x", b"secret")[HEADER_BYTES:] != encrypt(tmp_path / "x", b"secret")[HEADER_BYTES:]


async def test_a_key_of_memory_is_of_one_process() -> None:
    first, second = MemoryKey(), MemoryKey()
    assert await first.find(first.key.domain_id, 1) == first.key
    assert repr(first.key.secret) not in repr(first.key)
    with pytest.raises(ObjectDamaged):
        await second.find(first.key.domain_id, 1)
