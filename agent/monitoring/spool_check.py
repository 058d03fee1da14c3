"""Check that Asterisk sees the spool of the agent and may write to it, before a call is lost.

On one machine the kernel knows: `/proc/PID/root` is the file system of a process, in any chroot or
container. If the process of Asterisk is not visible, the check reports nothing; the missing legs of
the first recording do.
"""

import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil


def spool_problem(ami: tuple[str, int], spool: Path, spool_in_asterisk: PurePosixPath) -> str | None:
    """Return the problem of Asterisk with the spool and its remedy, in one line.

    None if there is no problem, or if the process of Asterisk is not visible.
    """
    for process in _listeners(ami):
        try:
            return _problem_of(process, spool, spool_in_asterisk)
        except (PermissionError, ProcessLookupError):
            continue
    return None


def asterisk_root(ami: tuple[str, int]) -> Path | None:
    """Return the root folder of the Asterisk that listens at an address.

    None if it runs elsewhere, or if this process may not read it.
    """
    for process in _listeners(ami):
        try:
            (root := process / "root").stat()
        except OSError:
            continue
        return root
    return None


def _problem_of(process: Path, spool: Path, spool_in_asterisk: PurePosixPath) -> str | None:
    own = spool.stat()
    advice = f"set pbx.spool_in_asterisk to the path under which Asterisk sees pbx.spool = {str(spool)!r}"
    try:
        seen = Path(f"{process}/root{spool_in_asterisk}").stat()
    except FileNotFoundError:
        return f"Asterisk (pid {process.name}) sees no folder {spool_in_asterisk}; {advice}"
    if (own.st_dev, own.st_ino) != (seen.st_dev, seen.st_ino):
        return f"Asterisk (pid {process.name}) sees another folder at {spool_in_asterisk}; {advice}"
    identity = _identity(process)
    if not identity.may_write(seen):
        return (
            f"Asterisk (uid {identity.uid}) may not write to pbx.spool = {str(spool)!r}; "
            f"give the folder to a group that both are in: chgrp, chmod 2770"
        )
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Identity:
    uid: int
    groups: frozenset[int]

    def may_write(self, folder: os.stat_result) -> bool:
        if self.uid == 0:
            return True
        needed = stat.S_IWUSR | stat.S_IXUSR
        if folder.st_uid == self.uid:
            return folder.st_mode & needed == needed
        if folder.st_gid in self.groups:
            return folder.st_mode & needed >> 3 == needed >> 3
        return folder.st_mode & needed >> 6 == needed >> 6


def _identity(process: Path) -> _Identity:
    """Return the effective user and all groups of a process (proc(5), status)."""
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    groups = {int(fields["Gid"].split()[1]), *(int(group) for group in fields["Groups"].split())}
    return _Identity(uid=int(fields["Uid"].split()[1]), groups=frozenset(groups))


def _listeners(address: tuple[str, int]) -> Iterator[Path]:
    """Yield the processes named asterisk that listen at a TCP address, as `/proc/PID`."""
    try:
        addresses = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    except OSError:
        return
    wanted = {str(entry[4][0]) for entry in addresses} | {"0.0.0.0", "::"}  # noqa: S104
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "asterisk" and _listens(process, wanted, address[1]):
            yield Path(f"/proc/{process.pid}")


def _listens(process: psutil.Process, addresses: set[str], port: int) -> bool:
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:  # it ended, or belongs to another user
        return False
    listening = [c.laddr for c in connections if c.status == psutil.CONN_LISTEN]
    return any(at.port == port and at.ip in addresses for at in listening)
