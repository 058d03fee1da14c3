"""Check the mixer by the spool: no recording waits long, none was set aside."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration
from fonoteka.core.errors import FonotekaError
from fonoteka.core.manifest import read_failure
from fonoteka.core.spool import ItemState, Spool

WAITS_TOO_LONG_S: Final = 60.0


def check(configuration: Configuration) -> Iterator[Finding]:
    """Check that the mixer keeps up, and count the recordings that were set aside."""
    spool = Spool(configuration.pbx.spool)
    waiting = spool.items(ItemState.CLOSED)
    now = time.time()
    oldest_s = now - min((item.stat().st_mtime for item in waiting), default=now)
    yield Finding(
        part="mixer",
        check="keeps up",
        ok=oldest_s < WAITS_TOO_LONG_S,
        detail=f"{len(waiting)} recordings wait, the oldest for {oldest_s:.0f} s",
        mend="is `fonoteka mixer` (or `up`) running on this spool? If it is, raise mixer.workers",
    )
    reasons: Counter[str] = Counter()
    for item in spool.items(ItemState.REJECTED):
        try:
            reasons[read_failure(item).reason] += 1
        except FonotekaError:
            reasons["unreadable"] += 1
    yield Finding(
        part="mixer",
        check="nothing set aside",
        ok=not reasons,
        detail=", ".join(f"{count} × {reason}" for reason, count in reasons.items()) or "none",
        mend=f"look into {spool.folder(ItemState.REJECTED)}: each folder has its legs and a failure.json; remove it when done",
    )
