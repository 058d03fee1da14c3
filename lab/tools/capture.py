"""Real event streams of typical calls, as Fonoteka's own AMI account receives them.

`python -m lab.tools.capture FOLDER [NAME …]`.

One file a call: AMI text from its first Newchannel to its last Hangup. They are what the unit tests
of the agent fold.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from lab.asterisk.rootfs import find_or_build
from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness
from lab.scenarios.basic_calls import BASIC_CALLS
from lab.scenarios.call_flows import CALL_FLOWS, CallFlow


async def capture(pbx: LabAsterisk, play: CallFlow) -> str:
    """The events of a play's calls, from the first Newchannel to the last Hangup, as AMI text."""
    async with AmiWitness(pbx.ami, pbx.ami_user, pbx.ami_secret) as tap:
        await play(pbx)
        await tap.wait_until(_over)
        # Without the replies to this client; text that a caller injects belongs to the stream.
        ours = [("Response" in message or message.get("Event") == "FullyBooted") for message in tap.messages]
        return "".join(text for text, is_ours in zip(tap.texts, ours, strict=True) if not is_ours)


def _over(tap: AmiWitness) -> bool:
    events = [message.get("Event") for message in tap.messages]
    return 0 < events.count("Newchannel") == events.count("Hangup")


async def _main(folder: Path, names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as lab:
        async with LabAsterisk(find_or_build(), Path(lab), ring_s=3.0) as pbx:
            for name, play in (BASIC_CALLS | CALL_FLOWS).items():
                if not names or name in names:
                    text = await capture(pbx, play)
                    (folder / f"{name}.txt").write_bytes(text.encode())
                    print(f"{name}: {text.count('Event: ')} events", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.folder, arguments.names))
