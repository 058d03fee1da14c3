"""A real Asterisk for the demo and the tests.

Its own addresses, configuration and folders, started in two seconds.

From a cached root it runs in a mount namespace of its own: what is mounted for it is seen by nobody
else and goes with it.
"""

import asyncio
import copy
import os
import secrets
import shutil
import socket
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lab.asterisk.addresses import OUTSIDE_HOST, PBX_HOST, TRUNK_HOST, USERS_HOST, LoopbackBlock, free_port
from lab.asterisk.config import AMI_USER, OPERATORS, LabNetwork, write_configuration
from lab.asterisk.rootfs import AsteriskProgram
from lab.audio.tones import menu_prompt, tone
from lab.base.company import ACME, LabCompany
from lab.base.errors import LabError
from lab.base.eventually import eventually
from lab.base.priority import FIRST

_INSIDE: Final = Path("/mnt")  # where the lab's folder is mounted in the root
# The folder of the lab over /mnt, the machine's /proc over the root's empty one; then become
# Asterisk, keeping the pid.
_ENTER: Final = 'mount --bind "$1" "$2/mnt" && mount --rbind /proc "$2/proc" && root=$2 && shift 2 && exec chroot "$root" "$@"'
_DIE_WITH_US: Final = (*FIRST, "setpriv", "--pdeathsig", "KILL", "--")


class LabAsterisk:
    """One running Asterisk. `async with LabAsterisk(find_or_build(), folder) as pbx: …`

    `folder` holds its configuration, spool and logs and is left behind for a look. `ring_s` is how
    long the dialplan rings. Several companies may share it (`seen_by`); `company` is the first.
    """

    def __init__(
        self, program: AsteriskProgram, folder: Path, company: LabCompany = ACME, *more: LabCompany, ring_s: float = 20.0
    ) -> None:
        self.company = company
        self.companies = (company, *more)
        self.folder = folder.resolve()
        self.environment: dict[str, str] = {}  # of Asterisk alone, from its next start on
        self.ami_user = AMI_USER
        self.ami_secret = secrets.token_hex(16)
        self._program = program
        self._ring_s = ring_s
        self._block = LoopbackBlock()
        address, outside = self._block.host(PBX_HOST), self._block.host(OUTSIDE_HOST)
        self.network = LabNetwork(
            pbx=address,
            sip_port=free_port(address, socket.SOCK_DGRAM, 5060),
            ami_port=free_port(address, socket.SOCK_STREAM, 5038),
            agi_port=free_port(address, socket.SOCK_STREAM, 4573),
            http_port=free_port(address, socket.SOCK_STREAM, 8088),
            trunk=self._block.host(TRUNK_HOST),
            outside=outside,
            outside_port=free_port(outside, socket.SOCK_DGRAM, 5060),
        )
        self._networks = {company: self.network, **{other: self._more_lines(other) for other in more}}
        # A Unix socket's path holds 107 characters, a folder of a test's may be longer.
        self._run = self.folder / "run" if program.root else Path(tempfile.mkdtemp(prefix="fonoteka-lab-"))
        self._lab = _INSIDE if program.root else self.folder
        self._process: asyncio.subprocess.Process | None = None

    @property
    def ami(self) -> tuple[str, int]:
        """Where the manager interface listens."""
        return self.network.pbx, self.network.ami_port

    @property
    def agi(self) -> tuple[str, int]:
        """Where Asterisk looks for the agent's feature codes."""
        return self.network.pbx, self.network.agi_port

    @property
    def ari(self) -> tuple[str, int]:
        """Where ARI listens."""
        return self.network.pbx, self.network.http_port

    @property
    def sip_address(self) -> tuple[str, int]:
        """Where SIP is spoken (UDP)."""
        return self.network.pbx, self.network.sip_port

    @property
    def spool(self) -> Path:
        """Fonoteka's spool as this machine sees it."""
        return self.folder / "spool" / "fonoteka"

    @property
    def spool_in_asterisk(self) -> Path:
        """The same folder as Asterisk sees it."""
        return self._lab / "spool" / "fonoteka"

    @property
    def cel_journal(self) -> Path:
        """The CEL journal that Asterisk writes."""
        return self.folder / "log" / "cel-custom" / "fonoteka.csv"

    @property
    def log_path(self) -> Path:
        """Asterisk's log."""
        return self.folder / "log" / "full"

    @property
    def pid(self) -> int:
        """Asterisk's process. Raises LabError when it does not run."""
        if self._process is None:
            raise LabError("the lab's Asterisk is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended since."""
        return self._process is not None and self._process.returncode is None

    def phone_address(self, extension: str) -> str:
        """The address of a user's telephone: each user has their own."""
        everybody = [(company, user.extension) for company in self.companies for user in company.users]
        return self._block.host(USERS_HOST + everybody.index((self.company, extension)))

    def seen_by(self, company: LabCompany) -> "LabAsterisk":
        """The same running PBX as another of its companies has it.

        Their telephones, their numbers, their line outside.
        """
        there = copy.copy(self)
        there.company, there.network = company, self._networks[company]
        return there

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self._give_back()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()
        self._give_back()

    async def start(self) -> None:
        """Write the configuration and start; back when calls can be made.

        Raises LabError with the log's last line.
        """
        for name in ("etc", "spool/fonoteka", "log/cel-custom", "db", "run", "sounds/hold", "keys", "agi"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.cel_journal.touch()
        menu_prompt(self.folder / "sounds" / "menu.alaw")
        tone(self.folder / "sounds" / "hold" / "hold.alaw", hz=262, length_s=10.0)
        self._lay_out_data()
        write_configuration(
            self.folder / "etc",
            program=self._program,
            companies=self._networks,
            lab=self._lab,
            run=self._lab / "run" if self._program.root else self._run,
            secret=self.ami_secret,
            ring_s=self._ring_s,
        )
        with (self.folder / "log" / "console").open("ab") as console:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(),
                env={**os.environ, **self.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        await self._wait_until_booted()

    def _lay_out_data(self) -> None:
        """Link Asterisk's own data and sounds, and put the kit's sounds among them."""
        if (data := self.folder / "data").exists():
            return
        original = self._program.data
        seen_from_here = (self._program.root or Path("/")) / original.relative_to("/")
        (data / "sounds" / "fonoteka").mkdir(parents=True)
        for name in {entry.name for entry in seen_from_here.iterdir()} - {"sounds"}:
            (data / name).symlink_to(original / name)
        for name in {entry.name for entry in (seen_from_here / "sounds").iterdir()} - {"fonoteka"}:
            (data / "sounds" / name).symlink_to(original / "sounds" / name)
        for sound in (OPERATORS / "sounds").glob("*.wav*"):
            shutil.copy(sound, data / "sounds" / "fonoteka")

    async def stop(self) -> None:
        """Stop at once, calls or not; a second call does nothing."""
        await self._end(15)

    async def kill(self) -> None:
        """SIGKILL, as when the machine's memory is gone."""
        await self._end(9)

    async def restart(self) -> None:
        """Stop if it runs and start again: same addresses, same secret, same AstDB."""
        await self.stop()
        await self.start()

    async def cli(self, command: str) -> str:
        """What Asterisk's console answers. Raises LabError if it cannot be reached."""
        code, text = await self._cli(command)
        if code != 0:
            raise LabError(f"asterisk -rx {command!r} failed: {text.strip()}")
        return text

    def _more_lines(self, company: LabCompany) -> LabNetwork:
        """A further company's addresses outside: behind everybody's telephones."""
        first = USERS_HOST + sum(len(each.users) for each in self.companies) + 2 * self.companies.index(company)
        outside = self._block.host(first + 1)
        port = free_port(outside, socket.SOCK_DGRAM, 5060)
        return replace(self.network, trunk=self._block.host(first), outside=outside, outside_port=port)

    def _give_back(self) -> None:
        self._block.release()
        if self._program.root is None:
            shutil.rmtree(self._run, ignore_errors=True)

    def _command(self) -> tuple[str, ...]:
        asterisk = (str(self._program.binary), "-f", "-C", str(self._lab / "etc" / "asterisk.conf"))
        root = self._program.root
        if root is None:
            return (*_DIE_WITH_US, *asterisk)
        enter = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh", str(self.folder), str(root))
        return (*_DIE_WITH_US, *enter, *asterisk)

    async def _wait_until_booted(self) -> None:
        assert self._process is not None
        process = self._process
        control = (self.folder / "run" if self._program.root else self._run) / "asterisk.ctl"

        async def has_booted() -> bool:
            return control.exists() and (await self._cli("core waitfullybooted"))[0] == 0

        async def is_decided() -> bool:
            return process.returncode is not None or await has_booted()

        with suppress(AssertionError):
            await eventually(is_decided)
            if process.returncode is None:
                return
        await self.stop()
        console = (self.folder / "log" / "console").read_text(errors="replace").strip().splitlines()
        raise LabError(f"the lab's Asterisk did not start: {console[-1] if console else 'no output'} (see {self.log_path})")

    async def _cli(self, command: str) -> tuple[int, str]:
        inside = ("nsenter", "--target", str(self.pid), "--mount", "--root", "--") if self._program.root else ()
        asterisk = (str(self._program.binary), "-C", str(self._lab / "etc" / "asterisk.conf"), "-rx", command)
        process = await asyncio.create_subprocess_exec(
            *inside,
            *asterisk,
            cwd="/",  # the folder this process stands in is not to be found in the root
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace")

    async def _end(self, signal: int) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            os.kill(self._process.pid, signal)
        try:
            await asyncio.wait_for(self._process.wait(), 10.0)
        except TimeoutError:
            os.kill(self._process.pid, 9)
            await self._process.wait()
        self._process = None
        (self._run / "asterisk.ctl").unlink(missing_ok=True)
