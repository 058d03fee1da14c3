"""What follows from a channel's RTP statistics, as Asterisk writes them."""

from collections.abc import Mapping

import pytest

from agent.calls.call_state import Channel
from agent.recording import rtp_restart as rtp_restart
from agent.recording.rtp_restart import RtpRestarts
from fonoteka.core.errors import AmiActionFailed
from tests.unit.agent.fixtures import AmiDouble, at

PHONE = Channel(uniqueid="1.1", name="PJSIP/acme-152-1", exten="", caller_num="", caller_name="", started_at=at(0))


def heard(source: int, packets: int) -> str:
    return f"ssrc=1;themssrc={source};lp=0;rxjitter=0.000000;rxcount={packets};txjitter=0.000000;txcount=75;rlp=0"


class Asterisk(AmiDouble):
    """Gives one answer after the other, the last one repeatedly; None means no such channel."""

    def __init__(self, *answers: str | None) -> None:
        self._answers = list(answers)
        self.questions = 0

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str) -> Mapping[str, str]:
        assert (name, headers) == ("Getvar", {"Channel": PHONE.name, "Variable": "CHANNEL(rtcp,all)"})
        self.questions += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            raise AmiActionFailed("Getvar: No such channel")
        return {"Value": answer}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((heard(7, 76), heard(7, 76), heard(7, 76), heard(9, 1)), True),
        ((heard(7, 76), heard(9, 3)), True),
        ((heard(7, 76), heard(7, 76), heard(7, 76), heard(7, 77)), False),  # the same source continues
        ((heard(7, 76), heard(7, 76)), False),  # and sends nothing
        (("", heard(9, 3)), False),  # a channel without RTP
        ((None,), False),
        ((heard(7, 76), None), False),  # the channel ended meanwhile
    ],
)
async def test_another_source_is_a_restart(
    answers: tuple[str | None, ...], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtp_restart, "POLL_EVERY_S", 0.0)
    phones = RtpRestarts(Asterisk(*answers))
    await phones.held(PHONE)
    assert await phones.has_restarted(PHONE) is expected


async def test_a_hold_that_was_missed_shows_no_restart() -> None:
    assert not await RtpRestarts(Asterisk(heard(9, 1))).has_restarted(PHONE)
