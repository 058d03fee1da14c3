"""Make an evidence package: collect a call, sign the manifest, write the file.

manifest.json    the call, the time, and the SHA-256 of every file below
manifest.sig     Ed25519 signature of the manifest, base64
public_key.txt   the key of the signature, base64
README.txt · call.vcon.json · audit.json · audio/…
"""

import asyncio
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader
from typing import IO, Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka import __version__
from fonoteka.core.errors import ObjectDamaged, StoreError
from fonoteka.core.naming import safe
from store.audit.chain import ORIGIN, head_of
from store.audit.signing import AuditKey
from store.database.dialect import read_snapshot
from store.database.schema import audit, calls, domains, milliseconds
from store.database.store import Store
from store.evidence.vcon import PackedAudio, document
from store.evidence.zip_layout import MOST_BYTES, Member, directory, local_header
from store.integrity.intact import opened_intact
from store.queries.audio import StoredAudio, audio_of
from store.queries.calls import SeenCall, call_of, path_of
from store.selection.scope import Scope

FORMAT: Final = "fonoteka evidence 1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
PUBLIC_KEY: Final = "public_key.txt"
README: Final = "README.txt"
VCON: Final = "call.vcon.json"
AUDIT: Final = "audit.json"
SIGNED_PREFIX: Final = b"fonoteka evidence manifest 1\n"
_EXTENSIONS: Final = {"opus": "ogg", "mp3": "mp3", "flac": "flac", "wav": "wav"}
_BLOCK: Final = 256 * 1024
_README: Final = """Доказательство · Evidence
Fonoteka {version}, {made_at}

Звонок {call}. Проверить этот файл, без сервера и настроек:
Call {call}. To check this file, without a server or a configuration:

    fonoteka evidence verify FILE

call.vcon.json   сведения о звонке · the call (IETF draft-ietf-vcon-vcon-core-04)
audit.json       записи журнала о звонке · the journal's entries about the call
audio/           записи разговора, как они хранились · the recordings, as they were stored
manifest.json    SHA-256 всех файлов · of all files
manifest.sig     подпись · the signature (Ed25519) of "fonoteka evidence manifest 1", a newline, manifest.json
public_key.txt   ключ подписи · the key of the signature: compare its fingerprint with the operator's
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallInDomain:
    """A call, and the domain that it is of."""

    domain_id: int
    domain: str

    @property
    def scope(self) -> Scope:
        """The scope of the domain."""
        return Scope(domain_id=self.domain_id, login=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Packed:
    """A file of the package: its content, or the audio to copy; and its hashes."""

    member: Member
    sha256: str
    content: bytes | StoredAudio


async def domain_of_call(store: Store, public_id: str) -> CallInDomain | None:
    """Return the domain of a call, for the operator; None if there is no such call."""
    query = select(domains.c.id, domains.c.name).join(calls, calls.c.domain_id == domains.c.id)
    async with store.reading() as connection:
        row = (await connection.execute(query.where(calls.c.public_id == public_id, calls.c.merged_into.is_(None)))).first()
    return None if row is None else CallInDomain(domain_id=row.id, domain=row.name)


async def write_package(
    store: Store, key: AuditKey, scope: Scope, public_id: str, target: IO[bytes], *, made_by: str, now: datetime
) -> None:
    """Write the package of a call into a file. The audit has its entry already.

    Raises StoreError, ObjectMissing and ObjectDamaged: a package never has altered audio.
    """
    call = await call_of(store, scope, public_id, now)
    if call is None:
        raise StoreError(f"there is no call {public_id!r}")
    path, audio = await path_of(store, scope, public_id), await audio_of(store, scope, public_id)
    async with store.reading() as connection:
        await read_snapshot(connection)
        entries = await _audit_document(connection, key, call, scope.domain_id, now)
    packed = []
    for place, each in enumerate(audio, 1):
        with await opened_intact(store.objects, each) as file:
            packed.append(await asyncio.to_thread(_digested, file, place, each))
    contents = {
        README: _README.format(version=__version__, call=public_id, made_at=now.isoformat(timespec="seconds")).encode(),
        VCON: _json(document(call, path, [each for each, _ in packed], now)),
        AUDIT: _json(entries),
    }
    files = [*(_of_content(name, content) for name, content in contents.items()), *(file for _, file in packed)]
    manifest = _json(_manifest(call, files, made_by, now))
    signed = {MANIFEST: manifest, SIGNATURE: _line(key.sign_bytes(SIGNED_PREFIX + manifest)), PUBLIC_KEY: _line(key.public)}
    files = [*(_of_content(name, content) for name, content in signed.items()), *files]
    await _write(store, files, target)


def _manifest(call: SeenCall, files: Sequence[_Packed], made_by: str, now: datetime) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "call": call.public_id,
        "domain": call.domain,
        "made_at": now.isoformat(timespec="milliseconds"),
        "made_by": made_by,
        "made_with": f"Fonoteka {__version__}",
        "files": [{"name": each.member.name, "size": each.member.size, "sha256": each.sha256} for each in files],
    }


async def _audit_document(
    connection: AsyncConnection, key: AuditKey, call: SeenCall, domain_id: int, now: datetime
) -> dict[str, Any]:
    """Return the entries about a call, each with the hash before it, and the signed head."""
    before = audit.alias("before")
    previous = select(before.c.hash).where(before.c.domain_id == domain_id, before.c.seq == audit.c.seq - 1).scalar_subquery()
    query = select(*audit.c, previous.label("previous")).where(audit.c.domain_id == domain_id)
    rows = (await connection.execute(query.where(audit.c.subject == call.public_id).order_by(audit.c.seq))).all()
    head = key.sign(call.domain, await head_of(connection, domain_id), now)
    names = ("domain_id", "seq", "login", "address", "action", "subject", "detail", "continues", "listening", "hash")
    return {
        "format": "fonoteka audit 1",
        "domain": call.domain,
        "head": {
            "seq": head.head.seq,
            "hash": head.head.hash,
            "at_ms": milliseconds(now),
            "key": head.key,
            "signature": head.signature,
        },
        "entries": [
            {name: row._mapping[name] for name in names} | {"at_ms": milliseconds(row.at), "previous": row.previous or ORIGIN}
            for row in rows
        ],
    }


def _digested(file: BufferedReader, place: int, audio: StoredAudio) -> tuple[PackedAudio, _Packed]:
    """Hash the audio of a segment. Raises ObjectDamaged if it has changed since it was checked."""
    crc, size, sha256, sha512 = 0, 0, hashlib.sha256(), hashlib.sha512()
    while block := file.read(_BLOCK):
        crc, size = zlib.crc32(block, crc), size + len(block)
        sha256.update(block)
        sha512.update(block)
    if sha256.hexdigest() != audio.sha256:
        raise ObjectDamaged(f"{audio.object_key} has changed while it was read")
    name = f"audio/{place:03}-{safe(audio.segment)}.{_EXTENSIONS[audio.format]}"
    packed = _Packed(member=Member(name=name, crc=crc, size=size), sha256=sha256.hexdigest(), content=audio)
    return PackedAudio(name=name, audio=audio, sha512=sha512.digest()), packed


def _of_content(name: str, content: bytes) -> _Packed:
    member = Member(name=name, crc=zlib.crc32(content), size=len(content))
    return _Packed(member=member, sha256=hashlib.sha256(content).hexdigest(), content=content)


async def _write(store: Store, files: Sequence[_Packed], target: IO[bytes]) -> None:
    if sum(each.member.size + 400 for each in files) > MOST_BYTES:
        raise StoreError("the recordings of this call have more than 4 GiB: an evidence package cannot hold them")
    for each in files:
        target.write(local_header(each.member))
        if isinstance(each.content, bytes):
            target.write(each.content)
        else:
            with await opened_intact(store.objects, each.content) as file:
                await asyncio.to_thread(_copy, file, each, target)
    target.write(directory([each.member for each in files]))
    target.flush()


def _copy(file: BufferedReader, packed: _Packed, target: IO[bytes]) -> None:
    """Copy audio that was hashed. Raises ObjectDamaged if it has changed since."""
    sha256 = hashlib.sha256()
    while block := file.read(_BLOCK):
        sha256.update(block)
        target.write(block)
    if sha256.hexdigest() != packed.sha256:
        raise ObjectDamaged(f"{packed.member.name} has changed while it was read")


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def _line(text: str) -> bytes:
    return text.encode("ascii") + b"\n"
