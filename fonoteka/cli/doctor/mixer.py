"""Check the spool: no recording waits long for the mixer, and nothing was set aside."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from fonoteka.cli.doctor.finding import Finding
from fonoteka.cli.spool import set_aside
from fonoteka.core.config import Configuration
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
    kinds = Counter(aside.kind for aside in set_aside(spool))
    yield Finding(
        part="spool",
        check="nothing set aside",
        ok=not kinds,
        detail=", ".join(f"{count} × {kind}" for kind, count in kinds.items()) or "none",
        mend="`fonoteka spool` prints each with its reason; `fonoteka spool retry NAME` tries again",
    )
