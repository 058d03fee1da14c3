"""The journal of CEL as files: rotated, cut, written to, foreign, hostile, long."""

import gzip
import os
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.calls.call_registry import CallRegistry
from agent.cel.events import CelEvents
from agent.cel.journal import COLUMNS, FEWEST_COLUMNS, LONGEST_ROW, CelJournal, CelRow
from tests.unit.agent.calls.test_recorded_streams import STREAMS
from tests.unit.agent.fixtures import report_of

BEGIN: Final = datetime(2026, 11, 22, 16, tzinfo=UTC)
EVER: Final = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)


def line(second: float, number: str = "89131234567", columns: int = COLUMNS) -> bytes:
    """Return a row, `second` seconds after BEGIN, quoted as CSV_QUOTE of Asterisk quotes."""
    at = (BEGIN + timedelta(seconds=second)).timestamp()
    texts = ["CHAN_START", f"{at:.6f}", f"{int(at)}.{int(second)}", "1.1", "PJSIP/trunk-1", number, "", "2458152", *[""] * 20]
    return (",".join('"' + text.replace('"', '""') + '"' for text in texts[:columns]) + "\n").encode()


def lines(first: int, last: int) -> bytes:
    return b"".join(map(line, range(first, last)))


def seconds(journal: CelJournal, since: float = -1, until: float = 1e7) -> list[float]:
    """Return the times of the rows that are read."""
    rows = journal.rows(BEGIN + timedelta(seconds=since), BEGIN + timedelta(seconds=until))
    return [(row.at - BEGIN).total_seconds() for row in rows]


@pytest.fixture
def journal(tmp_path: Path) -> CelJournal:
    return CelJournal(path=tmp_path / "fonoteka.csv")


@pytest.mark.parametrize("name", ["fonoteka.csv.1", "fonoteka.csv-20261129", "fonoteka.csv.2.gz"])
def test_a_rotated_file_is_read_first(journal: CelJournal, name: str) -> None:
    rotated, data = journal.path.with_name(name), lines(0, 5)
    rotated.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    os.utime(rotated, (0, (BEGIN + timedelta(seconds=5)).timestamp()))
    journal.path.write_bytes(lines(5, 8))
    assert seconds(journal) == [*range(8)]
    assert seconds(journal, 6) == [6, 7], "the rotated file ended before"


def test_rows_after_a_clock_was_set_back_are_read(journal: CelJournal) -> None:
    journal.path.write_bytes(lines(0, 5) + lines(3600, 3605) + lines(5, 8))
    assert seconds(journal, until=10) == [*range(8)]


def test_another_journal_beside_it_is_not_read(journal: CelJournal) -> None:
    journal.path.write_bytes(line(1))
    journal.path.with_name("master.csv").write_bytes(line(2))
    assert seconds(journal) == [1]


def test_no_file_at_all_is_an_error(journal: CelJournal) -> None:
    with pytest.raises(FileNotFoundError):
        seconds(journal)


def test_a_row_cut_in_the_middle_costs_itself_and_the_row_glued_to_it(journal: CelJournal) -> None:
    journal.path.write_bytes(line(1) + line(2)[:30] + line(3) + line(4))
    assert seconds(journal) == [1, 4]
    assert journal.damaged == 1


def test_the_end_of_a_row_without_its_begin(journal: CelJournal) -> None:
    journal.path.write_bytes(line(0)[50:] + line(1) + b'lost","","","",""\n' + line(2))
    assert seconds(journal) == [1, 2]


def test_a_row_that_is_being_written_is_left_until_it_is_complete(journal: CelJournal) -> None:
    """Rows are read while Asterisk writes, byte by byte."""
    row = line(2)
    for length in range(len(row) - 1):
        journal.path.write_bytes(line(1) + row[:length])
        found = seconds(journal)
        # The last two columns are empty, and an older cel_custom.conf does not write them.
        assert found in ([1], [1, 2]) if length >= len(line(2, columns=FEWEST_COLUMNS)) - 1 else found == [1]
    journal.path.write_bytes(line(1) + row[:-1])
    assert seconds(journal) == [1, 2], "the last row needs no line end"


@pytest.mark.parametrize(
    ("columns", "is_read"), [(FEWEST_COLUMNS - 1, False), (FEWEST_COLUMNS, True), (COLUMNS, True), (COLUMNS + 3, True)]
)
def test_rows_of_another_version(journal: CelJournal, columns: int, is_read: bool) -> None:
    journal.path.write_bytes(line(1, columns=columns) + line(2))
    assert seconds(journal) == ([1, 2] if is_read else [2])


HOSTILE = (
    'a "quote", and another""',
    "line\nend",
    "line\r\nend\r",
    '\n"HANGUP","1795000000.000001","1.1","1.1","PJSIP/x-1","","","","","","","",""\n',
    '"\n"CHAN_END","1.0","',
    "\n",
    '","',
    "\\",
    "\x00",
)


@pytest.mark.parametrize("number", HOSTILE, ids=range(len(HOSTILE)))
def test_text_of_a_caller_is_one_column(journal: CelJournal, number: str) -> None:
    journal.path.write_bytes(line(1) + line(2, number) + line(3))
    rows = [*journal.rows(*EVER)]
    assert [row.number for row in rows] == ["89131234567", number, "89131234567"]
    assert {row.event for row in rows} == {"CHAN_START"}


@given(st.text(st.characters(codec="utf-8"), max_size=60))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_forges_a_row(journal: CelJournal, number: str) -> None:
    journal.path.write_bytes(line(1) + line(2, number) + line(3))
    assert [row.number for row in journal.rows(*EVER)] == ["89131234567", number, "89131234567"]


def test_a_file_without_any_line_end(journal: CelJournal) -> None:
    journal.path.write_bytes(b"x" * (40 * LONGEST_ROW))
    assert seconds(journal) == []
    journal.path.write_bytes(b"x" * (40 * LONGEST_ROW) + b"\n" + line(1))
    assert seconds(journal) == [1]


def test_reading_begins_near_the_time_and_holds_no_file_in_memory(journal: CelJournal) -> None:
    journal.path.write_bytes(b'"garbage\n' + lines(0, 40_000))
    size = journal.path.stat().st_size
    with journal.path.open("ab") as file:
        file.write(line(40_000))
    tracemalloc.start()
    try:
        assert seconds(journal, 39_990) == [*range(39_990, 40_001)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert journal.damaged == 0, "the begin of the file is not read"
    assert peak < size / 4 < 8 * LONGEST_ROW * 4


@pytest.mark.parametrize("garbage", [b"", b"?" * (3 * LONGEST_ROW), b'"\n' * (LONGEST_ROW // 4)], ids=["none", "a line", "lines"])
def test_the_search_finds_each_row(journal: CelJournal, garbage: bytes) -> None:
    """Whatever is between the rows, and wherever the time is."""
    journal.path.write_bytes(lines(0, 1500) + garbage + b"\n" + lines(1500, 3000) + garbage + b"\n")
    for since in (0, 700, 1499, 1500, 1501, 2999):
        assert seconds(journal, since) == [*range(since, 3000)]


def mutated(data: bytes, random: Random) -> bytes:
    """Return real rows with pieces cut out, repeated, exchanged and overwritten."""
    for _ in range(random.randrange(1, 8)):
        one, other = sorted((random.randrange(len(data) + 1), random.randrange(len(data) + 1)))
        other = min(other, one + random.choice((1, 5, 50, 500)))
        piece = random.choice((b"", data[one:other] * 2, random.randbytes(other - one), b'"', b"\n", b'{"bridge_id":[]}'))
        data = data[:one] + piece + data[other:]
    return data


def folded(rows: Iterator[CelRow]) -> CallRegistry:
    registry, events = CallRegistry(), CelEvents()
    for row in rows:
        for event in events.read(row):
            registry.take(event)
    return registry


@given(st.sampled_from(sorted(STREAMS.glob("*.csv"))), st.randoms(use_true_random=False))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_stops_the_reader_or_the_fold(journal: CelJournal, stream: Path, random: Random) -> None:
    journal.path.write_bytes(mutated(stream.read_bytes(), random))
    for call in folded(journal.rows(*EVER)).calls.values():
        assert report_of(call).linkedid == call.linkedid


@given(st.binary(max_size=2000))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_to_their_end(journal: CelJournal, data: bytes) -> None:
    journal.path.write_bytes(data)
    folded(journal.rows(*EVER))


row_texts = st.one_of(
    st.text(max_size=20), st.sampled_from(["", "1.1", "1.2", "Dial", "Queue", "PJSIP/a-1", "Local/1@x-1;1", "{}"])
)


@given(
    st.lists(
        st.builds(
            CelRow,
            st.sampled_from(["CHAN_START", "APP_START", "ANSWER", "HANGUP", "CHAN_END", "BRIDGE_ENTER", "PICKUP", "FORWARD"]),
            st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001
            *[row_texts] * (COLUMNS - 2),
        ),
        max_size=30,
    )
)
@settings(max_examples=40)
def test_any_rows_are_folded(rows: list[CelRow]) -> None:
    folded(iter(rows))


def test_rows_of_real_calls_are_nearly_in_order(tmp_path: Path) -> None:
    """What the search by time relies on."""
    for stream in STREAMS.glob("*.csv"):
        path = tmp_path / stream.name
        path.write_bytes(stream.read_bytes())
        times = [row.at for row in CelJournal(path=path).rows(*EVER)]
        assert times
        assert all(later - earlier > timedelta(milliseconds=-50) for earlier, later in pairwise(times))
