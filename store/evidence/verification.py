"""Check an evidence package: what it proves, what not, what differs. Needs the file only."""

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fonoteka.core.errors import ConfigurationError, EvidenceRefused
from store.audit.chain import Head, entry_hash
from store.audit.signing import SignedHead, is_genuine
from store.database.schema import instant
from store.evidence import package
from store.evidence.vcon import content_hash
from store.evidence.zip_layout import (
    LOCAL_SIZE,
    MOST_FILES,
    Member,
    announced,
    checked_name,
    directory,
    is_directory,
    local_header,
)

_BLOCK: Final = 256 * 1024
_MOST_IN_MEMORY: Final = 64 * 1024 * 1024  # of all documents
_DOCUMENTS: Final = (package.MANIFEST, package.SIGNATURE, package.PUBLIC_KEY, package.VCON, package.AUDIT)


class Verdict(StrEnum):
    """What a line says."""

    PROVEN = "proven"
    DIFFERS = "DIFFERS"
    OPEN = "not shown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of the result."""

    verdict: Verdict
    text: str


@dataclass(kw_only=True, slots=True)
class _Contents:
    """What was read: the files in order, their hashes, and the documents."""

    members: list[Member] = field(default_factory=list)
    sha256: dict[str, str] = field(default_factory=dict)
    sha512: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)


def examined(path: Path, expected_key: str | None) -> list[Line]:
    """Check a package; `expected_key` is a public key or fingerprint that it must be signed with.

    Raises ConfigurationError if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            contents = _read(file)
        return list(_lines(contents, expected_key))
    except EvidenceRefused as error:
        return [Line(verdict=Verdict.DIFFERS, text=str(error))]
    except OSError as error:
        raise ConfigurationError(f"{str(path)!r} cannot be read: {error.strerror}") from error


def fingerprint(key: str) -> str:
    """Return the fingerprint of a public key in base64, as `ssh-keygen -l` writes one."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).rstrip(b"=").decode()


def _read(file: IO[bytes]) -> _Contents:
    """Read the file from its begin to its end; every byte is compared. Raises EvidenceRefused."""
    contents, place = _Contents(), 0
    while not is_directory(head := file.read(LOCAL_SIZE)):
        if len(contents.members) == MOST_FILES:
            raise EvidenceRefused(f"more than {MOST_FILES} files: this is no evidence package")
        size = announced(head, place)
        name = checked_name(file.read(size.name_size), place, contents.members)
        member = _read_member(file, name, size.size, contents)
        if head + name.encode() != local_header(member):
            raise EvidenceRefused(f"byte {place}: the header of {name!r} or its content was altered")
        contents.members.append(member)
        place += LOCAL_SIZE + size.name_size + size.size
    end = directory(contents.members)
    if head + file.read(len(end) + 1) != end:
        raise EvidenceRefused(f"byte {place}: the directory was altered, or there is something after it")
    return contents


def _read_member(file: IO[bytes], name: str, size: int, contents: _Contents) -> Member:
    is_document = name in _DOCUMENTS
    if is_document and size + sum(map(len, contents.documents.values())) > _MOST_IN_MEMORY:
        raise EvidenceRefused(f"{name!r} has {size} bytes: no evidence package has such a document")
    crc, left, kept, sha256, sha512 = 0, size, bytearray(), hashlib.sha256(), hashlib.sha512()
    while left and (block := file.read(min(left, _BLOCK))):
        left -= len(block)
        crc = zlib.crc32(block, crc)
        sha256.update(block)
        sha512.update(block)
        if is_document:
            kept += block
    if left:
        raise EvidenceRefused(f"the file ends in the middle of {name!r}")
    contents.sha256[name], contents.sha512[name] = sha256.hexdigest(), sha512.digest()
    if is_document:
        contents.documents[name] = bytes(kept)
    return Member(name=name, crc=crc, size=size)


def _lines(contents: _Contents, expected_key: str | None) -> Iterator[Line]:
    first = [member.name for member in contents.members[:3]]
    if first != [package.MANIFEST, package.SIGNATURE, package.PUBLIC_KEY]:
        raise EvidenceRefused("there is no signed manifest at the begin: this is no evidence package")
    manifest = _document(contents, package.MANIFEST)
    if manifest.get("format") != package.FORMAT:
        raise EvidenceRefused(f"the manifest is not of the format {package.FORMAT!r}: use a newer Fonoteka")
    key = _text(contents, package.PUBLIC_KEY)
    checks: tuple[Callable[[], list[Line]], ...] = (
        lambda: [_signature(contents, key), *_key(key, expected_key)],
        lambda: list(_files(contents, manifest)),
        lambda: [*_vcon(contents, manifest), *_audit(contents, manifest, key)],
    )
    for check in checks:  # each rests on the one before
        try:
            lines = check()
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise EvidenceRefused("what the package says of itself cannot be read") from error
        yield from lines
        if any(line.verdict is Verdict.DIFFERS for line in lines):
            return
    yield from (Line(verdict=Verdict.OPEN, text=text) for text in _NOT_SHOWN)


def _signature(contents: _Contents, key: str) -> Line:
    signed = package.SIGNED_PREFIX + contents.documents[package.MANIFEST]
    try:
        signature = base64.b64decode(_text(contents, package.SIGNATURE), validate=True)
        Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True)).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return Line(verdict=Verdict.DIFFERS, text="the manifest or its signature was altered: they do not fit together")
    return Line(verdict=Verdict.PROVEN, text="the manifest is as the holder of the key signed it")


def _key(key: str, expected: str | None) -> Iterator[Line]:
    try:
        shown = fingerprint(key)
    except ValueError:
        return
    if expected is None:
        text = f"whose key it is: compare {shown} with what the operator of the installation says"
        yield Line(verdict=Verdict.OPEN, text=text)
    elif expected.strip() in (key, shown):
        yield Line(verdict=Verdict.PROVEN, text=f"the key is the expected one, {shown}")
    else:
        yield Line(verdict=Verdict.DIFFERS, text=f"the key is {shown}, not the expected one")


def _files(contents: _Contents, manifest: Mapping[str, Any]) -> Iterator[Line]:
    listed = [(each["name"], each["size"], each["sha256"]) for each in manifest["files"]]
    present = [(member.name, member.size, contents.sha256[member.name]) for member in contents.members[3:]]
    if listed == present:
        text = (
            f"all {len(present)} files are as they were signed on {manifest['made_at']} by {manifest['made_by'] or 'the operator'}"
        )
        yield Line(verdict=Verdict.PROVEN, text=text)
        return
    wanted, found = ({name: rest for name, *rest in each} for each in (listed, present))
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            yield Line(verdict=Verdict.DIFFERS, text=f"{name} is missing")
        elif name not in wanted:
            yield Line(verdict=Verdict.DIFFERS, text=f"{name} is not in the manifest")
        elif wanted[name] != found[name]:
            yield Line(verdict=Verdict.DIFFERS, text=f"{name} is not the file that was signed")
    if wanted == found:
        yield Line(verdict=Verdict.DIFFERS, text="the files have another order than in the manifest")


def _vcon(contents: _Contents, manifest: Mapping[str, Any]) -> Iterator[Line]:
    dialogs = [each for each in _document(contents, package.VCON)["dialog"] if each["type"] == "recording"]
    named = {each["filename"]: each["content_hash"] for each in dialogs}
    present = {name: content_hash(sha512) for name, sha512 in contents.sha512.items() if name.startswith("audio/")}
    if named == present:
        text = f"recordings in the document of call {manifest['call']}: {len(present)}, each with the SHA-512 of its file"
        yield Line(verdict=Verdict.PROVEN, text=text)
    else:
        yield Line(verdict=Verdict.DIFFERS, text="the document of the call names other recordings than the package has")


def _audit(contents: _Contents, manifest: Mapping[str, Any], key: str) -> Iterator[Line]:
    journal = _document(contents, package.AUDIT)
    entries = journal["entries"]
    wrong = [
        each["seq"]
        for each in entries
        if each["subject"] != manifest["call"]
        or each["hash"] != entry_hash(each["previous"], each | {"at": instant(each["at_ms"])})
    ]
    head = Head(seq=journal["head"]["seq"], hash=journal["head"]["hash"])
    at, signature = instant(journal["head"]["at_ms"]), journal["head"]["signature"]
    signed = SignedHead(domain=journal["domain"], head=head, at=at, key=key, signature=signature)
    if wrong:
        yield Line(verdict=Verdict.DIFFERS, text=f"entries {wrong} of the journal do not have the hash that they name")
    elif not is_genuine(signed) or journal["head"]["key"] != key or any(each["seq"] > head.seq for each in entries):
        yield Line(verdict=Verdict.DIFFERS, text="the head of the journal is not signed with the key of the package")
    else:
        text = f"entries of the journal: {len(entries)}, each with its hash in the chain, whose head was entry {head.seq}"
        yield Line(verdict=Verdict.PROVEN, text=text)


_NOT_SHOWN: Final = (
    "who spoke: the document names numbers and logins as the PBX reported them",
    "when: all times are of the clocks of the PBX and the server",
    "that the audio was not changed before the server stored it",
    "that the journal has no other entries about the call: `fonoteka verify --heads` on the server shows that",
)


def _document(contents: _Contents, name: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(result := dict(pairs)) != len(pairs):
            raise ValueError(name)
        return result

    try:
        document = json.loads(contents.documents[name], object_pairs_hook=unique)
    except (KeyError, ValueError, RecursionError) as error:
        raise EvidenceRefused(f"{name} is missing or cannot be read") from error
    if not isinstance(document, dict):
        raise EvidenceRefused(f"{name} cannot be read")
    return document


def _text(contents: _Contents, name: str) -> str:
    """Return the text of a file with one line of base64, which has one spelling only."""
    line = contents.documents[name].decode("ascii", errors="replace")
    text = line.removesuffix("\n")
    try:
        is_canonical = line != text and base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except ValueError:
        is_canonical = False
    if not is_canonical:
        raise EvidenceRefused(f"{name} was altered: it is no line of base64")
    return text
