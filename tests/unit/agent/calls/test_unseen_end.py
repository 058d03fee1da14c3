"""When a call ended whose end the agent missed."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.calls.call_state import Call
from agent.calls.unseen_end import UnseenEnd
from fonoteka.core.errors import AmiTimeout

NOW = datetime.now(UTC).replace(microsecond=0)
CALL = Call(linkedid="1795391022.0", started_at=NOW - timedelta(seconds=300))


class Asterisk:
    """An Asterisk that says when it was started, or nothing."""

    def __init__(self, started_at: datetime | None) -> None:
        self.started_at = started_at

    async def action(self, name: str, timeout_s: float = 10, **_: Any) -> dict[str, str]:
        assert name == "CoreStatus"
        if self.started_at is None:
            raise AmiTimeout("no answer")
        local = self.started_at.astimezone()
        return {"CoreStartupDate": f"{local:%Y-%m-%d}", "CoreStartupTime": f"{local:%H:%M:%S}"}


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("written_at", "started_at", "ended_at"),
    [
        pytest.param(ago(100), None, ago(100), id="Asterisk does not say since when it runs"),
        pytest.param(ago(100), ago(9000), ago(100), id="Asterisk ran on, so the last write was the last"),
        pytest.param(ago(100), ago(100), ago(99), id="started in the second of the last write, perhaps at its end"),
        pytest.param(ago(100), ago(30), ago(98), id="started long after it: the unwritten rest has 2 s at most"),
        pytest.param(ago(100), NOW + timedelta(hours=5), ago(98), id="a start in the future, by the zone of another machine"),
        pytest.param(None, ago(30), ago(200), id="no legs: when Asterisk was last connected"),
    ],
)
async def test_the_end_while_the_agent_was_down(
    tmp_path: Path, written_at: datetime | None, started_at: datetime | None, ended_at: datetime
) -> None:
    end = unseen_end(tmp_path, written_at, started_at)
    await end.link_up()
    assert end.of(CALL) == ended_at


async def test_an_asterisk_that_died_before_the_agents_eyes(tmp_path: Path) -> None:
    """The connection was closed then: there is nothing to guess."""
    end = unseen_end(tmp_path, ago(100), started_at=NOW)
    end.link_down(closed=True)
    await end.link_up()
    assert NOW <= end.of(CALL) <= datetime.now(UTC)
    end.compared()
    assert end.of(CALL) == ago(98)


def unseen_end(folder: Path, written_at: datetime | None, started_at: datetime | None) -> UnseenEnd:
    link_file = folder / "heard"
    link_file.touch()
    os.utime(link_file, (ago(200).timestamp(),) * 2)
    return UnseenEnd(Asterisk(started_at), lambda _: written_at, link_file)  # type: ignore[arg-type]
