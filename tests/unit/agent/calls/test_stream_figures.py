"""The text of RTPAUDIOQOS, as Asterisk 22 wrote it in the lab, and what it must not mean."""

import pytest

from agent.ami.event_repair import EventRepair
from agent.ami.framing import Framing
from agent.calls.event_reader import LAYOUTS
from agent.calls.events import StreamMeasured
from agent.calls.stream_figures import Stream, StreamFigures, read_figures
from tests.unit.agent.calls.test_recorded_streams import STREAMS, read_bytes

HEARD = Stream(packets=431, lost=18, jitter_ms=0.0)


def told(**changed: str) -> str:
    """The text of a call of five seconds without losses, in which no report of the party came."""
    fields = {
        "ssrc": "1346710185",
        "themssrc": "3772903020",
        "lp": "0",
        "rxjitter": "0.000000",
        "rxcount": "250",
        "txjitter": "0.000375",
        "txcount": "251",
        "rlp": "0",
        "rtt": "0.000000",
        "rxmes": "0.000000",
        "txmes": "88.087887",
    } | changed
    return ";".join(f"{key}={value}" for key, value in fields.items())


PLAIN = Stream(packets=250, lost=0, jitter_ms=0.375)
# what, text, figures
CASES = [
    ("Asterisk alone counted", told(), StreamFigures(from_party=PLAIN, to_party=None, rtt_ms=None)),
    ("too short for a report", told(txmes="0.000000"), None),
    ("direct media after half a second", told(rxcount="25", txcount="25"), None),
    (
        "the party reported, too",
        told(rxmes="65.028239", rxjitter="0.040000", rlp="15", rtt="0.031250"),
        StreamFigures(from_party=PLAIN, to_party=Stream(packets=251, lost=15, jitter_ms=40.0), rtt_ms=31.25),
    ),
    (
        "nothing came from the party, which reported",
        told(rxcount="0", txmes="88.087887", rxmes="80.0"),
        StreamFigures(from_party=None, to_party=Stream(packets=251, lost=0, jitter_ms=0.0), rtt_ms=None),
    ),
    (
        "packets that came twice are a negative loss, in 24 bits and in 32",
        told(rxmes="80.0", rlp="16777214", lp="4294967290"),
        StreamFigures(from_party=PLAIN, to_party=Stream(packets=251, lost=0, jitter_ms=0.0), rtt_ms=None),
    ),
    (
        "a report of more packets than were sent, and clocks that differ",
        told(rxmes="20.0", rlp="300", rtt="65536.0", rxjitter="5.0"),
        StreamFigures(from_party=PLAIN, to_party=Stream(packets=251, lost=251, jitter_ms=1000.0), rtt_ms=None),
    ),
    (
        "the numbers began anew as packets overtook each other, in Asterisk's count",
        told(lp="65560", rxcount="569", txcount="600"),
        StreamFigures(from_party=Stream(packets=593, lost=24, jitter_ms=0.375), to_party=None, rtt_ms=None),
    ),
    (
        "twice, and in the report of the party as well",
        told(lp="131096", rxcount="569", txcount="600", rxmes="20.0", rlp="65546"),
        StreamFigures(
            from_party=Stream(packets=593, lost=24, jitter_ms=0.375),
            to_party=Stream(packets=600, lost=10, jitter_ms=0.0),
            rtt_ms=None,
        ),
    ),
    (
        "a talk of hours, in which so many were lost",
        told(lp="70000", rxcount="630000", txcount="699000", rxmes="20.0", rlp="70000"),
        StreamFigures(
            from_party=Stream(packets=700_000, lost=70_000, jitter_ms=0.375),
            to_party=Stream(packets=699_000, lost=70_000, jitter_ms=0.0),
            rtt_ms=None,
        ),
    ),
    ("nothing", "", None),
    ("no figures", "lp=;rxcount=x;txmes=1e9;txcount=-5;" + "9" * 200, None),
]


@pytest.mark.parametrize(("text", "figures"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_the_text_tells(text: str, figures: StreamFigures | None) -> None:
    assert read_figures(text) == figures


def test_the_figures_of_a_recorded_call() -> None:
    stream = (STREAMS / "badly_heard.txt").read_bytes()
    customer, employee = (event.figures for event in read_bytes(stream) if isinstance(event, StreamMeasured))
    assert employee == StreamFigures(from_party=HEARD, to_party=None, rtt_ms=None)
    assert (customer.from_party, customer.to_party) == (
        Stream(packets=450, lost=0, jitter_ms=0.0),
        Stream(packets=412, lost=15, jitter_ms=40.0),
    )


def test_of_all_variables_only_this_one_is_read() -> None:
    """An account without the filter gets 46 of them in a call: they cost next to nothing."""
    stream = (STREAMS / "badly_heard.txt").read_bytes()
    other = stream.replace(b"Variable: RTPAUDIOQOS\r\n", b"Variable: RTPAUDIOQOSJITTER\r\n")
    assert not [event for event in read_bytes(other) if isinstance(event, StreamMeasured)]
    messages = EventRepair(LAYOUTS, lambda raw: False).feed(Framing().feed(b"Asterisk Call Manager/11.0.0\r\n" + other))
    assert all(message.headers is None for message in messages if message.raw.startswith(b"Event: VarSet"))
