"""What agents and the API say to each other under `/agent/v1` (JSON over HTTP; `Authorization: Bearer <token of the PBX>`).

    GET  /agent/v1/settings?known=VERSION&wait_s=25   → DomainSettings; 204 if they are still at VERSION after wait_s
    GET  /agent/v1/commands?after=ID&wait_s=25        → Commands of people who watch a call: those of this PBX, none older than 10 s
    POST /agent/v1/commands/{id}    CommandOutcome    → 204, whether or not anybody waits for it still
    PUT  /agent/v1/calls            [CallReport, …]   → CallReceipts (at most 200 calls; what is refused is told one by one)
    PUT  /agent/v1/recordings/{segment name}          → RecordingReceipt
         multipart/form-data: `manifest` (Manifest as JSON), `mixed` (Mixed as JSON), `peaks` (JSON), `audio` (the file)

All of it is idempotent: the newest revision of a call counts, the same recording twice is one. The agent deletes a
recording only when the receipt names the SHA-256 it has computed itself. Answers 413 and 422 say that the same will never be taken;
whatever else is no success (409: a domain that is not known yet; 507: no room) may pass, and is sent again.
"""

from dataclasses import dataclass
from enum import StrEnum

from fonoteka.core.call_report import Action, CallReport


@dataclass(frozen=True, kw_only=True, slots=True)
class CallReceipt:
    """The store holds this call at this revision or a newer one; `refused` says in words why not, else None.

    With `retry` the refusal may pass (a domain that is not known yet): keep the call and send it again with newer settings.
    """

    linkedid: str
    revision: int
    refused: str | None = None
    retry: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CallReceipts:
    """One receipt for each call that was sent, in the same order."""

    receipts: tuple[CallReceipt, ...]


class Refusal(StrEnum):
    """Why something cannot be done to a recording; the last part of a problem's `type`, so the words are fixed."""

    CALL_IS_OVER = "call-is-over"
    NOT_TALKING = "not-talking"
    ALREADY_RECORDING = "already-recording"
    NOT_RECORDING = "not-recording"
    ALREADY_PAUSED = "already-paused"
    NOT_PAUSED = "not-paused"
    RECORDING_IS_OFF = "recording-is-off"
    NEVER_RECORDED = "never-recorded"
    RECORDED_BY_RULE = "recorded-by-rule"
    ASKED_TOO_OFTEN = "asked-too-often"
    PBX_FAILED = "pbx-failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What somebody asks for on a call that is going on: a user for their own side; `login` None: an administrator, for all."""

    id: int
    linkedid: str
    action: Action
    login: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Commands:
    """What is to be done now, the oldest first."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandOutcome:
    """What came of a command (`refusal` None: done), and the call as it stands after it."""

    refusal: Refusal | None
    report: CallReport | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingReceipt:
    """The store has written, synced and indexed this recording."""

    segment: str
    sha256: str
    size_bytes: int
