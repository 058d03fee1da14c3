"""The rule for every new password: of the command line, of `fonoteka apply`, and of the portal."""

import re
from typing import Final

SHORTEST: Final = 8
LONGEST: Final = 1000


def broken_rule(password: str) -> str | None:
    """Return what is wrong with a new password, without the password; None if it may be used."""
    if len(password) < SHORTEST:
        return f"a password has at least {SHORTEST} characters, this one has {len(password)}"
    if len(password) > LONGEST:
        return f"a password has at most {LONGEST} characters, this one has {len(password)}"
    if not re.search(r"\S", password):
        return "a password is not made of spaces only"
    return None
