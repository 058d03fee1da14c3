"""What the mixer and its worker processes say to each other: one line of JSON each way."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fonoteka.core.call_report import MutedSpan, Reason
from fonoteka.core.manifest import AudioFormat, Layout, Mixed
from mixer.mix import Mixture


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Mix this item."""

    item: Path
    outside_leg: str
    employee_leg: str
    audio_format: AudioFormat
    layout: Layout
    talked_hz: int | None = None
    muted: tuple[MutedSpan, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """The legs cannot become a recording, however often one tries."""

    reason: Reason
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NoRoom:
    """The disk is full: the same item will do when there is room."""

    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Broke:
    """Something went wrong that may be the worker's own fault: it died, or hit what nobody foresaw."""

    detail: str


Reply = Mixture | Refused | NoRoom | Broke


def write_order(order: Order) -> bytes:
    """An order as a line."""
    return json.dumps(asdict(order) | {"item": str(order.item)}).encode() + b"\n"


def read_order(line: bytes) -> Order:
    """The order in a line that `write_order` made."""
    said = json.loads(line)
    return Order(
        item=Path(said["item"]),
        outside_leg=said["outside_leg"],
        employee_leg=said["employee_leg"],
        audio_format=AudioFormat(said["audio_format"]),
        layout=Layout(said["layout"]),
        talked_hz=said["talked_hz"],
        muted=tuple(MutedSpan(**span) for span in said["muted"]),
    )


def write_reply(reply: Reply) -> bytes:
    """A reply as a line."""
    return json.dumps({"kind": type(reply).__name__} | asdict(reply)).encode() + b"\n"


def read_reply(line: bytes) -> Reply:
    """The reply in a line that `write_reply` made."""
    said = json.loads(line)
    match said["kind"]:
        case "Mixture":
            mixed = said["mixed"]
            mixed |= {"format": AudioFormat(mixed["format"]), "layout": Layout(mixed["layout"])}
            return Mixture(mixed=Mixed(**mixed), troubles=tuple(said["troubles"]))
        case "Refused":
            return Refused(reason=Reason(said["reason"]), detail=said["detail"])
        case "NoRoom":
            return NoRoom(detail=said["detail"])
        case _:
            return Broke(detail=said["detail"])
