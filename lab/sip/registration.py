"""The registration of a telephone (RFC 3261, section 10).

A telephone that is switched off is not registered, as in an office.
"""

import asyncio
import secrets
import socket

from lab.base.errors import LabError

_TRIES = 60


async def register(pbx: tuple[str, int], *, endpoint: str, contact: tuple[str, int], expires_s: int = 7200, aor: str = "") -> None:
    """Register `endpoint` at `contact`; `expires_s=0` takes it away.

    `aor` is the address of record, if it is not named as the endpoint.

    Raises LabError if the PBX refuses or keeps silent.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setblocking(False)
        link.bind((contact[0], 0))
        link.connect(pbx)
        message = _message(pbx, endpoint, aor or endpoint, contact, expires_s, link.getsockname()[1])
        for _ in range(_TRIES):
            try:
                await loop.sock_sendall(link, message)
                answer = await asyncio.wait_for(loop.sock_recv(link, 65536), 1.0)
            except (TimeoutError, ConnectionRefusedError):
                continue
            status = answer.split(b"\r\n", 1)[0].decode()
            if status.split()[1] == "200":
                return
            raise LabError(f"the lab's Asterisk refused to register {endpoint}: {status}")
    raise LabError(f"the lab's Asterisk does not answer at {pbx[0]}:{pbx[1]}")


def _message(pbx: tuple[str, int], endpoint: str, aor: str, contact: tuple[str, int], expires_s: int, port: int) -> bytes:
    token = secrets.token_hex(8)
    lines = (
        f"REGISTER sip:{pbx[0]}:{pbx[1]} SIP/2.0",
        f"Via: SIP/2.0/UDP {contact[0]}:{port};branch=z9hG4bK{token}",
        f"From: <sip:{endpoint}@{pbx[0]}>;tag={token}",
        f"To: <sip:{aor}@{pbx[0]}>",
        f"Call-ID: {token}",
        "CSeq: 1 REGISTER",
        f"Contact: <sip:{endpoint}@{contact[0]}:{contact[1]}>",
        f"Expires: {expires_s}",
        "Max-Forwards: 70",
        "Content-Length: 0",
        "",
        "",
    )
    return "\r\n".join(lines).encode()
