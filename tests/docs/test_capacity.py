"""Compare docs/capacity.md with the formulae, and their figures with docs/benchmarks.md."""

from pathlib import Path
from typing import Final

import pytest

from bench.capacity import CALLS_PER_DAY, MEASURED, Assumptions, capacity, table

_DOCS: Final = Path(__file__).parents[2] / "docs"


def test_the_table_is_what_the_formulae_give() -> None:
    assert table(CALLS_PER_DAY, Assumptions()) in (_DOCS / "capacity.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_measured_is_in_the_benchmarks(name: str) -> None:
    value, quote = MEASURED[name]
    text = (_DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert quote.replace(" ", "") in text.replace(" ", "").replace("\n", "")
    assert f"{value:g}" in quote or f"{value:.0%}".rstrip("%") in quote


def test_a_day_by_hand() -> None:
    """3,600 calls in the busiest hour, each recorded for 100 s: a call and 100 talks a second."""
    given = Assumptions(recorded=1, talk_s=100, busiest_hour=1, retention_days=1, price_of_gb_month=10)
    found = capacity(3_600, given)
    assert (found.talks_at_once, found.network_mbit_per_s, found.recordings_gb) == pytest.approx((100, 2.4, 1.08))
    assert found.price_per_month == pytest.approx(10.8)
    assert found.spool_gb_per_hour == pytest.approx(11.52)
    assert found.pbx_cores == pytest.approx(0.0207 + 0.15)
