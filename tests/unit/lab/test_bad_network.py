"""A bad network loses what it says it lost, and delivers no packet before its time."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import pytest

from lab.asterisk.addresses import LoopbackBlock
from lab.sip.bad_network import BadNetwork, Path, Traffic
from lab.sip.message import Address
from lab.sip.udp import received, stamped
from tests.support.eventually import eventually

PACKETS = 300
PBX, PHONE = 1, 10


@dataclass(kw_only=True)
class Ends:
    """A PBX and a telephone, each with its audio and its reports, and the path between them."""

    pbx: list[socket.socket]
    phone: list[socket.socket]
    path: Path


@pytest.fixture
def block() -> Iterator[LoopbackBlock]:
    taken = LoopbackBlock()
    yield taken
    taken.release()


def ends(on: ExitStack, block: LoopbackBlock, network: BadNetwork) -> Ends:
    """Lay a path; the PBX has neighbouring ports, as RTP wants them."""
    pbx = [_bound(on, block.host(PBX), 20_000), _bound(on, block.host(PBX), 20_001)]
    phone = [_bound(on, block.host(PHONE), 0), _bound(on, block.host(PHONE), 0)]
    path = Path(phone[0].getsockname(), phone[1].getsockname(), network)
    on.callback(path.close)
    path.lead_to(pbx[0].getsockname())
    return Ends(pbx=pbx, phone=phone, path=path)


def _bound(on: ExitStack, host: str, port: int) -> socket.socket:
    end = on.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    end.bind((host, port))
    stamped(end)
    return end


async def sent(sender: socket.socket, there: Address, receiver: socket.socket, traffic: Traffic) -> list[tuple[int, float]]:
    """Send packets; return the numbers of those that came, and how long they took (s)."""
    began: list[float] = []
    for number in range(PACKETS):
        began.append(time.time())
        sender.sendto(number.to_bytes(2), there)
    came: list[tuple[int, float]] = []

    def is_settled() -> bool:
        while (packet := received(receiver)) is not None:
            number = int.from_bytes(packet[0])
            came.append((number, packet[1] - began[number]))
        return traffic.packets == PACKETS == len(came) + traffic.lost

    await eventually(is_settled)
    return came


async def test_what_is_lost_is_counted_in_each_direction(block: LoopbackBlock) -> None:
    with ExitStack() as on:
        here = ends(on, block, BadNetwork(loss_pct=20, seed=1))
        await sent(here.phone[0], here.path.address, here.pbx[0], here.path.from_phone)
        assert here.path.to_phone == Traffic(), "nothing was sent there"
        await sent(here.pbx[0], here.path.address, here.phone[0], here.path.to_phone)
        assert 10 < here.path.from_phone.loss_pct < 30
        assert 10 < here.path.to_phone.loss_pct < 30
        assert here.path.from_phone.lost != here.path.to_phone.lost, "each direction has chances of its own"


async def test_the_same_seed_loses_the_same_packets(block: LoopbackBlock) -> None:
    came = []
    for seed in (1, 1, 2):
        with ExitStack() as on:
            here = ends(on, block, BadNetwork(loss_pct=20, seed=seed))
            packets = await sent(here.phone[0], here.path.address, here.pbx[0], here.path.from_phone)
            came.append(sorted(number for number, _ in packets))
    assert came[0] == came[1] != came[2]


async def test_no_packet_comes_before_its_time_and_with_jitter_they_overtake_each_other(block: LoopbackBlock) -> None:
    with ExitStack() as on:
        here = ends(on, block, BadNetwork(delay_ms=40, jitter_ms=30))
        packets = await sent(here.phone[0], here.path.address, here.pbx[0], here.path.from_phone)
        assert min(took_s for _, took_s in packets) >= 0.01
        numbers = [number for number, _ in packets]
        assert numbers != sorted(numbers)


async def test_reports_pass_beside_the_audio_and_are_not_counted(block: LoopbackBlock) -> None:
    with ExitStack() as on:
        here = ends(on, block, BadNetwork())
        here.phone[1].sendto(b"from the phone", here.path.reports_address)
        here.pbx[1].sendto(b"from the pbx", here.path.reports_address)
        assert (await eventually(partial(received, here.pbx[1])))[0] == b"from the phone"
        assert (await eventually(partial(received, here.phone[1])))[0] == b"from the pbx"
        assert here.path.from_phone == here.path.to_phone == Traffic()
