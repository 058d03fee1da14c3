"""The protocol between agents and the API under `/agent/v1`.

JSON over HTTP, with `Authorization: Bearer <token of the PBX>`:

    GET  /agent/v1/settings?known=VERSION&wait_s=25   → DomainSettings; 204 if the version is still
                                                        VERSION after wait_s
    GET  /agent/v1/commands?after=ID&wait_s=25        → Commands for this PBX, at most 10 s old
         &link=up|down|silent (PbxLink)&clock_s=SECONDS (Asterisk's clock, since 1970)
    POST /agent/v1/commands/{id}    CommandOutcome    → 204, also if nobody waits for it any more
    PUT  /agent/v1/calls            [CallReport, …]   → CallReceipts, one per call; at most 200
    PUT  /agent/v1/recordings/{segment name}          → RecordingReceipt
         multipart/form-data: `manifest` (Manifest as JSON), `mixed` (Mixed as JSON),
         `peaks` (JSON), `audio` (the file)

All requests are idempotent: the newest revision of a call counts, and the same recording sent twice
is stored once. The agent deletes a recording only when the receipt names the SHA-256 that the agent
computed. Status 413 and 422 mean that the same request will never be accepted (several calls are
then sent in smaller requests), and so does the problem `audio-stored` (409: the recording has other
audio already); any other error (409 `not-yet-taken`: a domain that is not known yet; 507: no room)
may pass, and the request is sent again. A PBX sees the settings of the domains that it serves
(`fonoteka pbx add`) and may report calls of these alone; a call never changes its domain, and a
call under legal hold changes in nothing. A call that concerns several domains has a report for
each.
"""

from dataclasses import dataclass
from enum import StrEnum

from fonoteka.core.call_report import Action, CallReport


@dataclass(frozen=True, kw_only=True, slots=True)
class CallReceipt:
    """The store holds this call at this revision or a newer one, or `refused` says why not.

    With `retry` the refusal may pass (a domain that is not known yet): the agent keeps the call and
    sends it again with newer settings. With `deleted` the call was erased or its retention ended:
    the agent keeps nothing of it.
    """

    linkedid: str
    revision: int
    refused: str | None = None
    retry: bool = False
    deleted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CallReceipts:
    """One receipt for each call of a request, in the same order."""

    receipts: tuple[CallReceipt, ...]


class PbxLink(StrEnum):
    """The agent's connection to Asterisk.

    `down`: lost for a minute. `silent`: Asterisk answers, but sends no events of its calls.
    """

    UP = "up"
    DOWN = "down"
    SILENT = "silent"


class Refusal(StrEnum):
    """Why a command was refused; the last part of a problem's `type`, so the values are fixed."""

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
    """A request to change the recording of a call in progress.

    `login` is the user whose side is changed; None: all sides, asked by an administrator. Only
    sides of users of `domain` are changed; None: of the first domain that the call concerns.
    """

    id: int
    linkedid: str
    action: Action
    login: str | None
    domain: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Commands:
    """The commands to carry out, the oldest first."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandOutcome:
    """The result of a command (`refusal` None: done) and the call after it."""

    refusal: Refusal | None
    report: CallReport | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingReceipt:
    """The store has written, synced and indexed this recording."""

    segment: str
    sha256: str
    size_bytes: int
