"""The evidence package: each altered byte is found; other files are refused, with the reason."""

import asyncio
import hashlib
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fonoteka.cli.evidence import is_genuine, to_text
from fonoteka.cli.main import app
from fonoteka.core.naming import call_id
from store.audit.signing import AuditKey
from store.audit.write import OPERATOR, write_entry
from store.database.store import Store
from store.evidence import package, verification
from store.evidence.package import write_package
from store.evidence.verification import Line, Verdict, examined, fingerprint
from store.evidence.zip_layout import Member, directory, local_header
from store.intake.intake import upsert_calls
from store.selection.scope import Scope
from tests.data import seed
from tests.support.cheap_passwords import cheap_passwords

BEGIN = datetime(2026, 11, 22, 16, 43, 42, 123000, tzinfo=UTC)
NOW = datetime(2026, 11, 29, 7, tzinfo=UTC)
SCOPE = Scope(domain_id=1, login=None)
ID = call_id("pbx1", seed.a_call(1, BEGIN).linkedid)


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A package of a call with two segments, its files, and the key that signed it."""

    content: bytes
    files: dict[str, bytes]
    key: AuditKey


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("evidence")
    with cheap_passwords(), ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _make(folder)).result()


async def _make(folder: Path) -> Package:
    store = await Store.open(seed.section(folder), sweep=True)
    pbx = await seed.seed(store, count=0)
    call = seed.a_call(1, BEGIN)
    later = seed.but(call.segments[0], name="pbx1-1-2", user="421", started_at=BEGIN + timedelta(seconds=2))
    call = seed.but(call, segments=(call.segments[0], later), participants=("152", "421"), src="8913\x1b[31m")
    await upsert_calls(store, pbx, [call])
    await seed.ship(store, pbx, call, (400, 300))
    async with store.writing() as connection:
        for action in ("listened", "evidence_exported"):
            await write_entry(connection, SCOPE, OPERATOR, action=action, subject=ID, detail={"of": 0.5}, now=NOW)
    key = AuditKey.load(folder / "audit.key")
    target = io.BytesIO()
    await write_package(store, key, SCOPE, ID, target, made_by="900", now=NOW)
    await store.close()
    with zipfile.ZipFile(target) as archive:  # another program's reader
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    return Package(content=target.getvalue(), files=files, key=key)


def check(content: bytes, tmp_path: Path, key: str | None = None) -> list[Line]:
    path = tmp_path / "evidence.zip"
    path.write_bytes(content)
    return examined(path, key)


def packed(files: dict[str, bytes]) -> bytes:
    """Put files into the layout of a package."""
    members = [Member(name=name, crc=zlib.crc32(content), size=len(content)) for name, content in files.items()]
    body = b"".join(local_header(member) + content for member, content in zip(members, files.values(), strict=True))
    return body + directory(members)


def signed(files: dict[str, bytes], key: AuditKey) -> bytes:
    """Sign a manifest of files, as the holder of a key can."""
    own = (package.MANIFEST, package.SIGNATURE, package.PUBLIC_KEY)
    rest = {name: content for name, content in files.items() if name not in own}
    manifest = json.loads(files[package.MANIFEST])
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in rest.items()}
    manifest["files"] = [{"name": name, "size": len(content), "sha256": sha256[name]} for name, content in rest.items()]
    text = json.dumps(manifest).encode()
    first = {
        package.MANIFEST: text,
        package.SIGNATURE: key.sign_bytes(package.SIGNED_PREFIX + text).encode() + b"\n",
        package.PUBLIC_KEY: key.public.encode() + b"\n",
    }
    return packed(first | rest)


def test_what_a_package_has(made: Package, tmp_path: Path) -> None:
    names = [*("manifest.json", "manifest.sig", "public_key.txt", "README.txt", "call.vcon.json", "audit.json")]
    assert list(made.files) == [*names, "audio/001-pbx1-1-1.ogg", "audio/002-pbx1-1-2.ogg"]
    lines = check(made.content, tmp_path)
    assert is_genuine(lines)
    assert [line.verdict for line in lines] == [Verdict.PROVEN, Verdict.OPEN, *[Verdict.PROVEN] * 3, *[Verdict.OPEN] * 4]
    assert fingerprint(made.key.public) in lines[1].text
    assert to_text(lines).endswith("the package is genuine if the key is")
    assert packed(made.files) == made.content


def test_the_call_as_vcon(made: Package) -> None:
    document = json.loads(made.files["call.vcon.json"])
    assert (document["vcon"], document["created_at"], len(document["uuid"])) == ("0.4.0", "2026-11-29T07:00:00.000+00:00", 36)
    assert [party.get("name") for party in document["parties"]] == [None, "Петров П.П.", "421"]
    first, second = document["dialog"]
    assert (first["type"], first["parties"], first["duration"], first["mediatype"]) == ("recording", [0, 1], 0.4, "audio/ogg")
    assert (second["parties"], second["filename"]) == ([0, 2], "audio/002-pbx1-1-2.ogg")
    assert first["content_hash"].startswith("sha512-")
    details = json.loads(document["attachments"][0]["body"])
    assert (details["id"], details["recording"]["state"], len(details["path"])) == (ID, "ready", 4)


@pytest.mark.parametrize(
    ("key", "verdict"),
    [
        (lambda key: key.public, Verdict.PROVEN),
        (lambda key: fingerprint(key.public), Verdict.PROVEN),
        (lambda key: "SHA256:" + "A" * 43, Verdict.DIFFERS),
    ],
    ids=["the key", "its fingerprint", "another"],
)
def test_the_expected_key(made: Package, tmp_path: Path, key: Callable[[AuditKey], str], verdict: Verdict) -> None:
    assert check(made.content, tmp_path, key(made.key))[1].verdict is verdict


def test_each_altered_byte_is_found(made: Package, tmp_path: Path) -> None:
    """Every byte of headers and documents, and some of the audio, once with each of some bits."""
    chance = random.Random(11)  # noqa: S311 (no secret)
    audio = {name for name in made.files if name.startswith("audio/")}
    places = set(range(len(made.content)))
    for name in audio:
        begin = made.content.index(made.files[name])
        inside = range(begin, begin + len(made.files[name]))
        places -= set(inside) - set(chance.sample(inside, 20))
    for place in sorted(chance.sample(sorted(places), 700)):
        content = bytearray(made.content)
        content[place] ^= 1 << chance.randrange(8)
        assert not is_genuine(check(bytes(content), tmp_path)), place


def test_each_cut_and_each_addition_is_found(made: Package, tmp_path: Path) -> None:
    chance = random.Random(12)  # noqa: S311 (no secret)
    for place in chance.sample(range(len(made.content)), 100):
        assert not is_genuine(check(made.content[:place], tmp_path)), place
        assert not is_genuine(check(made.content[:place] + b"\0" + made.content[place:], tmp_path)), place
    for added in (b"\0", made.content):
        assert not is_genuine(check(made.content + added, tmp_path))
        assert not is_genuine(check(added + made.content, tmp_path))


def without(files: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {each: content for each, content in files.items() if each != name}


def edited(files: dict[str, bytes], name: str, change: Callable[[dict[str, object]], object]) -> dict[str, bytes]:
    document = json.loads(files[name])
    change(document)
    return files | {name: json.dumps(document).encode()}


AUDIO = "audio/001-pbx1-1-1.ogg"
# Packages of somebody without the key, and what the check says of them.
WITHOUT_KEY: list[tuple[str, Callable[[dict[str, bytes]], dict[str, bytes]], str]] = [
    ("a file less", lambda files: without(files, AUDIO), f"{AUDIO} is missing"),
    ("a file more", lambda files: files | {"more.txt": b"x"}, "more.txt is not in the manifest"),
    ("other audio", lambda files: files | {AUDIO: files[AUDIO] + b"x"}, f"{AUDIO} is not the file that was signed"),
    ("other order", lambda files: dict(list(files.items())[:6] + list(files.items())[:5:-1]), "another order"),
    ("another manifest", lambda files: edited(files, "manifest.json", lambda all: all.update(domain="x")), "do not fit together"),
    ("no manifest", lambda files: without(files, "manifest.json"), "no signed manifest"),
    ("no signature", lambda files: without(files, "manifest.sig"), "no signed manifest"),
    ("another signature", lambda files: files | {"manifest.sig": b"AA==\n"}, "do not fit together"),
    ("no base64", lambda files: files | {"manifest.sig": b"!\n"}, "no line of base64"),
    ("other base64", lambda files: files | {"manifest.sig": files["manifest.sig"] + b"\n"}, "no line of base64"),
    ("a manifest that is no JSON", lambda files: files | {"manifest.json": b"[" * 100_000}, "cannot be read"),
    ("a manifest that is a list", lambda files: files | {"manifest.json": b"[]"}, "cannot be read"),
    ("a key twice", lambda files: files | {"manifest.json": b'{"format": 1, "format": 2}'}, "cannot be read"),
    ("another format", lambda files: edited(files, "manifest.json", lambda all: all.update(format="2")), "newer Fonoteka"),
]


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in WITHOUT_KEY], ids=[row[0] for row in WITHOUT_KEY])
def test_a_package_of_somebody_without_the_key(
    made: Package, tmp_path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]], said: str
) -> None:
    lines = check(packed(change(made.files)), tmp_path)
    assert not is_genuine(lines)
    assert any(line.verdict is Verdict.DIFFERS and said in line.text for line in lines), to_text(lines)
    assert to_text(lines).endswith("the package is NOT as it was signed")


def entry(place: int, **values: object) -> Callable[[dict[str, object]], None]:
    return lambda document: document["entries"][place].update(values)  # type: ignore[index]


# Packages of somebody with another key, which the fingerprint shows. The rest must fit.
WITH_A_KEY: list[tuple[str, Callable[[dict[str, bytes]], dict[str, bytes]], str]] = [
    ("an entry by another", lambda files: edited(files, "audit.json", entry(0, login="x")), "do not have the hash"),
    ("an entry of another call", lambda files: edited(files, "audit.json", entry(0, subject="x")), "do not have the hash"),
    ("an entry that is none", lambda files: edited(files, "audit.json", entry(0, seq=None)), "do not have the hash"),
    ("an entry of no time", lambda files: edited(files, "audit.json", entry(0, at_ms=10**30)), "cannot be read"),
    (
        "an entry of another head",
        lambda files: edited(files, "audit.json", lambda all: all.update(domain="x")),
        "the head of the journal",
    ),
    ("no entries", lambda files: edited(files, "audit.json", lambda all: all.pop("entries")), "cannot be read"),
    ("another recording in the call", lambda files: files | {AUDIO: b"x"}, "names other recordings"),
    ("a dialog less", lambda files: edited(files, "call.vcon.json", lambda all: all["dialog"].pop()), "names other recordings"),  # type: ignore[attr-defined]
    ("no dialogs", lambda files: edited(files, "call.vcon.json", lambda all: all.pop("dialog")), "cannot be read"),
]


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in WITH_A_KEY], ids=[row[0] for row in WITH_A_KEY])
def test_a_package_that_is_signed_and_does_not_fit(
    made: Package, tmp_path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]], said: str
) -> None:
    other = AuditKey.load(tmp_path / "other.key")
    lines = check(signed(change(made.files), other), tmp_path)
    assert not is_genuine(lines)
    assert any(line.verdict is Verdict.DIFFERS and said in line.text for line in lines), to_text(lines)


def zipped(content: bytes) -> bytes:
    """Make a compressed ZIP, as other programs do."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", content)
    return file.getvalue()


def header(
    name: bytes = b"manifest.json", *, flags: int = 0, method: int = 0, packed_size: int = 2, size: int = 2, extra: int = 0
) -> bytes:
    return struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, flags, method, 0, 33, 0, packed_size, size, len(name), extra) + name


HOSTILE: list[tuple[str, Callable[[], bytes], str]] = [
    ("an empty file", lambda: b"", "no evidence package"),
    ("no ZIP", lambda: b"%PDF-1.7" + bytes(100), "no evidence package"),
    ("a bomb", lambda: zipped(bytes(10_000_000)), "compressed"),
    ("other sizes", lambda: header(packed_size=1, size=2**31), "compressed"),
    ("an encrypted file", lambda: header(flags=1), "encrypted"),
    ("a huge document", lambda: header(packed_size=2**32 - 1, size=2**32 - 1), "no evidence package has such a document"),
    ("a huge recording", lambda: header(b"audio/x", packed_size=2**32 - 1, size=2**32 - 1), "ends in the middle"),
    ("an absolute path", lambda: header(b"/etc/passwd"), "no such names"),
    ("a path upwards", lambda: header(b"../../x"), "no such names"),
    ("a path upwards inside", lambda: header(b"audio/../x"), "no such names"),
    ("a path of Windows", lambda: header(b"C:\\x"), "no such names"),
    ("a hidden file", lambda: header(b".bashrc"), "no such names"),
    ("a name with controls", lambda: header(b"\x1b[2J"), "no such names"),
    ("a name of 65535 letters", lambda: header(b"x" * 65535), "no such names"),
    ("fields beside the name", lambda: header(extra=4), "fields that"),
    ("a name twice", lambda: packed({"x": b""})[:31] * 2, "a second file"),
    ("1,101 files", lambda: packed({f"x{place}": b"" for place in range(1101)}), "more than 1100 files"),
    ("only a directory", lambda: directory([]), "no evidence package"),
]


@pytest.mark.parametrize(("content", "said"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_hostile_files_are_refused(tmp_path: Path, content: Callable[[], bytes], said: str) -> None:
    (line,) = check(content(), tmp_path)
    assert (line.verdict, said in line.text) == (Verdict.DIFFERS, True), line.text
    assert to_text([line]).replace("\n", "").isprintable()
    assert list(tmp_path.iterdir()) == [tmp_path / "evidence.zip"], "nothing is unpacked"


def test_only_documents_of_limited_size_are_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_MOST_IN_MEMORY", 1000)
    (line,) = check(packed({package.MANIFEST: bytes(600), package.SIGNATURE: bytes(600)}), tmp_path)
    assert "no evidence package has such a document" in line.text
    (line,) = check(packed({f"other{place}": bytes(900) for place in range(9)}), tmp_path)
    assert "there is no signed manifest" in line.text


def test_the_command_needs_no_configuration(made: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fonoteka.toml").write_text("broken")
    file, altered = tmp_path / "evidence.zip", tmp_path / "altered.zip"
    file.write_bytes(made.content)
    altered.write_bytes(made.content[:-1])
    (tmp_path / "key.txt").write_bytes(made.files["public_key.txt"])
    for arguments, code in (
        ([str(file)], 0),
        ([str(file), "--key", "key.txt"], 0),
        ([str(file), "--key", "x"], 1),
        ([str(altered)], 1),
    ):
        assert app(["evidence", "verify", *arguments], standalone_mode=False) == code, arguments
