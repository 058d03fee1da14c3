"""How long a new recorder waits until Asterisk has dropped the audio of the one before."""

from pathlib import PurePosixPath

import pytest

from agent.recording import mixmonitor as recorder
from agent.recording.mixmonitor import MixMonitor
from tests.unit.agent.recording.test_rtp_restart import PHONE, Asterisk


def passed(heard: int, sent: int) -> str:
    return f"ssrc=1;themssrc=7;lp=0;rxjitter=0.000000;rxcount={heard};txjitter=0.000000;txcount={sent};rlp=0"


@pytest.mark.parametrize(
    ("answers", "polls"),
    [
        ((passed(76, 75), passed(80, 79)), 2),
        ((passed(76, 75), passed(76, 79)), 2),  # audio passes in one direction only
        ((passed(76, 75), passed(76, 75), passed(77, 76), passed(78, 77)), 4),  # a busy Asterisk
        ((passed(76, 75),), 47),  # no audio passes any more
        (("",), 2),  # a channel without RTP
        ((None,), 2),
        ((passed(76, 75), passed(76, 75), None), 3),  # the channel ended meanwhile
    ],
)
async def test_audio_must_pass_without_a_recorder(
    answers: tuple[str | None, ...], polls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "BUFFER_EMPTY_AFTER_S", 0.0)
    monkeypatch.setattr(recorder, "POLL_EVERY_S", 0.0)
    asterisk = Asterisk(*answers)
    await MixMonitor(asterisk, PurePosixPath("/spool")).wait_until_buffer_empty(PHONE.name)
    assert asterisk.questions == polls
