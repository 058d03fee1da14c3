"""Check that no other agent records the calls of this Asterisk."""

from pathlib import Path

from agent.ami.protocol import Ami
from agent.recording.pbx_claim import read_claims
from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.errors import AmiActionFailed
from fonoteka.core.spool import Spool


async def check(ami: Ami, spool: Path) -> list[Finding]:
    """Compare the claim in AstDB with the agent of `spool`; nothing where there is no claim."""
    try:
        found = (await read_claims(ami)).claim
    except AmiActionFailed:  # the checks of the account say so
        return []
    if found is None or found.ended:
        return []
    own = found.identity == Spool(spool).identity()
    return [
        Finding(
            part="asterisk",
            check="one agent",
            ok=own,
            detail=f"{found.place} records the calls" + ("" if own else f", and not the agent of {spool}"),
            mend="stop one of the two; an agent that is started takes over within 15 s after the other was killed",
        )
    ]
