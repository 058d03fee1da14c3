"""Watch the disk of a folder: keep what was free in the last day, tell the operator of changes.

The samples are in a file, so that they outlive the process, serve `fonoteka doctor`, and several
APIs with one folder send one letter.
"""

import asyncio
import json
import math
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Final

import structlog

from fonoteka.core.atomic_file import write_atomically
from fonoteka.core.config import MailSection, PbxSection
from fonoteka.core.disk_forecast import DiskState, Forecast, Sample, forecast, state_of
from fonoteka.core.errors import MailError
from fonoteka.core.mail import connected, send
from fonoteka.core.plain_file import read_plain

LOOK_EVERY_S: Final = 60.0
_SAMPLE_EVERY_S: Final = 300.0
_KEPT_S: Final = 24 * 3600.0
_WORDS: Final = {
    DiskState.OK: ("места снова достаточно", "has enough space again"),
    DiskState.LOW: ("место заканчивается", "is filling up"),
    DiskState.FULL: ("заполнен", "is full"),
}
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskLook:
    """A disk at a moment. `reported` is the state in the last letter to the operator."""

    folder: Path
    free_bytes: int
    hours: Forecast
    state: DiskState
    reported: DiskState

    def __str__(self) -> str:
        by = [
            f"{left:.0f} hours at the rate of {rate}"
            for left, rate in zip(self.hours, ("the last day", "the busiest hour"), strict=True)
            if math.isfinite(left)
        ]
        return f"{self.free_bytes / 1e9:.1f} GB free{', enough for ' if by else ''}{', '.join(by)}"


class DiskWatch:
    """The disk of `folder`; `samples` is the file of what was free."""

    def __init__(self, folder: Path, samples: Path, *, floor_bytes: int) -> None:
        self.folder, self._file, self.floor_bytes = folder, samples, floor_bytes
        self._samples, self._reported = list[Sample](), DiskState.OK
        self._is_written = True

    def look(self, now: float | None = None) -> DiskLook:
        """Look at the disk. Raises OSError if the folder is gone."""
        at, free_bytes = time.time() if now is None else now, shutil.disk_usage(self.folder).free
        self._read()
        # A clock that was set back makes samples of the future.
        samples = [sample for sample in self._samples if 0 <= at - sample.at <= _KEPT_S]
        hours = forecast([*samples, Sample(at, free_bytes)])
        state = state_of(free_bytes, self.floor_bytes, hours, self._reported)
        return DiskLook(folder=self.folder, free_bytes=free_bytes, hours=hours, state=state, reported=self._reported)

    def keep(self, look: DiskLook, now: float | None = None) -> None:
        """Add a look to the samples, at most every five minutes."""
        at = time.time() if now is None else now
        self._samples = [sample for sample in self._samples if 0 <= at - sample.at <= _KEPT_S]
        if not self._samples or at - self._samples[-1].at >= _SAMPLE_EVERY_S:
            self._samples.append(Sample(at, look.free_bytes))
            self._write()

    def note_reported(self, state: DiskState) -> None:
        """Note that a state was reported to the operator."""
        self._reported = state
        self._write()

    def _read(self) -> None:
        """Read the file; a missing or damaged one changes nothing, nor one that is out of date."""
        if not self._is_written:
            return
        with suppress(OSError, ValueError, TypeError, KeyError):
            document = json.loads(read_plain(self._file))
            samples = [Sample(float(at), int(free)) for at, free in document["samples"]]
            self._samples, self._reported = samples, DiskState(document["reported"])

    def _write(self) -> None:
        document = {"reported": self._reported, "samples": self._samples}
        try:
            write_atomically(self._file, json.dumps(document).encode(), sync=False)
        except OSError:  # a full disk: what this process knows is enough
            self._is_written = False
        else:
            self._is_written = True


def of_spool(pbx: PbxSection) -> DiskWatch:
    """Return the watch of the disk of the spool."""
    spool = pbx.spool.absolute()
    return DiskWatch(spool, spool / "disk.json", floor_bytes=pbx.least_free_mb * 10**6)


def of_objects(folder: Path, *, floor_bytes: int) -> DiskWatch:
    """Return the watch of the disk of the recordings."""
    return DiskWatch(folder, folder.with_name(f"{folder.name}-disk.json"), floor_bytes=floor_bytes)


async def follow(watch: DiskWatch, mail: MailSection, report: Callable[[DiskLook], None]) -> None:
    """Look each minute until cancelled; log each change of the state, and send one letter.

    A letter that cannot be sent is sent with the next look. Raises OSError; may be run again.
    """
    logged = DiskState.OK
    while True:
        look = await asyncio.to_thread(watch.look)
        await asyncio.to_thread(watch.keep, look)
        report(look)
        if look.state is not logged:
            _log_state(look)
            logged = look.state
        if look.state is not look.reported:
            await _report(watch, mail, look)
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # asyncio.wait_for of Python 3.11, in aiosmtplib, may swallow it
        await asyncio.sleep(LOOK_EVERY_S)


def _log_state(look: DiskLook) -> None:
    if look.state is DiskState.OK:
        _log.info("disk.has_space", folder=str(look.folder), free=str(look))
    else:
        _log.warning("disk.fills", folder=str(look.folder), state=look.state, reason=str(look))


async def _report(watch: DiskWatch, mail: MailSection, look: DiskLook) -> None:
    if mail.smtp is not None and mail.operator:
        assert mail.from_address is not None
        try:
            async with connected(mail) as client:
                await send(client, _letter(mail.from_address, mail.operator, look), mail.from_address, mail.operator)
        except MailError as error:
            _log.error("disk.letter_not_sent", reason=str(error))
            return
    await asyncio.to_thread(watch.note_reported, look.state)


def _letter(sender: str, recipients: tuple[str, ...], look: DiskLook) -> EmailMessage:
    mail, host, (russian, english) = EmailMessage(policy=SMTP.clone(cte_type="7bit")), socket.gethostname(), _WORDS[look.state]
    mail["Subject"] = f"Fonoteka: диск {russian} ({host})"
    mail["From"] = f"Fonoteka <{sender}>"
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    mail.set_content(f"{host}: диск каталога {look.folder}: {russian}.\n\n{host}: the disk of {look.folder} {english}: {look}.\n")
    return mail
