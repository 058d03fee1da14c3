"""`fonoteka verify`: compare the index with objects, audit and counters, and mend it."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fonoteka.core.config import Configuration
from fonoteka.core.errors import StoreError
from mixer.peaks import PeakMeter
from mixer.speech import SpeechMeter
from store.audit.signing import AuditKey, key_file
from store.database.store import Store
from store.integrity.findings import Finding
from store.integrity.verification import LoggedHeads, Report, verified
from store.queries.audio import StoredAudio

_CONTAINERS: Final = {"opus": "ogg", "mp3": "mp3", "flac": "flac", "wav": "wav"}
_RATE_HZ: Final = 8000
_WORDS: Final = {
    "objects": "recordings",
    "files": "files in the folder",
    "counters": "months of counters",
    "chains": "domains' journals",
    "heads": "logged heads",
}


async def verify(configuration: Configuration, *, fix: bool, heads: Path | None) -> Report:
    """Check the store. Raises ConfigurationError and StoreError."""
    os.nice(19)  # calls come first
    store = await Store.open(configuration.store)
    try:
        logged = None
        if heads is not None:
            key = AuditKey.load(key_file(configuration.store.audit_key, store.objects.workspace))
            logged = LoggedHeads(log=heads, key=key.public)
        with _progress() as progress:
            return await verified(store, make_peaks=peaks_of if fix else None, heads=logged, progress=progress)
    finally:
        await store.close()


def to_json(report: Report) -> str:
    """Return the report as JSON."""
    return json.dumps(report.document(), ensure_ascii=False, indent=2)


def to_text(report: Report) -> str:
    """Return the report as lines."""
    looked_at = [f"{report.looked_at.get(stage, 0)} {word}" for stage, word in _WORDS.items() if stage in report.looked_at]
    lines = [_line(finding) for finding in report.found]
    if report.continued:
        lines.insert(0, "continued a check that did not end")
    mended = sum(finding.mended is not None for finding in report.found)
    result = f"{len(report.found)} found, {mended} of them mended" if report.found else "nothing is wrong"
    return "\n".join([*lines, f"{', '.join(looked_at)}: {result}"])


def _line(finding: Finding) -> str:
    where = f"{finding.domain}: {finding.subject}" if finding.domain else finding.subject
    mended = f" ({finding.mended})" if finding.mended else ""
    return f"{finding.kind.value:14} {where}: {finding.detail}{mended}"


@contextmanager
def _progress() -> Iterator[Any]:
    """Yield a function that shows progress on a terminal, and does nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as shown:
        tasks: dict[str, Any] = {}

        def show(stage: str, looked_at: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = shown.add_task(_WORDS[stage], total=total)
            shown.update(tasks[stage], completed=looked_at)

        yield show


def peaks_of(file: BinaryIO, audio: StoredAudio, tells_speech: bool) -> bytes:
    """Make the peaks file of a recording, as the mixer does. Raises StoreError.

    The audio was encoded meanwhile, so the peaks differ a little from the mixer's. In mono nobody
    can tell any more who spoke; nor where a leg was missing (`tells_speech` is False).
    """
    channels = 2 if audio.layout == "stereo" else 1
    tells_speech = tells_speech and channels == 2
    samples = max(1, audio.duration_ms * _RATE_HZ // 1000)
    meter = PeakMeter(samples=samples, rate_hz=_RATE_HZ, channels=channels)
    speakers = SpeechMeter(samples=samples, rate_hz=_RATE_HZ, per_second=meter.per_second)

    def measure(block: Any) -> None:
        meter.take(block)
        if tells_speech:
            speakers.take(block)

    block_samples, rest = _RATE_HZ * 2, np.zeros((0, channels), np.int16)
    try:
        for decoded in _decoded(file, audio):
            rest = np.concatenate([rest, decoded])
            while len(rest) >= block_samples and samples >= block_samples:
                measure(rest[:block_samples])
                rest, samples = rest[block_samples:], samples - block_samples
        if len(last := rest[:samples]):
            measure(last)
    except (av.FFmpegError, OSError) as error:
        raise StoreError(f"{audio.object_key} cannot be decoded: {error}") from error
    return meter.json(speakers.finish()[1] if tells_speech else "").encode()


def _decoded(file: BinaryIO, audio: StoredAudio) -> Iterator[Any]:
    """Yield blocks of shape (n, channels)."""
    resampler = av.AudioResampler(format="s16", layout=audio.layout.value, rate=_RATE_HZ)
    channels = 2 if audio.layout == "stereo" else 1
    with av.open(file, "r", format=_CONTAINERS[audio.format]) as container:
        for frame in container.decode(audio=0):
            for block in resampler.resample(frame):
                yield block.to_ndarray().reshape(-1, channels)
    for block in resampler.resample(None):
        yield block.to_ndarray().reshape(-1, channels)
