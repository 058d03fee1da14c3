"""The doctor looks at the CEL journal itself: rows, columns, growth."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fonoteka.cli.doctor import journal
from tests.unit.agent.calls.test_recorded_streams import STREAMS

OLDER = (STREAMS / "in_answered.csv").read_bytes()  # without the account code
OLDEST = OLDER.replace(b',""\n', b"\n").replace(b',"(Outgoing Line)"\n', b"\n")
REAL = (STREAMS / "callback_by_trunk.csv").read_bytes()
NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("data", "newest_channel_at", "ok", "said"),
    [
        (REAL, None, True, "can be read"),
        (REAL + b'"CHAN_ST', NOW, True, "can be read"),
        (b"", None, True, "no call yet"),
        (OLDEST, None, False, "12 columns of 14: who rings whom"),
        (OLDER, None, False, "13 columns of 14: the account code"),
        (b"no journal\n", None, False, "no row"),
        (REAL, NOW + timedelta(minutes=1), False, "does not grow"),
    ],
    ids=["good", "being written", "empty", "the oldest kit", "an older kit", "another file", "not written"],
)
def test_the_journal(tmp_path: Path, data: bytes, newest_channel_at: datetime | None, ok: bool, said: str) -> None:
    path = tmp_path / "fonoteka.csv"
    path.write_bytes(data)
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    finding = journal.check(path, newest_channel_at)
    assert (finding.ok, said in finding.detail) == (ok, True), finding


def test_a_folder_in_its_place_cannot_be_read(tmp_path: Path) -> None:
    assert journal.check(tmp_path, None).ok is False


@pytest.mark.parametrize(
    ("version", "is_costly"),
    [
        ("22.10.1~dfsg+~cs6.16", False),
        ("22.8.2", True),
        ("20.19.0", False),
        ("20.9.3", True),
        ("23.2.0", True),
        ("23.3.0", False),
        ("21.12.0", True),
        ("18.20.0", True),
        ("certified/20.7-cert4", True),
        ("24.0.0", False),
        ("?", False),
    ],
)
def test_an_asterisk_in_which_cel_costs_much(version: str, is_costly: bool) -> None:
    assert bool(list(journal.cost(version))) == is_costly
