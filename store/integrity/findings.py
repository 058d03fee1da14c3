"""What `fonoteka verify` finds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

Position = int | str | None
"""Where a stage of the check is: the check goes on after it."""


class Kind(StrEnum):
    """What is wrong. The names are part of the output of `verify --json`."""

    MISSING = "missing"
    ALTERED = "altered"
    PEAKS_MISSING = "peaks_missing"
    PEAKS_ALTERED = "peaks_altered"
    ORPHANED = "orphaned"
    COUNTERS = "counters"
    CHAIN = "chain"
    HEAD = "head"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A difference.

    `subject` is the public id of a call, the name of a file, a month or the number of an entry.
    `key` is what the check needs to find it again. `mended` says what was done, None if nothing.
    """

    kind: Kind
    domain: str
    subject: str
    detail: str
    key: tuple[int | str, ...] = ()
    mended: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the finding for JSON."""
        return asdict(self) | {"key": list(self.key)}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Finding":
        """Read what `document` returned."""
        return cls(**{**document, "kind": Kind(document["kind"]), "key": tuple(document["key"])})


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A part of the check: where it ends, how many things it looked at, and what it found."""

    position: Position
    looked_at: int
    found: Sequence[Finding]
