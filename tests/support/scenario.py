"""A scenario: a call flow, and the rows and the sound that it must leave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from lab.base.company import LabCompany
from lab.scenarios.steps import CALLER, PhoneCalls
from lab.tools.installation import Call
from tests.support.audio_checks import decoded, tones_of
from tests.support.call_flows import PlayedFlow, PlayedFlows

Length = Callable[[PhoneCalls], float]
NEAR_HZ: Final = 30  # a tone that begins or ends is heard that wide
# Ten packets: an answer and a hangup pass through three programs each. test_scenarios_in_talk and
# test_long_call compare to a tenth of a second.
NEAR_S: Final = 0.2
LEAKS: Final = 0.35  # Opus at 24 kbit/s lets steady tones through to the other side, speech hardly


@dataclass(frozen=True, kw_only=True)
class Part:
    """A segment of a recording: its user, the tones on each side, and its length.

    `lasts` is None where no telephone measures it. `begins_late_s`: where nothing rings before the
    talk, the recorder is attached as the talk begins. `beside`: it is an enquiry while the party
    of the part before is on hold, and is mixed with that part.
    """

    user: str
    left: tuple[int, ...]
    right: tuple[int, ...]
    lasts: Length | None
    begins_late_s: float = 0.0
    beside: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the portal, with ACME's numbers; another company has its own instead."""

    direction: str = "in"
    src: str = CALLER
    dst: str
    answered_by: str | None
    result: str = "answered"
    employee: str | None
    state: str = "ready"
    reason: str | None = None
    parts: tuple[Part, ...] = ()
    called_back: bool = False

    def in_api(self, company: LabCompany) -> dict[str, Any]:
        """The row as the API must have it, without times."""
        return {
            "direction": self.direction,
            "src": company.own(self.src),
            "dst": company.own(self.dst),
            "answered_by": self.answered_by,
            "result": self.result,
            "employee": self.employee,
            "state": self.state,
            "reason": self.reason,
            "segments": [part.user for part in self.parts],
        }


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A call flow by its name, its rows in the order they began, and further assertions."""

    name: str
    flow: str
    rows: tuple[Row, ...]
    also: Callable[[PlayedFlow], None] = field(default=lambda _: None)


def scenario(name: str, flow: str, *rows: Row, also: Callable[[PlayedFlow], None] = lambda _: None) -> Scenario:
    """Make a line of a table."""
    return Scenario(name=name, flow=flow, rows=rows, also=also)


def part(user: str, left: int, right: int, lasts: str | Length | None, *, begins_late_s: float = 0.0) -> Part:
    """Make a segment with one tone on each side; `lasts` may name the talking telephone."""
    length = talk_of(lasts) if isinstance(lasts, str) else lasts
    return Part(user=user, left=(left,), right=(right,), lasts=length, begins_late_s=begins_late_s)


def talk_of(phone: str, *without: str) -> Length:
    """The length of a telephone's talk, without the talks of other telephones."""
    return lambda calls: calls[phone].talk_s - sum(calls[other].talk_s for other in without)


def unrecorded(reason: str, **row: Any) -> Row:
    """Make a row without a recording."""
    return Row(state="none", reason=reason, **row)


def each(scenarios: Sequence[Scenario]) -> pytest.MarkDecorator:
    """Parametrize a test by a table; all its flows are played side by side.

    `tests.support.call_flows`.
    """
    return pytest.mark.parametrize("scenario", scenarios, ids=lambda scenario: scenario.name)


def assert_as_expected(expected: Scenario, flows: PlayedFlows) -> None:
    """Check each row, the length of every segment, each party's side, and the empty spool."""
    played = flows[expected.flow]
    assert [_in_api(row) for row in played.rows] == [row.in_api(played.company) for row in expected.rows]
    for row, call, audio in zip(expected.rows, played.rows, played.audio, strict=True):
        assert (call["ended_at"] is not None, call["called_back_at"] is not None) == (True, row.called_back)
        if row.parts:
            _assert_heard(row.parts, call["recording"], audio, played)
    expected.also(played)
    assert not flows.left_of(played), "left in the spool"


def _in_api(call: Call) -> dict[str, Any]:
    return {
        **{name: call[name] for name in ("direction", "src", "dst", "answered_by", "result")},
        "employee": call["employee"] and call["employee"]["login"],
        **{name: call["recording"][name] for name in ("state", "reason")},
        "segments": [segment["user"] for segment in call["recording"]["segments"]],
    }


def _assert_in_place(parts: Sequence[Part], recording: dict[str, Any], near_s: float) -> None:
    """Check that each segment follows those before it, but for an enquiry, which is beside one."""
    end_ms = 0
    for part, segment in zip(parts, recording["segments"], strict=True):
        begin_ms, segment_end_ms = segment["offset_ms"], segment["offset_ms"] + segment["duration_ms"]
        if part.beside:
            assert begin_ms < end_ms
            assert segment_end_ms == pytest.approx(end_ms, abs=1000 * near_s)
        else:
            assert begin_ms == end_ms
        end_ms = max(end_ms, segment_end_ms)
    assert recording["duration_ms"] == end_ms


def _assert_heard(parts: Sequence[Part], recording: dict[str, Any], audio: bytes, played: PlayedFlow) -> None:
    segments = recording["segments"]
    lengths = [segment["duration_ms"] / 1000 for segment in segments]
    near_s = NEAR_S + played.late_s
    for place, (part, length_s) in enumerate(zip(parts, lengths, strict=True)):
        talk_s = part.lasts(played.phone_calls) if part.lasts is not None else length_s
        assert talk_s - part.begins_late_s - near_s <= length_s <= talk_s + near_s, (
            f"segment {place}: {lengths}, {talk_s=} ± {near_s}"
        )
    _assert_in_place(parts, recording, near_s)
    samples, rate_hz = decoded(audio)
    assert samples.shape[1] / rate_hz * 1000 == pytest.approx(recording["duration_ms"], abs=25)
    for place, (part, segment) in enumerate(zip(parts, segments, strict=True)):
        begin, end = (round(ms * rate_hz / 1000) for ms in (segment["offset_ms"], segment["offset_ms"] + segment["duration_ms"]))
        for side, tones, heard in (("left", part.left, samples[0]), ("right", part.right, samples[1])):
            found, loud = (tones_of(heard[begin:end], rate_hz, share) for share in (0.1, LEAKS))
            missing = [hz for hz in tones if not any(abs(hz - strong) < NEAR_HZ for strong in found)]
            strange = [strong for strong in loud if not any(abs(hz - strong) < NEAR_HZ for hz in tones)]
            assert not missing + strange, f"{side} of segment {place}: {found} Hz, not {tones}"
