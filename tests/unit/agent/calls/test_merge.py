"""The agent dies between the journal of a call that continues and that of the part."""

from dataclasses import replace

import pytest

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call
from agent.calls.merge import merged_again, part_of
from tests.unit.agent.calls.test_recorded_streams import read_stream
from tests.unit.agent.fixtures import play, played

MERGES = ["attended_by_phone", "attended_by_phone_out", "picked_up", "parked_by_phone"]


def around_the_merge(name: str) -> tuple[list[Call], list[Call]]:
    """Return the calls before the first merge of a stream, and after it."""
    events = list(read_stream(name))
    before: list[Call] = []
    for number in range(1, len(events) + 1):
        calls = list(play(events[:number]).calls.values())
        if any(call.merged_into for call in calls):
            return before, calls
        before = calls
    raise AssertionError(f"nothing is merged in {name}")


@pytest.mark.parametrize("name", MERGES)
def test_a_part_that_was_not_written_as_one_is_one(name: str) -> None:
    before, after = around_the_merge(name)
    (part,) = (call for call in after if call.merged_into)
    (whole,) = (call for call in after if not call.merged_into)
    (stale,) = (call for call in before if call.linkedid == part.linkedid)
    (older,) = (call for call in before if call.linkedid == whole.linkedid)

    found = {call.linkedid: call for call in merged_again([stale, whole])}
    assert replace(found.pop(part.linkedid), revision=part.revision) == part
    assert found == {whole.linkedid: whole}
    assert CallRegistry(merged_again([stale, whole])).call(part.linkedid) == whole
    assert merged_again([part, whole]) == sorted((part, whole), key=lambda call: call.started_at)
    assert sorted(merged_again([stale, older]), key=str) == sorted((stale, older), key=str), "these are two calls"


def test_a_part_ends_after_its_talks() -> None:
    """A talk ends without a moment: its channels left the bridge, and live."""
    call = played(
        """
        0 start t PJSIP/trunk-1 2458152
        0 start p PJSIP/acme-152-2
        1 enter t x
        1 enter p x
        9 leave p x
        """
    )
    part = part_of(replace(call, linkedid="0"), call, call.revision + 1)
    assert part.ended_at is not None and part.ended_at >= part.talks[-1].until > call.moments[-1].at
