"""Pairs of UDP ports, as RTP has them: audio on one, its reports on the next (RFC 3550, 11)."""

import socket
import struct
import time
from contextlib import suppress
from typing import Final

from lab.asterisk.addresses import free_port
from lab.sip.message import Address

_STAMPS: Final = 35  # SO_TIMESTAMPNS_OLD of Linux, which Python does not name
_STAMP: Final = struct.Struct("@qq")
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_STAMP.size)
_LARGEST: Final = 2048
_BUFFER_BYTES: Final = 1 << 20  # a machine may stand still for seconds

Pair = tuple[socket.socket, socket.socket]


def bound_pair(host: str) -> Pair:
    """Bind two neighbouring ports, stamped. Raises LabError if all are taken."""
    while True:
        port = free_port(host, socket.SOCK_DGRAM)
        pair = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with suppress(OSError):  # the second may be taken
            for offset, each in enumerate(pair):
                each.bind((host, port + offset))
                stamped(each)
            return pair
        for each in pair:
            each.close()


def stamped(where: socket.socket) -> None:
    """Let a socket keep all that comes, and tell when it came."""
    where.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    where.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
    where.setblocking(False)


def received(where: socket.socket) -> tuple[bytes, float, Address] | None:
    """Return the next packet, when the kernel had it (seconds since the epoch), and its sender.

    None if there is no packet, or the socket is closed.
    """
    try:
        packet, ancillary, _, sender = where.recvmsg(_LARGEST, _ANCILLARY_BYTES)
    except OSError:
        return None
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _STAMPS):
            seconds, nanoseconds = _STAMP.unpack(data[: _STAMP.size])
            return packet, seconds + nanoseconds / 1e9, sender
    return packet, time.time(), sender
