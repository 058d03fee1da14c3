"""Each moment of a call sounds once, as a table and as properties."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from store.intake.one_sound import NEAR_MS, Sound, Stretch, one_sound

BEGIN = datetime(2026, 11, 22, 16, 43, 42, tzinfo=UTC)
Given = tuple[str, int, int]  # user, begin, length

# segments in ms; pieces: segment, from, length, offset; places
TABLE: dict[str, tuple[list[Given], list[tuple[int, int, int, int]], list[tuple[int, int]]]] = {
    "none": ([], [], []),
    "one": ([("152", 0, 5000)], [(0, 0, 5000, 0)], [(0, 5000)]),
    "a transfer: one after the other, without the pause": (
        [("152", 0, 5000), ("421", 9000, 700)],
        [(0, 0, 5000, 0), (1, 0, 700, 5000)],
        [(0, 5000), (5000, 700)],
    ),
    "clocks are not exact": (
        [("152", 0, 5000), ("421", 4900, 700), ("152", 5600, 1000)],
        [(0, 0, 5000, 0), (1, 0, 700, 5000), (2, 0, 1000, 5700)],
        [(0, 5000), (5000, 700), (5700, 1000)],
    ),
    "a page: the longest": (
        [("152", 0, 4900), ("421", 20, 5000), ("130", 40, 4800)],
        [(1, 0, 5000, 0)],
        [(0, 4900), (0, 5000), (20, 4800)],
    ),
    "a page of a tenth of a second": ([("152", 0, 100), ("421", 10, 100)], [(0, 0, 100, 0)], [(0, 100), (10, 90)]),
    "a conference: those who stay longer have the rest": (
        [("152", 0, 10_000), ("421", 3000, 9000)],
        [(0, 0, 10_000, 0), (1, 7000, 2000, 10_000)],
        [(0, 10_000), (3000, 9000)],
    ),
    "a guest is there in the middle": (
        [("152", 0, 3000), ("421", 2000, 9000), ("152", 10_000, 3000)],
        [(0, 0, 2000, 0), (1, 0, 9000, 2000), (2, 1000, 2000, 11_000)],
        [(0, 3000), (2000, 9000), (10_000, 3000)],
    ),
    "an enquiry on another line is mixed": (
        [("152", 0, 8000), ("152", 5000, 3000), ("421", 8000, 2000)],
        [(0, 0, 8000, 0), (1, 0, 3000, 5000), (2, 0, 2000, 8000)],
        [(0, 8000), (5000, 3000), (8000, 2000)],
    ),
    "an enquiry after a pause": (
        [("421", 0, 1000), ("152", 60_000, 8000), ("152", 65_000, 4000)],
        [(0, 0, 1000, 0), (1, 0, 8000, 1000), (2, 0, 4000, 6000)],
        [(0, 1000), (1000, 8000), (6000, 4000)],
    ),
}


def sound_of(segments: Sequence[Given]) -> Sound:
    return one_sound([Stretch(user=u, started_at=BEGIN + timedelta(milliseconds=at), duration_ms=ms) for u, at, ms in segments])


@pytest.mark.parametrize("name", TABLE)
def test_each_moment_sounds_once(name: str) -> None:
    segments, pieces, places = TABLE[name]
    sound = sound_of(segments)
    assert [(piece.segment, piece.from_ms, piece.duration_ms, piece.offset_ms) for piece in sound.pieces] == pieces
    assert [(place.offset_ms, place.duration_ms) for place in sound.places] == places
    assert sound.duration_ms == max((offset_ms + length_ms for *_, length_ms, offset_ms in pieces), default=0)


SEGMENTS = some.lists(some.tuples(some.sampled_from(["152", "421", "130"]), some.integers(0, 60_000), some.integers(0, 30_000)))


@given(SEGMENTS.map(lambda segments: sorted(segments, key=lambda segment: segment[1])))
def test_nothing_is_lost_and_nothing_is_heard_twice(segments: list[Given]) -> None:
    sound = sound_of(segments)
    moments = {at // 10 for _, begin, length in segments for at in range(begin, begin + length, 10)}
    near_ms = NEAR_MS * (len(sound.pieces) + len(segments) + 1)
    assert abs(sound.duration_ms - 10 * len(moments)) <= near_ms
    by_users: dict[tuple[str, int], int] = {}
    for piece in sound.pieces:
        user, begin, length = segments[piece.segment]
        assert 0 <= piece.from_ms <= piece.from_ms + piece.duration_ms <= length
        assert 0 <= piece.offset_ms <= piece.offset_ms + piece.duration_ms <= sound.duration_ms
        for at in range((begin + piece.from_ms) // 10, (begin + piece.from_ms + piece.duration_ms) // 10):
            by_users[user, at] = by_users.get((user, at), 0) + 1
    users_at: dict[int, int] = {}
    for _, at in by_users:
        users_at[at] = users_at.get(at, 0) + 1
    assert 10 * sum(users > 1 for users in users_at.values()) <= near_ms, "two users are heard at one moment"
    for place, (_, _, length) in zip(sound.places, segments, strict=True):
        assert place.offset_ms >= 0
        assert place.duration_ms <= length
        assert place.offset_ms + place.duration_ms <= sound.duration_ms


@given(SEGMENTS.filter(lambda segments: all(length for *_, length in segments)))
def test_segments_one_after_the_other_are_joined_whole(segments: list[Given]) -> None:
    begin, row = 0, []
    for user, pause, length in segments:
        row.append((user, begin + pause, length))
        begin += pause + length
    sound = sound_of(row)
    assert [piece.segment for piece in sound.pieces] == list(range(len(row)))
    lengths = [length for *_, length in row]
    assert [place.offset_ms for place in sound.places] == [sum(lengths[:number]) for number in range(len(row))]
    assert sound.duration_ms == sum(lengths)
