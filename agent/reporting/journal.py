"""Keep the calls that are not settled in the spool, so that a restarted agent continues them.

One file per call, replaced atomically: `{"version": 2, "call": {…}}`. A file is removed when the
store has the last report of the call and its recordings are accounted for.

A change of the format (tests/data/journal lists the fields) raises `VERSION` and adds the function
that upgrades the version before it to `_UPGRADES`. An agent thus continues the calls of the agent
it replaced.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import TypeAdapter
from pydantic_core import from_json

from agent.calls.call_state import Call
from fonoteka.core.atomic_file import drafted, sync_folder
from fonoteka.core.naming import safe
from fonoteka.core.plain_file import read_plain

VERSION: Final = 2
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


_UPGRADES: Final[Mapping[int, Callable[[_Document], _Document]]] = {1: _from_version_1}


def _version(document: object) -> int:
    """The version of a file; files of version 1 do not name it."""
    version = document.get("version", 1) if isinstance(document, dict) else VERSION
    return version if isinstance(version, int) and version > 0 else VERSION


def _call(document: Any) -> Call:
    """Upgrade a file version by version, and return its call. Raises ValidationError."""
    for version in range(_version(document), VERSION):
        document = _UPGRADES[version](document)
    return FILE.validate_python(document).call


class Journal:
    """The folder `calls/` of a spool."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, call: Call, *, sync: bool = False) -> None:
        """Replace the file of a call atomically. A failure is logged, never raised.

        With `sync` the content is on the disk on return, and the name of the file after the next
        `sync()`.
        """
        path = self._path(call.linkedid)
        try:
            with drafted(path, path.with_name(f".{path.name}.new"), sync=sync) as file:
                file.write(FILE.dump_json(JournalFile(version=VERSION, call=call)))
        except OSError as error:
            _log.error("journal.write_failed", linkedid=call.linkedid, reason=str(error))

    def sync(self) -> None:
        """Flush the names of written and removed files to the disk. Raises OSError."""
        sync_folder(self._folder)

    def remove(self, linkedid: str) -> None:
        """Remove the file of a settled call."""
        self._path(linkedid).unlink(missing_ok=True)

    def read(self) -> list[Call]:
        """Return the calls of an earlier run.

        A file that cannot be read is renamed and logged, never fatal: to `.newer` if a newer agent
        wrote it, so that the newer agent reads it again after it is renamed to `.json`, otherwise
        to `.broken`.
        """
        calls = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                document = from_json(read_plain(path))
                if (version := _version(document)) > VERSION:
                    _set_aside(path, ".newer", f"version {version}, this agent reads versions 1 to {VERSION}")
                else:
                    calls.append(_call(document))
            except (OSError, ValueError) as error:
                _set_aside(path, ".broken", str(error))
        return calls

    def _path(self, linkedid: str) -> Path:
        return self._folder / f"{safe(linkedid)}.json"


def _set_aside(path: Path, suffix: str, reason: str) -> None:
    aside = path.with_suffix(suffix)
    path.replace(aside)
    _log.error("journal.set_aside", file=str(aside), reason=reason)
