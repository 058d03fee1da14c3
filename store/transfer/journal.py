"""The journal of `store.transfer.objects`, with which an interrupted run, and the next, go on."""

from pathlib import Path
from typing import Final

_COPIED: Final = "copied"
_VERIFIED: Final = "verified"


class MoveJournal:
    """The keys that were copied, and those that were read back, of earlier runs and this one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.copied, self.verified = set[str](), set[str]()

    def __enter__(self) -> "MoveJournal":
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").split("\n")[:-1]:
                what, _, key = line.partition(" ")
                (self.verified if what == _VERIFIED else self.copied).add(key)
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def note_copied(self, key: str) -> None:
        """Note a key before it is copied: what is copied is known, whenever the run is killed."""
        self._note(_COPIED, key, self.copied)

    def note_verified(self, key: str) -> None:
        """Note a key that was read back."""
        self._note(_VERIFIED, key, self.verified)

    def _note(self, what: str, key: str, among: set[str]) -> None:
        if key not in among:
            among.add(key)
            self._file.write(f"{what} {key}\n")
            self._file.flush()
