"""The audio of a telephone behind a bad network: it reports what came, as real telephones do."""

import socket
import time
from contextlib import suppress
from typing import Final

from lab.sip.bad_network import BadNetwork, Path
from lab.sip.message import Address
from lab.sip.rtcp import Reception
from lab.sip.rtp import FRAME_S, AudioSocket
from lab.sip.udp import received, stamped

_REPORT_TICKS: Final = round(5.0 / FRAME_S)  # RFC 3550, 6.2: the interval is five seconds


class FarAudio(AudioSocket):
    """One end of a call's audio, with the path it takes."""

    def __init__(self, host: str, network: BadNetwork) -> None:
        super().__init__(host, listens=False)
        self._reports = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._reports.bind((host, 0))
        for each in (self._socket, self._reports):
            stamped(each)
        self.path = Path(self.address, self._reports.getsockname(), network)
        self.address = self.path.address
        self._reception = Reception()
        self._ticks = 0

    def connect(self, peer: Address) -> None:
        """Send to this address from now on."""
        self.path.lead_to(peer)
        self._socket.connect(self.path.address)

    def tick(self) -> None:
        """Send what is due, count what has come, and report it at times."""
        super().tick()
        while (came := received(self._socket)) is not None:
            self._reception.take(came[0], came[1])
        while (came := received(self._reports)) is not None:
            self._reception.take_report(came[0], came[1])
        self._ticks += 1
        if self._ticks % _REPORT_TICKS == 0 and self.stream is not None:
            report = self._reception.report(self.stream.source, time.time())
            if report is not None:
                with suppress(OSError):  # the path is closed
                    self._reports.sendto(report, self.path.reports_address)

    def close(self) -> None:
        """No more of it."""
        super().close()
        self.path.close()
        self._reports.close()
