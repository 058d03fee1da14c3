"""Connect to Asterisk from the command line, with the agent's AMI account."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from agent.ami.client import AmiClient, LinkDown
from agent.ami.tls import tls_context
from fonoteka.core.config import Configuration, require_secret, split_address
from fonoteka.core.errors import AmiUnreachable

PATIENCE_S: Final = 6.0


@asynccontextmanager
async def linked(configuration: Configuration, source: Path | None) -> AsyncIterator[AmiClient]:
    """Log in with the agent's account while the block runs. Raises ConfigurationError, AmiError."""
    pbx = configuration.pbx
    secret = require_secret(pbx.ami_secret, "pbx.ami_secret", source)
    client = AmiClient(split_address(pbx.ami), pbx.ami_user, secret, events=frozenset(), tls=tls_context(pbx, source))
    running, first = asyncio.ensure_future(client.run()), asyncio.ensure_future(client.next())
    try:
        await asyncio.wait([running, first], timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        if not first.done():
            raise AmiUnreachable(f"pbx.ami = {pbx.ami}: no answer within {PATIENCE_S:.0f} s")
        if isinstance(link := first.result(), LinkDown):
            raise AmiUnreachable(link.reason)
        yield client
    finally:
        first.cancel()
        running.cancel()
        await asyncio.gather(running, first, return_exceptions=True)
