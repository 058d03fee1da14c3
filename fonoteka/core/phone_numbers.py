"""Convert outside numbers to E.164, so that numbers of calls and calls back can be compared.

Pure. The numbering plans come from `phonenumbers` (Google's libphonenumber).
"""

from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat

SHORTEST_OUTSIDE: Final = 5  # an extension, a feature code or an emergency number is shorter
LONGEST_OUTSIDE: Final = 40  # digits; E.164 has at most 15


@lru_cache(maxsize=32_768)
def parsed(text: str, country: str, area_codes: tuple[str, ...]) -> PhoneNumber | None:
    """Parse a number as dialled in the country, with country code but no `+`, or locally.

    Returns the first valid reading, else the first possible reading, else None.
    """
    digits = "".join(letter for letter in text if letter.isascii() and letter.isdigit())
    if len(digits) < SHORTEST_OUTSIDE or len(digits) > 20 or any(letter.isalpha() for letter in text):
        return None
    readings = [text.strip()] if text.strip().startswith("+") else [digits, f"+{digits}", *(code + digits for code in area_codes)]
    possible: PhoneNumber | None = None
    for reading in readings:
        try:
            number = phonenumbers.parse(reading, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return number
        if possible is None and phonenumbers.is_possible_number(number):
            possible = number
    return possible


def normalise(text: str, country: str, area_codes: tuple[str, ...]) -> str | None:
    """Return the E.164 form of a dialled number, or None if it is no outside number.

    `2458888` in Krasnoyarsk becomes `+73912458888`. `country` is ISO 3166, `area_codes` are the
    local area codes of the domain.
    """
    number = parsed(text, country, area_codes)
    return None if number is None else phonenumbers.format_number(number, PhoneNumberFormat.E164)


def outside_party(text: str, country: str, area_codes: tuple[str, ...]) -> str | None:
    """Return the number that identifies an outside party: E.164, else digits of no known plan.

    Returns None for a withheld number, a name or garbage: two such calls may be of two parties.
    """
    number = normalise(text, country, area_codes)
    if number is not None:
        return number
    return text if text.isascii() and text.isdecimal() and SHORTEST_OUTSIDE <= len(text) <= LONGEST_OUTSIDE else None
