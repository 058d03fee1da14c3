"""The audio of calls that a scope may hear."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from fonoteka.core.manifest import AudioFormat, Layout
from store.database.schema import HAS_AUDIO, calls, segments
from store.database.store import Store
from store.intake.one_sound import Sound, Stretch, one_sound
from store.selection.scope import Scope, visible_calls, visible_calls_by_key, visible_segments


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAudio:
    """The audio of one segment, as the index has it.

    `peaks_sha256` is of peaks that were made again; None: the key has a digest of the peaks. Plain
    content in the place of an object that is `encrypted` is refused.
    """

    segment: str
    user: str
    started_at: datetime
    object_key: str
    sha256: str
    size_bytes: int
    peaks_sha256: str | None
    format: AudioFormat
    layout: Layout
    rate_hz: int
    duration_ms: int
    encrypted: bool


async def audio_of(store: Store, scope: Scope, public_id: str) -> tuple[StoredAudio, ...]:
    """Return the audio of a call that the scope may hear, in the order of its beginning."""
    visible = visible_calls(scope)
    source = visible.source.join(segments, segments.c.call_id == calls.c.id)
    query = select(segments).select_from(source).where(visible.condition, calls.c.public_id == public_id)
    query = query.where(visible_segments(scope), HAS_AUDIO)
    async with store.reading() as connection:
        rows = (await connection.execute(query.order_by(segments.c.started_at, segments.c.name))).all()
    return tuple(stored_audio(row) for row in rows)


async def audio_of_calls(store: Store, scope: Scope, call_ids: Sequence[int]) -> dict[int, tuple[StoredAudio, ...]]:
    """Return the audio of many calls by key, without the calls that have none for the scope."""
    visible = visible_calls_by_key(scope, call_ids)
    source = visible.source.join(segments, segments.c.call_id == calls.c.id)
    query = select(segments).select_from(source).where(visible.condition, visible_segments(scope), HAS_AUDIO)
    audio: dict[int, tuple[StoredAudio, ...]] = {}
    async with store.reading() as connection:
        for row in await connection.execute(query.order_by(segments.c.started_at, segments.c.name)):
            audio[row.call_id] = (*audio.get(row.call_id, ()), stored_audio(row))
    return audio


def sound_of(parts: Sequence[StoredAudio]) -> Sound:
    """Return the sound of a call's audio, in which each moment is heard once."""
    return one_sound([Stretch(user=part.user, started_at=part.started_at, duration_ms=part.duration_ms) for part in parts])


def stored_audio(row: Row[Any]) -> StoredAudio:
    """Read a row of `segments` that has audio."""
    return StoredAudio(
        segment=row.name,
        user=row.user,
        started_at=row.started_at,
        object_key=row.object_key,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        peaks_sha256=row.peaks_sha256,
        format=AudioFormat(row.format),
        layout=Layout(row.layout),
        rate_hz=row.rate_hz,
        duration_ms=row.duration_ms,
        encrypted=row.key_version is not None,
    )
