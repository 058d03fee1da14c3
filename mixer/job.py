"""The messages between the mixer and its worker processes: one line of JSON in each direction."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fonoteka.core.call_report import MutedSpan, Reason
from fonoteka.core.manifest import AudioFormat, Layout, Mixed, Speech
from mixer.mix import Mixture


@dataclass(frozen=True, kw_only=True, slots=True)
class MixJob:
    """Mix the legs in a recording folder."""

    folder: Path
    outside_leg: str
    employee_leg: str
    audio_format: AudioFormat
    layout: Layout
    talked_hz: int | None = None
    muted: tuple[MutedSpan, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class MixRefused:
    """The legs cannot become a recording; trying again does not help."""

    reason: Reason
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskFull:
    """The disk is full; the same job will succeed when there is room."""

    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerFailed:
    """The worker died, hung, or met an unexpected error: another worker may succeed."""

    detail: str


Reply = Mixture | MixRefused | DiskFull | WorkerFailed


def write_job(job: MixJob) -> bytes:
    """Return a job as one line."""
    return json.dumps(asdict(job) | {"folder": str(job.folder)}).encode() + b"\n"


def read_job(line: bytes) -> MixJob:
    """Return the job of a line that `write_job` made."""
    fields = json.loads(line)
    return MixJob(
        folder=Path(fields["folder"]),
        outside_leg=fields["outside_leg"],
        employee_leg=fields["employee_leg"],
        audio_format=AudioFormat(fields["audio_format"]),
        layout=Layout(fields["layout"]),
        talked_hz=fields["talked_hz"],
        muted=tuple(MutedSpan(**span) for span in fields["muted"]),
    )


def write_reply(reply: Reply) -> bytes:
    """Return a reply as one line."""
    return json.dumps({"kind": type(reply).__name__} | asdict(reply)).encode() + b"\n"


def read_reply(line: bytes) -> Reply:
    """Return the reply of a line that `write_reply` made."""
    fields = json.loads(line)
    match fields["kind"]:
        case "Mixture":
            mixed = fields["mixed"]
            mixed |= {"format": AudioFormat(mixed["format"]), "layout": Layout(mixed["layout"])}
            mixed["speech"] = None if mixed["speech"] is None else Speech(**mixed["speech"])
            return Mixture(mixed=Mixed(**mixed), troubles=tuple(fields["troubles"]))
        case "MixRefused":
            return MixRefused(reason=Reason(fields["reason"]), detail=fields["detail"])
        case "DiskFull":
            return DiskFull(detail=fields["detail"])
        case _:
            return WorkerFailed(detail=fields["detail"])
