"""`fonoteka verify`: what differs is found and named, nothing else is; what can be mended is."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest
import structlog
from sqlalchemy import select, text, update

from fonoteka.cli.verify import peaks_of, to_json, to_text
from fonoteka.core.call_report import Reason
from fonoteka.core.config import StoreSection
from fonoteka.core.errors import AudioStored, StoreError
from fonoteka.core.naming import call_id, peaks_key
from store.audit.chain import head_of
from store.audit.signing import AuditKey
from store.audit.write import OPERATOR
from store.database.schema import audit, calls, participants, segments
from store.database.store import Store
from store.intake.intake import upsert_calls
from store.integrity.findings import Finding, Kind
from store.integrity.intact import IntactObjects
from store.integrity.mend import mend
from store.integrity.verification import LoggedHeads, Report, verified
from store.objects.set_aside import SET_ASIDE
from store.people.accounts import Pbx
from store.queries.audio import audio_of
from store.retention.legal_hold import set_legal_hold
from store.selection.scope import Scope
from tests.data import seed
from tests.support.stored_objects import objects_folder

BEGIN = datetime(2026, 10, 31, 16, 40, tzinfo=UTC)  # the calls of two months, by the domain's clock
LENGTHS_MS = (900, 1100, 1300, 300, 320, 340, 360)


@pytest.fixture
async def keys(store: Store, pbx: Pbx) -> list[str]:
    """The object keys of three recorded calls; their files are old."""
    for number, length_ms in enumerate(LENGTHS_MS):
        call = seed.a_call(number, BEGIN + timedelta(minutes=15 * number))
        await upsert_calls(store, pbx, [call])
        await seed.ship(store, pbx, call, (length_ms,))
    async with store.reading() as connection:
        keys = list((await connection.execute(select(segments.c.object_key).order_by(segments.c.id))).scalars())
    age(store)
    return keys


ON_SQLITE = pytest.mark.parametrize("section", ["sqlite"], indirect=True)  # the index plays no part


def age(store: Store) -> None:
    """Make all files older than any upload."""
    old = time.time() - 7200
    for path in objects_folder(store).root.rglob("*"):
        os.utime(path, (old, old))


def public_id(number: int) -> str:
    return call_id("pbx1", seed.a_call(number, BEGIN).linkedid)


def kinds(report: Report) -> list[tuple[Kind, str, str]]:
    return [(finding.kind, finding.domain, finding.subject) for finding in report.found]


async def execute(store: Store, statement: str) -> None:
    async with store.writing() as connection:
        for part in statement.split(";"):
            await connection.execute(text(part))


def altered(path: Path) -> None:
    """Change one bit; size and times stay."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


Damage = Callable[[Store, Sequence[str]], Awaitable[None] | None]


def on_path(place: int, change: Callable[[Path], object], *, peaks: bool = False) -> Damage:
    def damage(store: Store, keys: Sequence[str]) -> None:
        change(objects_folder(store).path(peaks_key(keys[place]) if peaks else keys[place]))

    return damage


def stray(name: str, *, old: bool = True) -> Damage:
    def damage(store: Store, keys: Sequence[str]) -> None:
        path = objects_folder(store).path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        if old:
            os.utime(path, (0, 0))

    return damage


def by_sql(statement: str) -> Damage:
    return lambda store, keys: execute(store, statement)


def in_audit(statement: str) -> Damage:
    async def damage(store: Store, keys: Sequence[str]) -> None:
        await set_legal_hold(store, Scope(domain_id=1, login=None), public_id(0), legal_hold=False, why="x", by=OPERATOR, now=BEGIN)
        if store.engine.dialect.name == "postgresql":
            await execute(store, "ALTER TABLE audit DISABLE TRIGGER ALL")
        else:
            async with store.writing() as connection:
                names = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
                for name in (await connection.execute(text(names))).scalars().all():
                    await connection.execute(text(f"DROP TRIGGER {name}"))
        await execute(store, statement)

    return damage


def of(kind: Kind, *places: int) -> list[tuple[Kind, str, str]]:
    return [(kind, "acme", public_id(place)) for place in places]


STRAY = "pbx1/2026/10/31/x.opus"
BOTH_MONTHS = [(Kind.COUNTERS, "acme", "2026-10"), (Kind.COUNTERS, "acme", "2026-11")]
# What happens to the store, and what the check says. It mends the first ones, one after another;
# the last ones cannot be mended.
MENDED: list[tuple[str, Damage, list[tuple[Kind, str, str]]]] = [
    ("nothing", by_sql("SELECT 1"), []),
    ("an object is gone", on_path(1, Path.unlink), of(Kind.MISSING, 1)),
    ("the peaks are gone", on_path(2, Path.unlink, peaks=True), of(Kind.PEAKS_MISSING, 2)),
    ("the peaks are others", on_path(3, altered, peaks=True), of(Kind.PEAKS_ALTERED, 3)),
    ("peaks made again are others", on_path(3, altered, peaks=True), of(Kind.PEAKS_ALTERED, 3)),
    ("an old file that no row names", stray(STRAY), [(Kind.ORPHANED, "", STRAY)]),
    ("an old file at the top", stray("x"), [(Kind.ORPHANED, "", "x")]),
    ("a file that is being uploaded", stray(STRAY, old=False), []),
    ("a draft", stray(".incoming/x"), []),
    ("counters of hours", by_sql("UPDATE hour_counters SET in_answered = in_answered + 1"), BOTH_MONTHS),
    ("a row of counters is gone", by_sql("DELETE FROM group_counters WHERE unit = 'month' AND start = 682"), BOTH_MONTHS[1:]),
    ("counters of another month", by_sql("UPDATE group_counters SET start = start - 12 WHERE unit = 'month' AND start = 682"),
     [(Kind.COUNTERS, "acme", "2025-11"), *BOTH_MONTHS[1:]]),
]  # fmt: skip
UNMENDED: list[tuple[str, Damage, list[tuple[Kind, str, str]]]] = [
    ("other bytes", on_path(4, altered), of(Kind.ALTERED, 4)),
    ("one byte more", on_path(5, longer), of(Kind.ALTERED, 4, 5)),
    ("no bytes", on_path(6, lambda path: path.write_bytes(b"")), of(Kind.ALTERED, 4, 5, 6)),
    ("an entry was changed", in_audit("UPDATE audit SET login = 'x' WHERE domain_id = 1 AND seq = 2"),
     [*of(Kind.ALTERED, 4, 5, 6), (Kind.CHAIN, "acme", "entry 2")]),
    ("an entry was deleted", in_audit("DELETE FROM audit WHERE domain_id = 1 AND seq = 5"),
     [*of(Kind.ALTERED, 4, 5, 6), (Kind.CHAIN, "acme", "entry 2"), (Kind.CHAIN, "acme", "entry 5")]),
]  # fmt: skip


CHANGES = ["recording_lost", "peaks_remade", "counters_recounted", "file_set_aside"]


async def changes(store: Store) -> list[tuple[str, str, dict[str, object]]]:
    """The audit's entries about what was mended, of all domains."""
    query = select(audit).where(audit.c.action.in_(CHANGES), audit.c.login == "").order_by(audit.c.domain_id, audit.c.seq)
    async with store.reading() as connection:
        return [(row.action, row.subject, row.detail) for row in await connection.execute(query)]


@pytest.mark.one_machine
async def test_the_audit_has_each_thing_that_was_mended(store: Store, keys: list[str]) -> None:
    """A plain file of no segment is of no known domain: the log has it."""
    objects_folder(store).path(peaks_key(keys[2])).unlink()
    copied = objects_folder(store).path(keys[3])
    old_name = copied.with_name("unknown.opus")
    old_name.write_bytes(copied.read_bytes())
    of_segment = objects_folder(store).path(keys[4]).with_name(f"{Path(keys[4]).name.partition('.')[0]}.other.opus")
    of_segment.write_bytes(b"plain")
    for path in (old_name, of_segment):
        os.utime(path, (0, 0))
    await execute(store, "DELETE FROM group_counters WHERE unit = 'month' AND start = 682")
    damage = stray("x")(store, keys)
    assert damage is None
    report = await verified(store, make_peaks=peaks_of)
    assert [finding.mended is not None for finding in report.found] == [True] * 5
    folder = Path(keys[3]).parent.as_posix()
    async with store.reading() as connection:
        name = (await connection.execute(select(segments.c.name).where(segments.c.object_key == keys[2]))).scalar()
    assert sorted(await changes(store), key=str) == sorted(
        [
            ("peaks_remade", public_id(2), {"segment": name}),
            ("file_set_aside", "", {"file": f"{folder}/unknown.opus"}),
            ("file_set_aside", "", {"file": f"{folder}/{of_segment.name}"}),
            ("counters_recounted", "2026-11", {"difference": report.found[-1].detail}),
        ],
        key=str,
    )
    assert await verified(store, make_peaks=peaks_of) and len(await changes(store)) == 4, "nothing is left to mend"


@pytest.mark.one_machine
async def test_what_differs_is_found_and_mended(store: Store, keys: list[str]) -> None:
    for name, damage, found in (*MENDED, *UNMENDED):
        if (done := damage(store, keys)) is not None:
            await done
        assert kinds(await verified(store)) == found, name
        report = await verified(store, make_peaks=peaks_of)
        left = found if (name, damage, found) in UNMENDED else []
        assert kinds(report) == found, name
        assert [each for each, finding in zip(found, report.found, strict=True) if finding.mended is None] == left, name
        assert kinds(await verified(store)) == left, name


@pytest.mark.one_machine
async def test_a_lost_recording_says_so_and_keeps_its_place(store: Store, pbx: Pbx, keys: list[str]) -> None:
    """Nothing is lost by the mending: the audit has the key, the index the SHA-256."""
    objects_folder(store).path(keys[1]).unlink()
    (finding,) = (await verified(store, make_peaks=peaks_of)).found
    assert finding.mended
    async with store.reading() as connection:
        states = select(calls.c.recording_state, calls.c.recording_reason, calls.c.recording_ms).order_by(calls.c.id)
        assert [tuple(row) for row in await connection.execute(states)][1] == ("failed", Reason.AUDIO_DAMAGED, None)
        of_user = select(participants.c.recording_state).where(participants.c.login == "152").order_by(participants.c.started_at)
        assert list((await connection.execute(of_user)).scalars()) == ["ready", "failed", *["ready"] * 5]
        entry = (await connection.execute(select(audit).where(audit.c.action == "recording_lost"))).one()
        row = (await connection.execute(select(segments).order_by(segments.c.id).offset(1))).first()
    assert (entry.subject, entry.login) == (public_id(1), "")
    assert row is not None and entry.detail == {"segment": row.name, "sha256": row.sha256, "object_key": keys[1], "reason": None}
    call = seed.a_call(1, BEGIN + timedelta(minutes=15))
    with pytest.raises(AudioStored):
        await seed.ship(store, pbx, call, (5000,))
    await seed.ship(store, pbx, call, (LENGTHS_MS[1],))
    assert objects_folder(store).path(keys[1]).exists()
    assert (await verified(store)).found == ()


@ON_SQLITE
async def test_a_held_call_is_not_changed(store: Store, keys: list[str]) -> None:
    scope = Scope(domain_id=1, login=None)
    await set_legal_hold(store, scope, public_id(1), legal_hold=True, why="", by=OPERATOR, now=BEGIN)
    objects_folder(store).path(keys[1]).unlink()
    for _ in range(2):
        (finding,) = (await verified(store, make_peaks=peaks_of)).found
        assert (finding.kind, finding.mended) == (Kind.MISSING, None)


@ON_SQLITE
async def test_recordings_of_a_removed_domain_are_not_damaged(store: Store, keys: list[str]) -> None:
    """The removal of a domain destroys its keys: that nobody can read them any longer is right."""
    async with store.writing() as connection:
        await connection.execute(update(segments).values(key_version=1))
        await connection.execute(text("DELETE FROM domain_keys WHERE domain_id = 1"))
        await connection.execute(text("UPDATE domains SET removed_at = 1 WHERE id = 1"))
    assert (await verified(store)).found == ()


@ON_SQLITE
async def test_orphans_are_set_aside_and_nothing_is_overwritten(store: Store, keys: list[str]) -> None:
    for content in (b"first", b"second"):
        path = objects_folder(store).path("pbx1/x.opus")
        path.write_bytes(content)
        os.utime(path, (0, 0))
        assert len((await verified(store, make_peaks=peaks_of)).found) == 1
    aside = objects_folder(store).root / SET_ASIDE / "pbx1"
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == {"x.opus": b"first", "x.opus~": b"second"}


@ON_SQLITE
async def test_peaks_made_again_are_like_those_of_the_mixer(store: Store, keys: list[str]) -> None:
    objects_folder(store).path(peaks_key(keys[2])).unlink()
    assert len((await verified(store, make_peaks=peaks_of)).found) == 1
    after = json.loads(await store.objects.read(peaks_key(keys[2])))
    assert (after["per_second"], len(after["left"]), len(after["right"])) == (20, 26, 26)
    assert max(after["left"]) > 50


@ON_SQLITE
async def test_without_the_folder_nothing_is_missing(store: Store, keys: list[str]) -> None:
    """A disk that is not mounted is one error, not thousands of findings, and nothing is mended."""
    objects_folder(store).root.rename(objects_folder(store).root.with_name("unmounted"))
    with pytest.raises(StoreError, match="is its disk mounted"):
        await verified(store, make_peaks=peaks_of)


@ON_SQLITE
async def test_signed_heads_of_the_log(store: Store, keys: list[str], tmp_path: Path) -> None:
    key = AuditKey.load(tmp_path / "audit.key")
    async with store.reading() as connection:
        signed = key.sign("acme", await head_of(connection, 1), BEGIN)
    line = structlog.processors.LogfmtRenderer()(
        None,
        "",
        {
            "event": "audit.head",
            "domain": signed.domain,
            "entries": signed.head.seq,
            "hash": signed.head.hash,
            "at": BEGIN.isoformat(),
            "key": signed.key,
            "signature": signed.signature,
        },
    )
    assert isinstance(line, str)
    number, of_chain = f"entries={signed.head.seq}", signed.head.hash
    log = tmp_path / "api.log"
    lines = [
        (line, None),
        ("event=request.failed it's broken", None),
        (line.replace(number, "entries=9999"), "not of its key"),
        (line.replace(of_chain, "0" * 64), "not of its key"),
        (line.replace(number, "entries=x"), "cannot be read"),
    ]
    log.write_text("".join(f"{each}\n" for each, _ in lines))
    report = await verified(store, heads=LoggedHeads(log=log, key=key.public))
    assert [finding.kind for finding in report.found] == [Kind.HEAD] * 3
    for finding, expected in zip(report.found, [wrong for _, wrong in lines if wrong], strict=True):
        assert expected in finding.detail
    other = AuditKey.load(tmp_path / "other.key")
    log.write_text(line)
    (finding,) = (await verified(store, heads=LoggedHeads(log=log, key=other.public))).found
    assert "another key" in finding.detail
    async with store.reading() as connection:
        later = replace(await head_of(connection, 1), seq=signed.head.seq + 1)
    gone = key.sign("acme", later, BEGIN)
    log.write_text(line.replace(number, f"entries={later.seq}").replace(signed.signature, gone.signature))
    (finding,) = (await verified(store, heads=LoggedHeads(log=log, key=key.public))).found
    assert "has it no longer" in finding.detail


@ON_SQLITE
async def test_the_report_in_words_and_as_json(store: Store, keys: list[str]) -> None:
    objects_folder(store).path(keys[1]).unlink()
    report = await verified(store)
    assert to_text(report).splitlines() == [
        f"missing        acme: {public_id(1)}: object {keys[1]} does not exist",
        "7 recordings, 13 files in the folder, 2 months of counters, 2 domains' journals: 1 found, 0 of them mended",
    ]
    (finding,) = json.loads(to_json(report))["findings"]
    assert (finding["kind"], finding["domain"], finding["subject"], finding["mended"]) == ("missing", "acme", public_id(1), None)


@ON_SQLITE
async def test_a_check_that_was_killed_is_continued(store: Store, keys: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that ends at any step is continued there, and finds the same in the end."""
    objects_folder(store).path(keys[0]).unlink()
    altered(objects_folder(store).path(keys[2]))
    await execute(store, "DELETE FROM group_counters WHERE kind = 'user'")
    expected = kinds(await verified(store))
    assert len(expected) == 4
    monkeypatch.setattr("store.integrity.checkpoint._EACH_S", 0.0)
    steps = 0

    def dies(stage: str, looked_at: int, total: int | None) -> None:
        nonlocal steps
        steps += 1
        if steps == 5:
            steps = 0
            raise KeyboardInterrupt

    runs = 0
    while True:
        runs += 1
        try:
            report = await verified(store, progress=dies)
            break
        except KeyboardInterrupt:
            assert runs < 20
    assert runs > 2
    assert (kinds(report), report.continued) == (expected, True)
    assert report.looked_at["objects"] == 7
    assert (await verified(store)).continued is False


VERIFY = """
import asyncio, sys
from fonoteka.core.config import StoreSection
from store.database.store import Store
from store.integrity import checkpoint
from store.integrity.verification import verified
from fonoteka.cli.verify import peaks_of, to_text
checkpoint._EACH_S = 0.0
def show(stage, looked_at, total):
    print(stage, looked_at, flush=True)
async def main():
    store = await Store.open(StoreSection(database=sys.argv[1], objects=sys.argv[2]))
    print(to_text(await verified(store, make_peaks=peaks_of, progress=show)), flush=True)
    await store.close()
asyncio.run(main())
"""


@ON_SQLITE
async def test_kill_9_of_a_check_that_mends(store: Store, section: StoreSection, keys: list[str]) -> None:
    objects_folder(store).path(keys[0]).unlink()
    objects_folder(store).path(peaks_key(keys[1])).unlink()
    stray_file = objects_folder(store).path("pbx1/stray")
    stray_file.write_bytes(b"x")
    os.utime(stray_file, (0, 0))
    command = [sys.executable, "-c", VERIFY, section.database, section.objects]
    killed = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert killed.stdout is not None
    for _ in range(12):  # in the middle of the check
        await killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    again = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert b"continued a check" in (await again.communicate())[0]
    report = await verified(store)
    assert report.found == ()
    assert (objects_folder(store).root / SET_ASIDE / "pbx1/stray").read_bytes() == b"x"


@pytest.mark.one_machine
async def test_the_check_runs_while_calls_arrive(store: Store, pbx: Pbx, keys: list[str]) -> None:
    """No counter and no object of a call that arrives meanwhile is reported."""
    stop = asyncio.Event()

    async def arriving() -> None:
        number = 10
        while not stop.is_set():
            call = seed.a_call(number, BEGIN + timedelta(minutes=number))
            await upsert_calls(store, pbx, [call])
            await seed.ship(store, pbx, call, (300,))
            number += 1

    task = asyncio.create_task(arriving())
    try:
        for _ in range(3):
            report = await verified(store, progress=lambda *_: None)
            assert report.found == ()
            await asyncio.sleep(0)
    finally:
        stop.set()
        await task


@ON_SQLITE
async def test_a_verdict_is_remembered_until_the_file_changes(
    store: Store, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def digest(file: BinaryIO, algorithm: str) -> object:
        read.append(algorithm)
        return hashlib.sha256(file.read())

    monkeypatch.setattr(hashlib, "file_digest", digest)
    (audio,) = await audio_of(store, Scope(domain_id=1, login=None), public_id(0))
    objects = IntactObjects(store.objects)
    for _ in range(3):
        await objects.check(audio)
    assert len(read) == 1
    altered(objects_folder(store).path(keys[0]))
    with pytest.raises(StoreError, match="was altered"):
        await objects.check(audio)


@ON_SQLITE
async def test_a_file_that_is_there_again_is_not_lost(store: Store, keys: list[str]) -> None:
    async with store.reading() as connection:
        segment = (await connection.execute(select(segments.c.id).order_by(segments.c.id))).scalars().first()
    assert segment is not None
    missing = Finding(kind=Kind.MISSING, domain="acme", subject=public_id(0), detail="", key=(segment,))
    assert await mend(store, missing, peaks_of) is None
    assert (await verified(store)).found == ()


@ON_SQLITE
async def test_a_file_that_has_a_row_or_is_young_is_not_set_aside(store: Store, keys: list[str]) -> None:
    young = f"{keys[0]}.young"
    objects_folder(store).path(young).write_bytes(b"of an upload")
    for key in (keys[0], peaks_key(keys[0]), young):
        orphan = Finding(kind=Kind.ORPHANED, domain="", subject=key, detail="", key=(key,))
        assert await mend(store, orphan, peaks_of) is None
        assert objects_folder(store).path(key).exists()
