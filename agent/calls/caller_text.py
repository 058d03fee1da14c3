"""What callers write about themselves, made harmless before anything else sees it: any bytes may come, of any length."""

import re
from collections.abc import Mapping
from typing import Final

LONGEST_TEXT: Final = 80  # Asterisk itself keeps 79 bytes of a SIP number or name
_NOTHING: Final = frozenset({"<unknown>", "<none>", "(null)"})
_ESCAPED: Final = re.compile(r'\\([\\"])')
_REPLACEMENT: Final = 0xFFFD
# Control characters as their pictures (Unicode, 2400), what moves or turns the text around it as what it is: nothing to be shown.
_SHOWN: Final = (
    {code: 0x2400 + code for code in range(0x20)}
    | {0x7F: 0x2421}
    | dict.fromkeys((*range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)), _REPLACEMENT)
)
_NO_NUMBER: Final = re.compile("[\u2400-\u2421\ufffd]")


def harmless(text: str) -> str:
    """One short line with nothing in it that a terminal, a page or a table would obey."""
    # Where Asterisk cut a letter in two, half of it stands at the end.
    return text.rstrip(chr(_REPLACEMENT))[:LONGEST_TEXT].translate(_SHOWN)


def text_in(headers: Mapping[str, str], key: str) -> str:
    """A caller's text in a message, harmless; empty where Asterisk says that there is none."""
    value = headers.get(key, "")
    return "" if value in _NOTHING else harmless(value)


def number_in(headers: Mapping[str, str], key: str) -> str:
    """A number or extension in a message: what stands before the first thing that cannot be in one."""
    return _NO_NUMBER.split(text_in(headers, key), maxsplit=1)[0]


def name_in(headers: Mapping[str, str]) -> str:
    """The caller's name as it was meant.

    The manager escapes a backslash and `"` once (seen on Asterisk 22); PJSIP leaves a SIP display name as it came, so its
    own escapes (RFC 3261, 25.1, quoted-pair) are still in it.
    """
    name = _ESCAPED.sub(r"\1", text_in(headers, "CallerIDName"))
    return _ESCAPED.sub(r"\1", name) if headers["Channel"].startswith("PJSIP/") else name
