"""`fonoteka spool`: what waits on this PBX and what was set aside, why; and set it going again.

Works beside a running agent and mixer: everything is one rename.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from agent.recording.away import FOLDER
from agent.shipping.refused_calls import AGAIN, ASIDE, read_refused
from fonoteka.core.errors import ConfigurationError, SpoolError
from fonoteka.core.manifest import read_failure
from fonoteka.core.spool import ItemState, Spool

_WAITING: Final = {
    "calls": "in progress, or not taken by the store yet",
    FOLDER: "legs that the dialplan recorded, of calls that the agent does not know",
    ItemState.RECORDING: "being recorded",
    ItemState.CLOSED: "to be mixed",
    ItemState.MIXING: "being mixed",
    ItemState.MIXED: "to be sent",
}
# Journal files that the agent could not read (agent/reporting/journal.py).
_UNREAD: Final = {
    ".broken": "the file of a call in progress cannot be read; the log of the agent has the reason",
    ".newer": "a newer version of the agent wrote this file; it reads the file again after `retry`",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """Calls or recordings in one state."""

    state: str
    meaning: str
    count: int
    size_bytes: int
    oldest_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """A call, a recording or a file of the journal that is not tried again by itself."""

    kind: str
    name: str
    age_s: float
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What is in a spool."""

    spool: str
    waiting: list[Waiting]
    set_aside: list[SetAside]


def contents(spool: Spool) -> Contents:
    """Look into a spool. Raises SpoolError if there is none."""
    if not spool.calls.is_dir():
        raise SpoolError(f"pbx.spool = {str(spool.root)!r}: there is no spool here")
    return Contents(spool=str(spool.root), waiting=list(_waiting(spool)), set_aside=list(set_aside(spool)))


def _waiting(spool: Spool) -> Iterator[Waiting]:
    for state, meaning in _WAITING.items():
        found = spool.items(state) if isinstance(state, ItemState) else list((spool.root / state).glob("*.wav"))
        if state == spool.calls.name:
            found = [*spool.calls.glob("*.json"), *spool.refused.glob(f"*{AGAIN}")]
        sizes_and_ages = [(_size(path), _age_s(path)) for path in found]
        yield Waiting(
            state=state,
            meaning=meaning,
            count=len(found),
            size_bytes=sum(size for size, _ in sizes_and_ages),
            oldest_s=max((age_s for _, age_s in sizes_and_ages), default=0.0),
        )


def set_aside(spool: Spool) -> Iterator[SetAside]:
    """Yield what was set aside in a spool, with the reason."""
    for item in spool.items(ItemState.REJECTED):
        try:
            failure = read_failure(item)
            reason = f"{failure.reason}: {failure.detail}"
        except SpoolError as error:
            reason = str(error)
        yield SetAside(kind="recording", name=item.name, age_s=_age_s(item), reason=" ".join(reason.split()))
    for path in sorted(spool.refused.glob(f"*{ASIDE}")):
        try:
            reason = read_refused(path).reason
        except SpoolError as error:
            reason = str(error)
        yield SetAside(kind="call", name=path.stem, age_s=_age_s(path), reason=" ".join(reason.split()))
    for suffix, reason in _UNREAD.items():
        for path in sorted(spool.calls.glob(f"*{suffix}")):
            yield SetAside(kind="journal", name=path.name, age_s=_age_s(path), reason=reason)


def retry(spool: Spool, name: str) -> str:
    """Put what was set aside under a name back; return what happens next.

    Raises ConfigurationError if nothing has the name.
    """
    match next((aside.kind for aside in set_aside(spool) if aside.name == name), None):
        case "recording":
            # The legs are there until the store's receipt.
            spool.move(spool.folder(ItemState.REJECTED) / name, ItemState.CLOSED)
            return f"{name}: to be mixed and sent again"
        case "call":
            (spool.refused / f"{name}{ASIDE}").replace(spool.refused / f"{name}{AGAIN}")
            return f"{name}: the agent sends the call again"
        case "journal":
            (spool.calls / name).replace((spool.calls / name).with_suffix(".json"))
            return f"{name}: the agent reads the file when it starts next"
    raise ConfigurationError(f"nothing that was set aside is named {name!r} (see: fonoteka spool)")


def to_json(found: Contents) -> str:
    """Return the contents as JSON."""
    return json.dumps(asdict(found), ensure_ascii=False)


def to_text(found: Contents) -> str:
    """Return the contents as text."""
    lines = [f"waits in {found.spool}:"]
    for waiting in found.waiting:
        oldest = f", the oldest for {_words(waiting.oldest_s)}" if waiting.count else ""
        size = f", {waiting.size_bytes / 1e6:.1f} MB" if waiting.count else ""
        lines.append(f"  {waiting.state:<10} {waiting.count:>6}  {waiting.meaning}{size}{oldest}")
    if not found.set_aside:
        return "\n".join([*lines, "nothing was set aside"])
    lines.append(f"set aside ({len(found.set_aside)}; try again: fonoteka spool retry NAME):")
    lines.extend(f"  {aside.kind} {aside.name}, for {_words(aside.age_s)}: {aside.reason}" for aside in found.set_aside)
    return "\n".join(lines)


def _words(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _age_s(path: Path) -> float:
    try:
        return max(0.0, time.time() - path.lstat().st_mtime)
    except FileNotFoundError:  # it moved on meanwhile
        return 0.0


def _size(path: Path) -> int:
    """Return the bytes of a file, or of the files in a folder; 0 for what moved on meanwhile."""
    with suppress(FileNotFoundError):
        if path.is_dir():
            with os.scandir(path) as entries:
                return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
        return path.lstat().st_size
    return 0
