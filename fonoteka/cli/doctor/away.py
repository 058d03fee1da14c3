"""Check what recording by the dialplan needs (`pbx.record_when_away`), beside the kit's lines."""

import time

from agent.recording.astdb_mirror import FAMILY
from agent.recording.away import HEARTBEAT, STALE_AFTER_S
from fonoteka.cli.doctor.finding import Finding
from fonoteka.cli.doctor.kit import PART, Pbx, may_not_ask
from fonoteka.core.errors import AmiActionFailed


async def check(pbx: Pbx) -> list[Finding]:
    """Check the agent's heartbeat in AstDB, and that calls without an agent get a row."""
    journal = pbx.configuration.pbx.cel_journal
    return [
        await _heartbeat(pbx),
        Finding(
            part=PART,
            check="rows of calls without an agent",
            ok=journal is not None,
            detail=f"from {journal}" if journal is not None else "none: recordings of such calls would wait in the spool",
            mend="set pbx.cel_journal (asterisk_conf/README.md)",
        ),
    ]


async def _heartbeat(pbx: Pbx) -> Finding:
    try:
        rows = await pbx.client.listing("DBGetTree", Family=FAMILY, Key=HEARTBEAT)
    except AmiActionFailed as error:
        return may_not_ask("heartbeat", error, f"asterisk -rx 'database show {FAMILY} {HEARTBEAT}'")
    at = next((int(row["Val"]) for row in rows if row.get("Val", "").isdecimal()), None)
    age_s = time.time() - at if at is not None else None
    return Finding(
        part=PART,
        check="heartbeat",
        ok=age_s is not None and abs(age_s) <= STALE_AFTER_S,
        detail=f"{age_s:.0f} s old: the dialplan records if it is older than 10 s" if age_s is not None else "none in AstDB",
        mend="start the agent (fonoteka up or fonoteka agent) with pbx.record_when_away = true",
    )
