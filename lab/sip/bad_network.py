"""A network that loses packets and delivers them late, between a telephone and the PBX.

A relay of UDP, as `tc qdisc … netem loss … delay … …` does it: each packet is lost with the same
probability, and takes the delay, more or less the jitter, evenly spread; so packets overtake each
other. The relay needs no right and no module of the kernel, and knows what each stream lost. Audio
and its reports pass it in both directions; SIP does not.
"""

import heapq
import random
import select
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from lab.base.priority import foremost
from lab.sip.message import Address
from lab.sip.udp import bound_pair, received


@dataclass(frozen=True, kw_only=True, slots=True)
class BadNetwork:
    """What happens to packets, the same in both directions.

    The same `seed` loses the same packets.
    """

    loss_pct: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 0


@dataclass(kw_only=True, slots=True)
class Traffic:
    """The packets of audio in one direction, and how many of them were lost."""

    packets: int = 0
    lost: int = 0

    @property
    def loss_pct(self) -> float:
        """The share that was lost."""
        return 100 * self.lost / self.packets if self.packets else 0.0


class Path:
    """The way of one telephone's audio and reports, each with an address of the telephone.

    `address` is where the PBX finds the audio; reports are at the next port, there and at the PBX.
    """

    def __init__(self, audio: Address, reports: Address, network: BadNetwork) -> None:
        self.from_phone, self.to_phone = Traffic(), Traffic()
        self._phone, self._pbx = (audio, reports), ("", 0)
        self._network = network
        self._chances = {traffic: random.Random(f"{network.seed} {traffic}") for traffic in ("from", "to")}  # noqa: S311
        self._ends = bound_pair(audio[0])
        self.address: Address = self._ends[0].getsockname()
        for offset, each in enumerate(self._ends):
            RELAY.join(each, self, offset)

    @property
    def reports_address(self) -> Address:
        """Where the telephone sends its reports."""
        return self.address[0], self.address[1] + 1

    def lead_to(self, pbx: Address) -> None:
        """Send what comes from the telephone to this address from now on."""
        self._pbx = pbx

    def pass_on(self, sender: Address, offset: int) -> tuple[Address, float] | None:
        """Return where a packet goes and how long it takes (s), or None if it is lost.

        `offset` is 0 for audio and 1 for its reports.
        """
        comes_from_pbx = sender[0] == self._pbx[0]
        chance = self._chances["to" if comes_from_pbx else "from"]
        network, traffic = self._network, self.to_phone if comes_from_pbx else self.from_phone
        is_lost = 100 * chance.random() < network.loss_pct
        takes_ms = network.delay_ms + network.jitter_ms * chance.uniform(-1, 1)
        if offset == 0:
            traffic.packets += 1
            traffic.lost += is_lost
        if is_lost:
            return None
        to_pbx = self._pbx[0], self._pbx[1] + offset
        return self._phone[offset] if comes_from_pbx else to_pbx, max(0.0, takes_ms / 1000)

    def close(self) -> None:
        """Let nothing pass any more."""
        for each in self._ends:
            RELAY.leave(each)
            each.close()


class Relay:
    """Passes packets on for all paths of the process, in a thread that runs while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._poll = select.epoll()
        self._ends: dict[int, tuple[socket.socket, Path, int]] = {}
        self._due: list[tuple[float, int, socket.socket, bytes, Address]] = []
        self._passed = 0
        self._thread: threading.Thread | None = None
        self.worst_late_s = 0.0  # since the process began

    def join(self, end: socket.socket, path: Path, offset: int) -> None:
        """Take what comes to a socket."""
        with self._lock:
            self._ends[end.fileno()] = end, path, offset
            self._poll.register(end, select.EPOLLIN)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lab-relay", daemon=True)
                self._thread.start()

    def leave(self, end: socket.socket) -> None:
        """Take nothing more of it; what is under way is lost."""
        with self._lock:
            self._poll.unregister(end)
            del self._ends[end.fileno()]

    def _run(self) -> None:
        with foremost():
            while self._is_needed():
                wait_s = self._due[0][0] - time.time() if self._due else 0.1
                for number, _ in self._poll.poll(min(0.1, max(0.0, wait_s))):
                    if (end := self._ends.get(number)) is not None:
                        self._take(*end)
                self._send()

    def _is_needed(self) -> bool:
        with self._lock:
            if not self._ends:
                self._thread = None
                self._due.clear()
            return bool(self._ends)

    def _take(self, end: socket.socket, path: Path, offset: int) -> None:
        while (came := received(end)) is not None:
            packet, arrived_s, sender = came
            if (way := path.pass_on(sender, offset)) is not None:
                self._passed += 1
                heapq.heappush(self._due, (arrived_s + way[1], self._passed, end, packet, way[0]))

    def _send(self) -> None:
        while self._due and self._due[0][0] <= (now := time.time()):
            due_s, _, end, packet, there = heapq.heappop(self._due)
            self.worst_late_s = max(self.worst_late_s, now - due_s)
            with suppress(OSError):  # the path is closed, or the address is not known yet
                end.sendto(packet, there)


RELAY: Final = Relay()
