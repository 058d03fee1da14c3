"""Caller names and numbers, made harmless: a caller can send any bytes, of any length."""

import re
from collections.abc import Mapping
from typing import Final

LONGEST_TEXT: Final = 80  # Asterisk itself keeps 79 bytes of a SIP number or name
_NOTHING: Final = frozenset({"<unknown>", "<none>", "(null)"})
_ESCAPED: Final = re.compile(r'\\([\\"])')
_REPLACEMENT: Final = 0xFFFD
# Control characters become their symbols (Unicode block 2400). Characters that move or turn the
# text around them become U+FFFD.
_SHOWN: Final = (
    {code: 0x2400 + code for code in range(0x20)}
    | {0x7F: 0x2421}
    | dict.fromkeys((*range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)), _REPLACEMENT)
)
_NO_NUMBER: Final = re.compile("[\u2400-\u2421\ufffd]")


def harmless(text: str) -> str:
    """Return one short line without characters that a terminal, a page or a table interprets."""
    # Asterisk may cut a multi-byte character in half at the end.
    return text.rstrip(chr(_REPLACEMENT))[:LONGEST_TEXT].translate(_SHOWN)


def text_in(headers: Mapping[str, str], key: str) -> str:
    """Return a caller's text from a message, harmless; empty if Asterisk says there is none."""
    value = headers.get(key, "")
    return "" if value in _NOTHING else harmless(value)


def number_in(headers: Mapping[str, str], key: str) -> str:
    """Return a number or extension from a message, cut at the first character that is invalid."""
    return _NO_NUMBER.split(text_in(headers, key), maxsplit=1)[0]


def name_in(headers: Mapping[str, str]) -> str:
    """Return the caller's name without escapes.

    The manager interface escapes a backslash and `"` once (measured on Asterisk 22). PJSIP does not
    decode a SIP display name, so its escapes (RFC 3261, 25.1, quoted-pair) are still in it.
    """
    name = _ESCAPED.sub(r"\1", text_in(headers, "CallerIDName"))
    return _ESCAPED.sub(r"\1", name) if headers["Channel"].startswith("PJSIP/") else name
