"""The class of a dialled number: own, in the city, long distance, mobile, abroad (manual, I).

Pure; numbering plans come from `phonenumbers` (Google's libphonenumber).
"""

from enum import StrEnum

import phonenumbers
from phonenumbers import PhoneNumberType

from fonoteka.core.phone_numbers import SHORTEST_OUTSIDE, parsed


class NumberKind(StrEnum):
    """Where a number leads, as seen from the city of the domain."""

    SHORT = "short"
    CITY = "city"
    LONG_DISTANCE = "long_distance"
    MOBILE = "mobile"
    TOLL_FREE = "toll_free"
    INTERNATIONAL = "international"
    UNKNOWN = "unknown"


def classify(text: str, country: str, area_codes: tuple[str, ...]) -> NumberKind:
    """Return where a dialled number leads, `UNKNOWN` if it is no number."""
    digits = text.strip()
    if digits.isdecimal() and len(digits) < SHORTEST_OUTSIDE:
        return NumberKind.SHORT
    number = parsed(text, country, area_codes)
    if number is None:
        return NumberKind.UNKNOWN
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.TOLL_FREE:
        return NumberKind.TOLL_FREE
    if phonenumbers.region_code_for_number(number) != country:
        same_plan = number.country_code == phonenumbers.country_code_for_region(country)
        if not (same_plan and phonenumbers.region_code_for_number(number) is None):
            return NumberKind.INTERNATIONAL
    if kind == PhoneNumberType.MOBILE:
        return NumberKind.MOBILE
    national = phonenumbers.national_significant_number(number)
    return NumberKind.CITY if national.startswith(area_codes) else NumberKind.LONG_DISTANCE
