"""Addresses for labs that run side by side.

Each holds a whole 127.x.y.0/24 for as long as its process phone_calls.

Linux answers on all of 127.0.0.0/8. The claim is an abstract Unix socket named after the block: it
is as wide as the network namespace whose loopback it guards, and the kernel gives it back when the
process ends, however it ends.
"""

import itertools
import os
import secrets
import socket
from typing import Final

from lab.base.errors import LabError

PBX_HOST: Final = 1
TRUNK_HOST: Final = 2  # callers from outside; Asterisk tells the trunk by this address
OUTSIDE_HOST: Final = 3  # the telephone that answers what goes out by the trunk
USERS_HOST: Final = 10  # the first user's telephone; the others follow
_BLOCKS: Final = 254 * 254
# Below the ports that the kernel gives to a socket by itself (net.ipv4.ip_local_port_range), above
# those of Asterisk's RTP. A port of these is not taken between its choice and its use.
_PORTS: Final = range(20_001, 32_768)
_places = itertools.count(secrets.randbelow(len(_PORTS)))


class LoopbackBlock:
    """One 127.x.y.0/24 that no other lab uses. Raises LabError if all are taken."""

    def __init__(self) -> None:
        self._claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        for step in range(_BLOCKS):
            number = (os.getpid() + step) % _BLOCKS
            self._prefix = f"127.{1 + number // 254}.{1 + number % 254}"
            try:
                self._claim.bind(f"\0fonoteka-lab-{self._prefix}")
            except OSError:
                continue
            return
        self._claim.close()
        raise LabError("every 127.x.y.0/24 is taken by another lab")

    def host(self, number: int) -> str:
        """An address of the block."""
        return f"{self._prefix}.{number}"

    def release(self) -> None:
        """Give the block back."""
        self._claim.close()


def free_port(address: str, kind: socket.SocketKind, preferred: int | None = None) -> int:
    """A port that nobody listens on: the preferred one if it is free, else the next of `_PORTS`.

    It stays free until it is used: in a block, which one lab has, no other socket chooses it.
    """
    others = (_PORTS[place % len(_PORTS)] for place in itertools.islice(_places, len(_PORTS)))
    for port in others if preferred is None else itertools.chain((preferred,), others):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise LabError(f"no free port on {address}")
