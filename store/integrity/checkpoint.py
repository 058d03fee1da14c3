"""The progress of a check on the disk: after a kill, the next one continues where it was.

One line of JSON for the begin, and one for each step; a line that was not written whole is ignored.
"""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from fonoteka.core.errors import ConfigurationError
from store.integrity.findings import Finding, Position, Step

_VERSION: Final = 1
_EACH_S: Final = 1.0
_LASTS_S: Final = 24 * 3600.0  # what was found longer ago says little about now


class Checkpoint:
    """The stage and position of a check, and its findings so far.

    Findings are written at once, positions each second.
    """

    def __init__(self, path: Path, *, settings: str) -> None:
        self._path, self._settings = path, settings
        self.stage: str | None = None
        self.position: Position = None
        self.looked_at: dict[str, int] = {}
        self.found: list[Finding] = []
        self.continued = False
        self._file: IO[str] | None = None
        self._saved = 0.0

    def open(self) -> None:
        """Read what an earlier check left, unless it had other settings or is a day old.

        Raises ConfigurationError.
        """
        try:
            if self._path.exists():
                self._read()
            if not self.continued:
                self._path.unlink(missing_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
            if not self.continued:
                self._write({"version": _VERSION, "settings": self._settings, "began": time.time()})
        except OSError as error:
            raise ConfigurationError(
                f"the progress of the check cannot be kept in {str(self._path)!r}: {error.strerror}"
            ) from error

    def step(self, stage: str, step: Step) -> None:
        """Take a step into account."""
        self.stage, self.position = stage, step.position
        self.looked_at[stage] = self.looked_at.get(stage, 0) + step.looked_at
        self.found += step.found
        if step.found or time.monotonic() - self._saved > _EACH_S:
            found = [finding.document() for finding in step.found]
            self._write({"stage": stage, "position": step.position, "looked_at": self.looked_at, "found": found})

    def close(self, *, finished: bool) -> None:
        """Close the file, and delete it if the check is finished."""
        if self._file is not None:
            self._file.close()
        if finished:
            self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        begun, *lines = [*_documents(self._path)] or [{}]
        is_same = (begun.get("version"), begun.get("settings")) == (_VERSION, self._settings)
        if not is_same or not 0 <= time.time() - begun["began"] < _LASTS_S:
            return
        self.continued = True
        for line in lines:
            self.stage, self.position, self.looked_at = line["stage"], line["position"], line["looked_at"]
            self.found += map(Finding.of_document, line["found"])

    def _write(self, document: dict[str, Any]) -> None:
        assert self._file is not None
        # A newline first: what a kill left of the last line stays a line of its own.
        self._file.write("\n" + json.dumps(document))
        self._file.flush()
        self._saved = time.monotonic()


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            yield json.loads(line)
