"""The calls that are not settled yet, as files in the spool: what the agent knows survives its death.

One file per call, replaced in one step. A file leaves when the store has the call's last word and its recordings are
accounted for.
"""

from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from agent.calls.call_state import Call
from fonoteka.core.atomic_file import drafted, sync_folder
from fonoteka.core.naming import safe

_CALL = TypeAdapter(Call)
_log = structlog.get_logger()


class Journal:
    """The folder `calls/` of a spool."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, call: Call, *, sync: bool = False) -> None:
        """Replace the call's file in one step. With `sync` its content is on the disk, and its name once `sync` is called.

        One that cannot be written is told of and stops nothing.
        """
        path = self._path(call.linkedid)
        try:
            with drafted(path, path.with_name(f".{path.name}.new"), sync=sync) as file:
                file.write(_CALL.dump_json(call))
        except OSError as error:
            _log.error("journal.not_written", linkedid=call.linkedid, error=str(error))

    def sync(self) -> None:
        """Have the disk know every name that was written, and those that were removed. Raises OSError."""
        sync_folder(self._folder)

    def remove(self, linkedid: str) -> None:
        """Forget a call that is settled."""
        self._path(linkedid).unlink(missing_ok=True)

    def read(self) -> list[Call]:
        """All calls that an earlier run left behind. A broken file is put aside and told of, never fatal."""
        calls = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                calls.append(_CALL.validate_json(path.read_bytes()))
            except (OSError, ValidationError) as error:
                aside = path.with_suffix(".broken")
                path.replace(aside)
                _log.error("journal.broken", file=str(aside), error=str(error))
        return calls

    def _path(self, linkedid: str) -> Path:
        return self._folder / f"{safe(linkedid)}.json"
