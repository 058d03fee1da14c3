"""The AMI events of plain answered calls, and a server that sends them from its own process.

The events are those of one real call from a trunk to a phone on Asterisk 22.10, without filters
(`answered_call.txt`, 100 events), renamed for each call.
"""

import multiprocessing
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agent.calls.event_reader import LAYOUTS, WANTED

_CALL: Final = (Path(__file__).parent / "answered_call.txt").read_text(encoding="utf-8")
_EVENTS: Final = re.split(r"\n(?=Event: )", _CALL)


def _name(event: str) -> str:
    return event.partition("\n")[0].removeprefix("Event: ")


def _is_read(event: str) -> bool:
    """Whether the agent reads an event: the layouts of some names take only a part of them."""
    layout = LAYOUTS.get(_name(event))
    only_with = layout.only_with.decode().replace("\r\n", "\n") if layout is not None else ""
    return _name(event) in WANTED and only_with in event


EVENTS_OF_A_CALL: Final = Counter(map(_name, _EVENTS))
USED_OF_A_CALL: Final = Counter(map(_name, filter(_is_read, _EVENTS)))


def calls(number: int) -> bytes:
    """Return the events of `number` calls, one call after the other, as bytes."""
    return "".join(_renamed(call) for call in range(number)).encode()


def _renamed(call: int) -> str:
    """Return the recorded call with its own channels and ids."""
    text = re.sub(r"-000000(0[01])\b", rf"-{call % 0x1000000:06x}\1", _CALL.replace("1795391022.", f"{1795391022 + call}."))
    return text.replace("\n", "\r\n")


@contextmanager
def saying(stream: bytes) -> Iterator[tuple[str, int]]:
    """Serve a manager interface that accepts any login and then sends the stream.

    Yields the address. Each client receives the stream from its start.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(listener, stream), daemon=True)
    process.start()
    try:
        yield listener.getsockname()
    finally:
        process.kill()
        process.join()
        listener.close()


def _serve(listener: socket.socket, stream: bytes) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"Asterisk Call Manager/11.0.0\r\n")
            _converse(connection, stream)


def _converse(connection: socket.socket, stream: bytes) -> None:
    unread = b""
    while received := connection.recv(65536):
        *actions, unread = (unread + received).split(b"\r\n\r\n")
        for action in actions:
            action_id = re.search(rb"ActionID: (.*)", action)
            assert action_id is not None
            connection.sendall(b"Response: Success\r\nActionID: %s\r\nMessage: ok\r\nChallenge: 1\r\n\r\n" % action_id[1].strip())
            if b"Action: Login" in action:
                connection.sendall(stream)
