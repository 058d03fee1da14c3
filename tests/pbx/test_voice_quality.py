"""What a telephone loses or misses is in the call's row and path (docs/decisions/0037)."""

from typing import Any

import pytest

from tests.support.call_flows import PlayedFlows

pytestmark = pytest.mark.flows("badly_heard")


def heard(row: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The steps that tell how the sound arrived, by what they tell and of whom."""
    return {(step["what"], step["who"]): step["quality"] for step in row["path"] if step["quality"] is not None}


async def test_of_a_tenth_lost_asterisk_has_counted_what_came_before_its_last_report(flows: PlayedFlows) -> None:
    (row,) = flows["badly_heard"].rows
    employee = heard(row)["heard", "152"]
    assert 2.0 < employee["loss_pct"] <= 10.5
    assert 3.3 < employee["mos"] < 4.3
    assert employee["rtt_ms"] is None, "no report of a telephone: no round trip"


async def test_the_party_that_reports_what_it_missed_is_told_apart_from_the_one_that_was_not_heard(flows: PlayedFlows) -> None:
    (row,) = flows["badly_heard"].rows
    (customer,) = (quality for (what, who), quality in heard(row).items() if what == "hears" and who != "152")
    assert 1.0 < customer["loss_pct"] < 10.0
    assert customer["jitter_ms"] == 40


async def test_the_row_has_the_worst_leg_which_is_the_first_in_the_path(flows: PlayedFlows) -> None:
    (row,) = flows["badly_heard"].rows
    told = list(heard(row).values())
    assert len(told) == 2
    assert row["quality"] == told[0] == min(told, key=lambda quality: quality["mos"])
    assert row["path"][-1]["what"] == "end"


@pytest.mark.flows("behind_bad_network")
async def test_what_a_network_loses_is_in_the_row(flows: PlayedFlows) -> None:
    """In nine seconds Asterisk counts once or twice; `bench/bad_network.py` compares a minute."""
    (row,) = flows["behind_bad_network"].rows
    assert 5.0 < row["quality"]["loss_pct"] < 35.0
    assert row["quality"]["mos"] < 4.0
    assert len(heard(row)) == 2, "the other leg was measured, too"
