"""Check the rights of the AMI account; `ListCommands` lists the actions of this session."""

from collections.abc import AsyncIterator
from typing import Final

from agent.ami.client import AmiClient
from fonoteka.cli.doctor.finding import Finding

# Action → purpose. Each needs `write = system` or `reporting`
# (docs/decisions/0004-manager-account.md).
NEEDED: Final = {
    "MixMonitor": "to record",
    "StopMixMonitor": "to end a recording",
    "MixMonitorMute": "to pause a recording",
    "Getvar": "to know which recorder is whose",
    "CoreShowChannels": "to see which calls are going on",
    "DBPut": "to tell the dialplan who is recorded",
}


async def check(client: AmiClient) -> AsyncIterator[Finding]:
    """Yield one finding for all actions, or one for each action that is missing."""
    may = await client.action("ListCommands")
    closed = {action: why for action, why in NEEDED.items() if action not in may}
    if not closed:
        yield Finding(part="asterisk", check="rights of the account", ok=True, detail=f"{', '.join(NEEDED)} are open to it")
    for action, why in closed.items():
        yield Finding(
            part="asterisk",
            check="rights of the account",
            ok=False,
            detail=f"{action} is not open to it (needed {why})",
            mend="write = system,reporting in its section of manager.conf, then asterisk -rx 'manager reload'; "
            "if that is so, the action's module is not loaded",
        )
