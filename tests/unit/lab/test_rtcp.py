"""What a telephone reports of the audio that came, by the examples of RFC 3550 in A.1, A.3, A.8."""

import struct

import pytest

from lab.sip.rtcp import Reception

ME, SOURCE = 7, 4711
FRAME_S = 0.02


def packet(number: int, source: int = SOURCE) -> bytes:
    """A packet of audio; its timestamp goes with its number."""
    return struct.pack("!BBHII", 0x80, 8, number % 65536, 160 * number % 2**32, source) + bytes(160)


def reception(numbers: list[int], *, late_s: tuple[float, ...] = (0.0,)) -> Reception:
    """Let packets come, each at its time and later by `late_s`, in turns."""
    counting = Reception()
    for place, number in enumerate(numbers):
        counting.take(packet(number), 1000.0 + FRAME_S * number + late_s[place % len(late_s)])
    return counting


@pytest.mark.parametrize(
    ("what", "numbers", "lost"),
    [
        ("all came", list(range(10)), 0),
        ("some did not", [0, 1, 4, 5, 9], 5),
        ("late packets are not lost", [0, 2, 1, 3, 5, 4], 0),
        ("a packet came twice", [0, 1, 1, 2], -1),
        ("the numbers begin anew", [65533, 65534, 65535, 65536, 65538], 1),
        ("they do so as packets overtake each other", [65533, 65536, 65534, 65537, 65535, 65538], 0),
        ("nothing came", [], 0),
    ],
)
def test_what_was_lost(what: str, numbers: list[int], lost: int) -> None:
    assert reception(numbers).lost == lost, what


def test_the_jitter_tends_to_the_mean_difference_of_transit_times() -> None:
    assert reception(list(range(500))).jitter_ms == pytest.approx(0, abs=0.01)
    assert reception(list(range(500)), late_s=(0.0, 0.03)).jitter_ms == pytest.approx(30, abs=0.1)


def test_a_report_has_what_was_lost_since_the_last_one_and_answers_the_sender() -> None:
    counting = reception([0, 1, 2, 3])
    assert counting.report(ME, 2000.0) is not None
    for number in (4, 7):
        counting.take(packet(number), 1000.0 + FRAME_S * number)
    counting.take_report(struct.pack("!BBHIII", 0x80, 200, 6, SOURCE, 0xAAAA1234, 0x5678BBBB) + bytes(12), 2000.0)
    report = counting.report(ME, 2001.5)
    assert report is not None
    head, kind, words, sender, source, loss, highest, jitter, answers, after = struct.unpack("!BBHIIIIIII", report)
    assert (head, kind, words, sender, source) == (0x81, 201, 7, ME, SOURCE)
    assert (loss >> 24, loss & 0xFFFFFF) == (128, 2), "half of the last four packets"
    assert (highest, jitter, answers, after) == (7, 0, 0x12345678, 3 * 65536 // 2)


def test_a_new_source_is_counted_anew() -> None:
    counting = reception([0, 1, 5])
    counting.take(packet(9000, source=1), 1200.0)
    assert counting.lost == 0


def test_nothing_is_reported_before_the_first_packet() -> None:
    assert Reception().report(ME, 1000.0) is None
