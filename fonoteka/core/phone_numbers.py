"""Outside numbers in one form, E.164, however they were dialled or told: who called and who is called back can be compared.

Pure; numbering plans come from `phonenumbers` (Google's libphonenumber).
"""

from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat

SHORTEST_OUTSIDE: Final = 5  # an extension, a feature code or an emergency number is shorter
LONGEST_OUTSIDE: Final = 40  # digits; E.164 has 15 at most, and whatever is longer was dialled by nobody


@lru_cache(maxsize=32_768)
def parsed(text: str, country: str, area_codes: tuple[str, ...]) -> PhoneNumber | None:
    """The first reading that is a valid number: as dialled in the country, with its code but no `+`, within a city."""
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
    """The E.164 form of a dialled number (`2458888` in Krasnoyarsk → `+73912458888`), or None for what is no outside number.

    `country` is ISO 3166, `area_codes` are the company's cities.
    """
    number = parsed(text, country, area_codes)
    return None if number is None else phonenumbers.format_number(number, PhoneNumberFormat.E164)


def outside_party(text: str, country: str, area_codes: tuple[str, ...]) -> str | None:
    """What an outside party is known by among a company's calls: E.164, or what no numbering plan knows as it is.

    None for what is withheld, a name or garbage: two such calls need not be of the same person.
    """
    number = normalise(text, country, area_codes)
    if number is not None:
        return number
    return text if text.isascii() and text.isdecimal() and SHORTEST_OUTSIDE <= len(text) <= LONGEST_OUTSIDE else None
