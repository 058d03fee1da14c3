"""Measure the reader of the CEL journal: find the last minute, read all rows, rebuild calls.

`python bench/cel_journal.py [--json] [--quick]`; the file is 1 GB, with --quick 50 MB.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

sys.path[0] = str(Path(__file__).parents[1])  # as a script, Python looks into bench/ first

from agent.cel.journal import CelJournal  # noqa: E402
from agent.cel.past_calls import missed_calls  # noqa: E402
from agent.rules.directory import Directory  # noqa: E402
from bench.assembling import example_domain  # noqa: E402
from bench.report import Result, print_result  # noqa: E402
from fonoteka.core.domains import DomainSettings  # noqa: E402

STREAM: Final = Path(__file__).parents[1] / "tests" / "data" / "streams" / "in_answered.csv"
BEGIN: Final = 1_700_000_000
EVERY_S: Final = 2
CALLS_REBUILT: Final = 5_000


def calls_of_a_pbx() -> Iterator[str]:
    """Yield the rows of one real call after the other, one each two seconds."""
    rows = [line.split('"', 4) for line in STREAM.read_text(encoding="utf-8").splitlines()]
    first = float(rows[0][3])
    second = int(rows[0][4].split('"')[1].partition(".")[0])
    number = 0
    while True:
        at = BEGIN + EVERY_S * number
        ids = (f'"{second}.', f'"{at}.{number}-')
        yield "".join(f'"{row[1]}","{at + float(row[3]) - first:.6f}"{row[4].replace(*ids)}\n' for row in rows)
        number += 1


def write(path: Path, size: int) -> int:
    """Write a journal of about this size. Returns the number of its calls."""
    calls = calls_of_a_pbx()
    count = size // len(next(calls_of_a_pbx()).encode())
    with path.open("w", encoding="utf-8") as file:
        file.writelines(islice(calls, count))
    return count


def measure(size: int) -> dict[str, float]:
    """Return the figures for a journal of this size."""
    directory = Directory(settings=DomainSettings(version=1, domains=(example_domain().settings,)))
    with tempfile.TemporaryDirectory() as folder:
        journal = CelJournal(path=Path(folder) / "fonoteka.csv")
        calls = write(journal.path, size)
        begin = datetime.fromtimestamp(BEGIN, UTC)
        end = begin + timedelta(seconds=EVERY_S * calls + 60)
        began = time.process_time()
        last_minute = sum(1 for _ in journal.rows(end - timedelta(seconds=120), end))
        found_s = time.process_time() - began
        began = time.process_time()
        rows = sum(1 for _ in journal.rows(begin, end))
        read_s = time.process_time() - began
        began = time.process_time()
        until = begin + timedelta(seconds=EVERY_S * CALLS_REBUILT)
        past = missed_calls(journal.rows(begin, until), since=begin, until=until, known=frozenset(), directory=directory)
        rebuilt = sum(1 for call in past if call is not None)
        rebuilt_s = time.process_time() - began
        return {
            "megabytes": round(journal.path.stat().st_size / 1e6),
            "last_minute_rows": last_minute,
            "last_minute_ms": round(1000 * found_s, 1),
            "rows_per_s": round(rows / read_s),
            "read_all_s": round(read_s, 1),
            "calls_rebuilt_per_s": round(rebuilt / rebuilt_s),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    figures = measure(50_000_000 if arguments.quick else 1_000_000_000)
    print_result(Result(name="cel_journal", figures=figures), as_json=arguments.json)
