"""The channels and bridges that Asterisk has now, as the events that would lead there."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from agent.ami.event_layout import EventLayout
from agent.ami.protocol import Ami
from agent.calls.caller_text import name_in, number_in
from agent.calls.event_reader import is_beep, is_conference, people_talk_in
from agent.calls.events import BridgeEntered, ChannelStarted, HoldingEntered

LAYOUTS: Final = {"CoreShowChannel": EventLayout(lead=("ActionID",), tail=("Duration",), may_follow=("BridgeId",))}


_AGENT_LOGIN: Final = "AgentLogin"

Listed = ChannelStarted | HoldingEntered | BridgeEntered


async def snapshot(ami: Ami, now: datetime) -> list[Listed]:
    """Return all channels, each followed by the bridge that it talks in. Raises AmiError.

    An agent on an open line is known by its application, also while it talks.

    A channel that began a call comes before the other channels of the call.
    """
    seen: list[Listed] = []
    rows = await ami.listing("CoreShowChannels")
    listed = await ami.listing("BridgeList") if any(row.get("BridgeId") for row in rows) else []
    bridges = {row["BridgeUniqueid"]: row for row in listed if row.get("BridgeUniqueid")}
    for row in sorted(rows, key=_age):
        if not all(row.get(key) for key in ("Linkedid", "Uniqueid", "Channel")) or is_beep(row["Channel"]):
            continue
        seen.append(
            ChannelStarted(
                at=now - _duration(row.get("Duration", "")),
                linkedid=row["Linkedid"],
                uniqueid=row["Uniqueid"],
                name=row["Channel"],
                exten=number_in(row, "Exten"),
                caller_num=number_in(row, "CallerIDNum"),
                caller_name=name_in(row),
            )
        )
        if row.get("Application") == _AGENT_LOGIN:
            seen.append(HoldingEntered(at=now, linkedid=row["Linkedid"], uniqueid=row["Uniqueid"], agent=True))
        bridge = bridges.get(row.get("BridgeId", ""))
        if bridge is not None and people_talk_in(bridge):
            conference = is_conference(bridge)
            seen.append(
                BridgeEntered(
                    at=now,
                    linkedid=row["Linkedid"],
                    uniqueid=row["Uniqueid"],
                    bridge=row["BridgeId"],
                    conference=conference,
                    room=number_in(row, "Exten") if conference else "",
                    late=True,
                )
            )
    return seen


def _age(row: Mapping[str, str]) -> tuple[bool, str, int]:
    """Return a sort key: the channel that names the call first, then the numbers of the channels.

    Durations are no key, as Asterisk gives whole seconds.
    """
    stem, _, number = row.get("Uniqueid", "").rpartition(".")
    return row.get("Uniqueid") != row.get("Linkedid"), stem, int(number) if number.isdecimal() else 0


def _duration(text: str) -> timedelta:
    """Parse `HH:MM:SS` as Asterisk writes it; anything else counts as zero."""
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return timedelta()
    return timedelta(hours=int(parts[0]), minutes=int(parts[1]), seconds=int(parts[2]))
