"""A PBX for the demo in containers: `python -m lab.demo.pbx FOLDER` runs Asterisk and telephones.

FOLDER is shared with an agent and a mixer. It gets `fonoteka.toml` for them, once Asterisk has
booted, and before it `company.toml` for `fonoteka apply`.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

from lab.asterisk.rootfs import find_or_build
from lab.asterisk.server import LabAsterisk
from lab.base.company import ACME, apply_text
from lab.demo.demo_traffic import keep_calling_when_recorded
from lab.tools.pbx_section import pbx_section

_AGENT: Final = """
[agent]
api = "http://nginx:8081"
allow_plain_http = true
token_file = "agent.token"
metrics = "0.0.0.0:9108"
"""


async def run(folder: Path) -> None:
    """Run until cancelled. Raises LabError."""
    configuration = folder / "fonoteka.toml"
    configuration.unlink(missing_ok=True)
    async with LabAsterisk(find_or_build(), folder, ACME) as pbx:
        (pbx.spool / "settings.json").unlink(missing_ok=True)
        (folder / "company.toml").write_text(apply_text(*pbx.companies), encoding="utf-8")
        configuration.write_text(pbx_section(pbx) + _AGENT, encoding="utf-8")
        await keep_calling_when_recorded(pbx)


async def _until_signalled(folder: Path) -> None:
    task = asyncio.ensure_future(run(folder))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.gather(task, return_exceptions=not task.cancelled())


if __name__ == "__main__":
    os.umask(0o027)  # the configuration has the secret of AMI
    asyncio.run(_until_signalled(Path(sys.argv[1])))
