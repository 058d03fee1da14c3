"""When a call ended whose end the agent missed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from agent.ami.protocol import Ami
from agent.calls.call_state import Call
from fonoteka.core.errors import AmiError

UNWRITTEN: Final = timedelta(seconds=2)
"""What an Asterisk that dies has not written of a leg: up to 32 KiB, 2 s at 8 kHz."""


class UnseenEnd:
    """Dates the end of calls that ended while the agent was not connected.

    `last_written` returns when Asterisk last wrote to a leg of a call. The time of the last change
    of `link_file` is when Asterisk was last connected.
    """

    def __init__(self, ami: Ami, last_written: Callable[[Call], datetime | None], link_file: Path) -> None:
        self._ami, self._last_written, self._link_file = ami, last_written, link_file
        self._closed_at: datetime | None = None  # when Asterisk closed the connection
        self._asterisk_started_at: datetime | None = None

    def link_down(self, *, closed: bool) -> None:
        """Note that the connection is lost. `closed`: by Asterisk, perhaps as it died."""
        self._closed_at = datetime.now(UTC) if closed else self._closed_at

    async def link_up(self) -> None:
        """Ask since when Asterisk runs, before the calls are compared."""
        self._asterisk_started_at = await _started_at(self._ami)

    def compared(self) -> None:
        """Note that the calls are those of Asterisk now."""
        self._closed_at = None

    def of(self, call: Call) -> datetime:
        """Return when a call ended.

        It is the last write to a leg of the call, or the time when Asterisk closed the connection,
        else the last time Asterisk was connected. An Asterisk that was started since had not
        written all: the talk ended later than the last write, but not after the start. So the
        recording is found to be shorter than the talk.
        """
        now, written_at = datetime.now(UTC), self._last_written(call)
        connected_at = datetime.fromtimestamp(self._link_file.stat().st_mtime, UTC) if self._link_file.exists() else now
        last_event_at = call.moments[-1].at if call.moments else call.started_at
        if written_at is not None and self._closed_at is None and (started_at := self._asterisk_started_at) is not None:
            written_at = max(written_at, min(started_at, written_at + UNWRITTEN))
        ended_at = max(written_at or connected_at, self._closed_at or last_event_at)
        return max(last_event_at, min(ended_at, now))  # a file may be of before the clock was set back


async def _started_at(ami: Ami) -> datetime | None:
    """Return the end of the second in which Asterisk was started, None if it does not say.

    Asterisk gives its local time. Should its zone be another one, the result is hours away, which
    changes nothing or gives the later bound of `UnseenEnd.of`.
    """
    try:
        status = await ami.action("CoreStatus")
        local = f"{status['CoreStartupDate']} {status['CoreStartupTime']}"
        return datetime.strptime(local, "%Y-%m-%d %H:%M:%S").astimezone(UTC) + timedelta(seconds=1)
    except (AmiError, KeyError, ValueError):
        return None
