"""Encode an action. Text that Asterisk could read as another action is refused before it is sent.

The limits are those of manager.c, tried on Asterisk 22.10: a line of 1,023 bytes or more, or 129
headers, gets an error, and the rest of a line that is too long is read as the next action.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from fonoteka.core.errors import AmiUnsafe

MOST_LINE_BYTES: Final = 1022
MOST_HEADERS: Final = 128
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_CONTROL: Final = re.compile(r"[\r\n\0]")
_OURS: Final = frozenset({"action", "actionid"})


def encode_action(name: str, action_id: str, headers: Mapping[str, str | Sequence[str]]) -> bytes:
    """Return the bytes of an action, with its headers in order; a sequence repeats its header.

    Raises AmiUnsafe, which names action and header but not the value: it may be a secret, or
    hostile.
    """
    for key in headers:
        if key.lower() in _OURS:
            raise AmiUnsafe(f"AMI action {name!r}: the header {key} is the client's own")
    lines = [_line(name, "Action", name), _line(name, "ActionID", action_id)]
    for key, given in headers.items():
        lines += [_line(name, key, value) for value in ((given,) if isinstance(given, str) else given)]
    if len(lines) > MOST_HEADERS:
        raise AmiUnsafe(f"AMI action {name!r}: {len(lines)} headers, Asterisk takes {MOST_HEADERS}")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _line(action: str, key: str, value: str) -> bytes:
    where = f"AMI action {action!r}, header {key!r}"
    if not _NAME.fullmatch(key):
        raise AmiUnsafe(f"{where}: not a header's name")
    if _CONTROL.search(value):
        raise AmiUnsafe(f"{where}: holds CR, LF or NUL")
    try:
        line = f"{key}: {value}".encode()
    except UnicodeEncodeError:
        # Without `from`: the error quotes the value.
        raise AmiUnsafe(f"{where}: holds what is no UTF-8") from None
    if len(line) > MOST_LINE_BYTES:
        raise AmiUnsafe(f"{where}: a line of {len(line)} bytes, Asterisk takes {MOST_LINE_BYTES}")
    return line
