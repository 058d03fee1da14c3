"""Keep the calls that are not settled in the spool, so that a restarted agent continues them.

One file per call, replaced atomically: `{"version": 3, "call": {…}}`. A file is removed when the
store has the last report of the call and its recordings are accounted for.

A change of the format (tests/data/journal lists the fields) raises `VERSION` and adds the function
that upgrades the version before it to `_UPGRADES`. An agent thus continues the calls of the agent
it replaced.
"""

import errno
import heapq
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import TypeAdapter
from pydantic_core import from_json

from agent.calls.call_state import Call
from fonoteka.core.atomic_file import drafted, sync_folder
from fonoteka.core.naming import safe
from fonoteka.core.plain_file import read_plain

VERSION: Final = 3
_SUFFIX: Final = ".json"
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # the file itself is not at fault
_Document = dict[str, Any]
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalFile:
    """The content of one file."""

    version: int
    call: Call


FILE: Final = TypeAdapter(JournalFile)


def _from_version_1(document: _Document) -> _Document:
    """Wrap the call: a file of version 1 is the call alone and names no version."""
    return {"version": 2, "call": document}


def _from_version_2(document: _Document) -> _Document:
    """Turn the sum of the talks into a talk of this length, which began when the call was taken."""
    try:
        call = dict(document["call"])
        since, talk_ms = call.get("taken_at") or call["started_at"], call.pop("talk_ms", 0)
        until = datetime.fromisoformat(since) + timedelta(milliseconds=talk_ms)
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"no call of version 2: {error!r}") from error
    talks = [{"since": since, "until": until.isoformat()}] if talk_ms else []
    return {"version": 3, "call": {**call, "talks": talks}}


_UPGRADES: Final[Mapping[int, Callable[[_Document], _Document]]] = {1: _from_version_1, 2: _from_version_2}


def _version(document: object) -> int:
    """The version of a file; files of version 1 do not name it."""
    version = document.get("version", 1) if isinstance(document, dict) else VERSION
    return version if isinstance(version, int) and version > 0 else VERSION


def _call(document: Any) -> Call:
    """Upgrade a file version by version, and return its call. Raises ValueError."""
    for version in range(_version(document), VERSION):
        document = _UPGRADES[version](document)
    return FILE.validate_python(document).call


def name_of(linkedid: str) -> str:
    """Return the name of a call in the journal."""
    return safe(linkedid)


class Journal:
    """The folder `calls/` of a spool. While `may_write` returns False, it stays as it is."""

    def __init__(self, folder: Path, may_write: Callable[[], bool] = lambda: True) -> None:
        self._folder, self._may_write = folder, may_write
        self._unsynced: dict[str, Call] = {}  # as the files have them that were last written without `sync`

    def write(self, call: Call, *, sync: bool = False) -> bool:
        """Replace the file of a call atomically. A failure is logged, and False returned.

        With `sync` the content is on the disk on return, and the name of the file after the next
        `sync()`. Without it, a call that was written so and has not changed is not written again,
        as long as its file is there.
        """
        if not self._may_write():
            return False
        path = self._path(call.linkedid)
        if not sync and self._unsynced.get(call.linkedid) is call and path.is_file():
            return True
        try:
            with drafted(path, path.with_name(f".{path.name}.new"), sync=sync) as file:
                file.write(FILE.dump_json(JournalFile(version=VERSION, call=call)))
        except OSError as error:
            _log.error("journal.write_failed", linkedid=call.linkedid, reason=str(error))
            return False
        if sync:
            self._unsynced.pop(call.linkedid, None)
        else:
            self._unsynced[call.linkedid] = call
        return True

    def sync(self) -> None:
        """Flush the names of written and removed files to the disk. Raises OSError."""
        sync_folder(self._folder)

    def remove(self, linkedid: str) -> None:
        """Remove the file of a settled call."""
        self._unsynced.pop(linkedid, None)
        if self._may_write():
            self._path(linkedid).unlink(missing_ok=True)

    def read(self) -> Iterator[Call]:
        """Yield the calls of an earlier run."""
        return (call for name in sorted(self._names()) if (call := self.call(name)) is not None)

    def names(self, since: str, most: int) -> list[str]:
        """Return the first names of calls, from `since` on, in order: mostly that of their begin.

        The name of a call is `name_of(linkedid)`.
        """
        return heapq.nsmallest(most, (name for name in self._names() if name >= since))

    def call(self, linkedid: str) -> Call | None:
        """Return a call, given by its linkedid or its name; None if there is no such file.

        A file that cannot be read is renamed and logged, never fatal: to `.newer` if a newer agent
        wrote it, so that the newer agent reads it again after it is renamed to `.json`, otherwise
        to `.broken`.
        """
        path = self._path(linkedid)
        try:
            document = from_json(read_plain(path))
            if (version := _version(document)) <= VERSION:
                return _call(document)
            _set_aside(path, ".newer", f"version {version}, this agent reads versions 1 to {VERSION}")
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _SHORTAGES:
                _log.error("journal.read_failed", file=str(path), reason=str(error))
            else:
                _set_aside(path, ".broken", str(error))
        return None

    def _names(self) -> Iterator[str]:
        with os.scandir(self._folder) as entries:
            yield from (entry.name.removesuffix(_SUFFIX) for entry in entries if entry.name.endswith(_SUFFIX))

    def _path(self, linkedid: str) -> Path:
        return self._folder / f"{name_of(linkedid)}{_SUFFIX}"


def _set_aside(path: Path, suffix: str, reason: str) -> None:
    aside = path.with_suffix(suffix)
    with suppress(FileNotFoundError):  # set aside by another thread
        path.replace(aside)
    _log.error("journal.set_aside", file=str(aside), reason=reason)
