"""Which codecs are wideband, and which channels are asked for their codecs."""

import pytest

from agent.recording.wideband import is_wide, parties
from tests.unit.agent.fixtures import played

FORMATS = [
    ("(alaw|ulaw|g722)", True),
    ("(opus)", True),
    ("slin16", True),
    ("(alaw|ulaw)", False),
    ("(slin|g729|g726|speex|silk8|g723|lpc10|none)", False),
    ("", False),
]


@pytest.mark.parametrize(("formats", "wide"), FORMATS)
def test_a_wideband_codec_is_recognised_by_name(formats: str, wide: bool) -> None:
    assert is_wide(formats) is wide


IN = "0.0 start t PJSIP/trunk-1 2458152 89131234567\n0.1 start p PJSIP/acme-152-2 s\n0.1 start q PJSIP/acme-130-3 s\n"
RINGING = IN + "0.1 ring t p acme-152\n0.1 ring t q acme-130\n"
OUT = "0.0 start p PJSIP/acme-152-1 2223344\n0.1 start t PJSIP/trunk-2 s\n0.1 ring p t 2223344\n"
LOCAL = (
    "0.0 start t PJSIP/trunk-1 2458152 89131234567\n"
    "0.1 start l1 Local/84951234567@out-3;1 s\n0.1 start l2 Local/84951234567@out-3;2 s\n"
    "0.1 ring t l1 8495\n0.2 start o PJSIP/trunk-4 s\n0.2 ring l2 o 84951234567\n"
)

ASKED = [
    (RINGING, "p", ("PJSIP/acme-152-2", "PJSIP/trunk-1")),
    (OUT, "p", ("PJSIP/acme-152-1", "PJSIP/trunk-2")),
    (LOCAL, "o", ("PJSIP/trunk-4", "PJSIP/trunk-1")),
    (RINGING + "1.0 enter t b\n1.0 enter q b\n", "q", ("PJSIP/acme-130-3", "PJSIP/trunk-1")),
]


@pytest.mark.parametrize(("lines", "channel", "names"), ASKED)
def test_both_sides_of_the_talk_are_asked(lines: str, channel: str, names: tuple[str, ...]) -> None:
    call = played(lines.strip())
    assert parties(call, call.channels[channel]) == names
