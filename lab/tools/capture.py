"""Real event streams of typical calls, as Fonoteka's own AMI account receives them.

`python -m lab.tools.capture FOLDER [NAME …]`.

Two files a call: NAME.txt is AMI text from its first Newchannel to its last Hangup, NAME.csv the
lines of the CEL journal about the same call. They are what the unit tests of the agent fold.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from lab.asterisk.rootfs import find_or_build
from lab.asterisk.server import LabAsterisk
from lab.base.ami_witness import AmiWitness
from lab.base.eventually import eventually
from lab.scenarios.basic_calls import BASIC_CALLS
from lab.scenarios.call_flows import CALL_FLOWS, CallFlow


async def capture(pbx: LabAsterisk, play: CallFlow) -> tuple[str, bytes]:
    """The events of a play's calls: as AMI text, and as lines of the CEL journal."""
    journal = pbx.cel_journal
    before = journal.stat().st_size if journal.exists() else 0
    async with AmiWitness(pbx.ami, pbx.ami_user, pbx.ami_secret) as tap:
        await play(pbx)
        await tap.wait_until(_over)
        # Without the replies to this client; text that a caller injects belongs to the stream.
        ours = [("Response" in message or message.get("Event") == "FullyBooted") for message in tap.messages]
        text = "".join(text for text, is_ours in zip(tap.texts, ours, strict=True) if not is_ours)
        # Asterisk writes the journal from a queue of its own.
        await eventually(lambda: journal.read_bytes()[before:].rpartition(b'\n"')[2].startswith(b"LINKEDID_END"))
        return text, journal.read_bytes()[before:]


def _over(tap: AmiWitness) -> bool:
    events = [message.get("Event") for message in tap.messages]
    return 0 < events.count("Newchannel") == events.count("Hangup")


async def _main(folder: Path, names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as lab:
        async with LabAsterisk(find_or_build(), Path(lab), ring_s=3.0) as pbx:
            for name, play in (BASIC_CALLS | CALL_FLOWS).items():
                if not names or name in names:
                    text, journal = await capture(pbx, play)
                    (folder / f"{name}.txt").write_bytes(text.encode())
                    (folder / f"{name}.csv").write_bytes(journal)
                    print(f"{name}: {text.count('Event: ')} events", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.folder, arguments.names))
