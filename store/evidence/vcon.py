"""A call as a vCon document (draft-ietf-vcon-vcon-core-04, JSON, unsigned form). Pure.

The audio is in the package: a dialog names it by `filename` and `content_hash`, without a `url`.
"""

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fonoteka.core.call_report import Direction, PathStep, Result
from fonoteka.core.manifest import AudioFormat, Layout
from store.queries.audio import StoredAudio
from store.queries.calls import SeenCall

VERSION: Final = "0.4.0"
MEDIA_TYPES: Final = {
    AudioFormat.OPUS: "audio/ogg",
    AudioFormat.MP3: "audio/x-mp3",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.WAV: "audio/x-wav",
}
_DISPOSITIONS: Final = {Result.NO_ANSWER: "no-answer", Result.BUSY: "busy"}
_NAMESPACE: Final = uuid.UUID("0f6f5b0e-7d0c-5f0a-9a55-2f1f6f1c3a11")


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedAudio:
    """The audio of a segment in the package, and its SHA-512."""

    name: str
    audio: StoredAudio
    sha512: bytes


def content_hash(sha512: bytes) -> str:
    """Return a hash as vCon writes it (2.2, ContentHash)."""
    return "sha512-" + base64.urlsafe_b64encode(sha512).rstrip(b"=").decode()


def document(call: SeenCall, path: Sequence[PathStep], audio: Sequence[PackedAudio], now: datetime) -> dict[str, Any]:
    """Return the document: parties, dialogs, and what Fonoteka knows besides as an attachment."""
    users = sorted({each.audio.user for each in audio} | ({call.employee} if call.employee else set()))
    parties = [_outside(call), *(_employee(call, login) for login in users)]
    places = {login: place for place, login in enumerate(users, 1)}
    dialog = [_recording(call, each, places[each.audio.user]) for each in audio]
    if call.result is not Result.ANSWERED and not dialog:
        dialog = [_incomplete(call, len(parties))]
    return {
        "vcon": VERSION,
        # Always the same for a call: two packages of it are of one conversation.
        "uuid": str(uuid.uuid5(_NAMESPACE, call.public_id)),
        "created_at": now.isoformat(timespec="milliseconds"),
        "subject": f"{call.direction.value} {call.src} -> {call.dst}",
        "parties": parties,
        "dialog": dialog,
        "attachments": [
            {
                "purpose": "call_detail_record",
                "start": call.started_at.isoformat(timespec="milliseconds"),
                "party": 0,
                **({"dialog": 0} if dialog else {}),
                "mediatype": "application/json",
                "encoding": "json",
                "body": json.dumps(_details(call, path, audio), ensure_ascii=False),
            }
        ],
    }


def _outside(call: SeenCall) -> dict[str, str]:
    number = call.src if call.direction is Direction.IN else call.dst
    return {"tel": number, "role": "caller" if call.direction is Direction.IN else "called"}


def _employee(call: SeenCall, login: str) -> dict[str, str]:
    name = call.employee_name if login == call.employee and call.employee_name else login
    return {"name": name, "role": "employee", "uuid": f"{call.domain}/{login}"}


def _recording(call: SeenCall, packed: PackedAudio, employee: int) -> dict[str, Any]:
    """Return a dialog; the left channel is the outside party, the right one the employee."""
    audio = packed.audio
    parties: list[Any] = [0, employee] if audio.layout is Layout.STEREO else [[0, employee]]
    originator = {} if call.direction is Direction.IN else {"originator": employee}
    return {
        "type": "recording",
        "start": audio.started_at.isoformat(timespec="milliseconds"),
        "duration": audio.duration_ms / 1000,
        "parties": parties,
        **originator,
        "mediatype": MEDIA_TYPES[audio.format],
        "filename": packed.name,
        "content_hash": content_hash(packed.sha512),
    }


def _incomplete(call: SeenCall, parties: int) -> dict[str, Any]:
    return {
        "type": "incomplete",
        "start": call.started_at.isoformat(timespec="milliseconds"),
        "parties": list(range(parties)),
        "disposition": _DISPOSITIONS.get(call.result, "failed"),
    }


def _details(call: SeenCall, path: Sequence[PathStep], audio: Sequence[PackedAudio]) -> Mapping[str, Any]:
    return {
        "id": call.public_id,
        "pbx": call.pbx,
        "linkedid": call.linkedid,
        "domain": call.domain,
        "direction": call.direction,
        "result": call.result,
        "src": call.src,
        "src_name": call.src_name,
        "dst": call.dst,
        "answered_by": call.answered_by,
        "started_at": _time(call.started_at),
        "answered_at": _time(call.answered_at),
        "ended_at": _time(call.ended_at),
        "talk_ms": call.talk_ms,
        "recording": {"state": call.recording.state, "reason": call.recording.reason, "held": call.legal_hold},
        "segments": [{"file": each.name, "segment": each.audio.segment, "sha256": each.audio.sha256} for each in audio],
        "path": [{"at": _time(step.at), "what": step.what, "who": step.who, "by": step.by, "reason": step.reason} for step in path],
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
