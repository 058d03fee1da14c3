"""The check of a store, in stages that a later run can continue.

The check works while the service runs. What it finds is looked at again at its end: a recording may
have been deleted, or may have arrived, while it was checked.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from store.database.store import Store
from store.integrity.chain_check import chain_steps, head_steps
from store.integrity.checkpoint import Checkpoint
from store.integrity.counter_check import counter_steps, still_differs
from store.integrity.findings import Finding, Kind, Position, Step
from store.integrity.mend import MakePeaks, mend
from store.integrity.object_check import object_count, object_steps, still_wrong
from store.integrity.orphan_check import is_orphan, orphan_steps

_OF_OBJECTS: Final = frozenset({Kind.MISSING, Kind.ALTERED, Kind.PEAKS_MISSING, Kind.PEAKS_ALTERED})

Progress = Callable[[str, int, int | None], None]
"""Called with a stage, the things it has looked at, and how many there are, None if unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedHeads:
    """A log with lines `audit.head`, and the public key that must have signed them."""

    log: Path
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was looked at, by stage, and what was found. `continued`: an earlier check began it."""

    looked_at: dict[str, int]
    found: tuple[Finding, ...]
    continued: bool

    def document(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "looked_at": self.looked_at,
            "continued": self.continued,
            "findings": [{key: value for key, value in finding.document().items() if key != "key"} for finding in self.found],
        }


async def verified(
    store: Store,
    *,
    make_peaks: MakePeaks | None = None,
    heads: LoggedHeads | None = None,
    progress: Progress = lambda stage, looked_at, total: None,
) -> Report:
    """Check a store, and mend it if `make_peaks` is given. Raises StoreError.

    After a kill the next call continues. Never more than one thread works at a time.
    """
    settings = f"heads={heads.log if heads else ''}"
    workspace = store.objects.workspace
    checkpoint = Checkpoint(workspace.with_name(f"{workspace.name}-verify.jsonl"), settings=settings)
    checkpoint.open()
    try:
        await _run(store, checkpoint, heads, progress)
        found = [finding for finding in checkpoint.found if await _holds(store, finding)]
        if make_peaks is not None:
            found = [replace(finding, mended=await mend(store, finding, make_peaks)) for finding in found]
    except BaseException:
        checkpoint.close(finished=False)
        raise
    checkpoint.close(finished=True)
    return Report(looked_at=checkpoint.looked_at, found=tuple(found), continued=checkpoint.continued)


async def _run(store: Store, checkpoint: Checkpoint, heads: LoggedHeads | None, progress: Progress) -> None:
    stages: dict[str, Callable[[Position], AsyncIterator[Step]]] = {
        "objects": lambda after: object_steps(store, after),
        "files": lambda after: orphan_steps(store, after),
        "counters": lambda after: counter_steps(store, after),
        "chains": lambda after: chain_steps(store, after),
    }
    if heads is not None:
        stages["heads"] = lambda after: head_steps(store, heads.log, heads.key, after)
    names = list(stages)
    begin = names.index(checkpoint.stage) if checkpoint.stage else 0
    for name in names[begin:]:
        total = await object_count(store) if name == "objects" else None
        progress(name, checkpoint.looked_at.get(name, 0), total)
        steps = stages[name](checkpoint.position if name == checkpoint.stage else None)
        async for step in steps:
            checkpoint.step(name, step)
            progress(name, checkpoint.looked_at[name], total)


async def _holds(store: Store, finding: Finding) -> bool:
    if finding.kind in _OF_OBJECTS:
        return await still_wrong(store, finding)
    if finding.kind is Kind.ORPHANED:
        async with store.reading() as connection:
            return await is_orphan(connection, store.objects, finding)
    return finding.kind is not Kind.COUNTERS or await still_differs(store, finding)
