"""Numbers of outside parties in the audit.

The audit cannot be changed when the data of an outside party is erased.
"""

from fonoteka.core.phone_numbers import SHORTEST_OUTSIDE
from store.subjects.calls import masked


def without_number(text: str) -> str:
    """Return a parameter as the audit has it: of a telephone number the last two digits. Pure.

    Everything that `outside_party` accepts in any country is a number here.
    """
    digits = "".join(letter for letter in text if letter.isdigit())
    is_number = len(digits) >= SHORTEST_OUTSIDE and not any(letter.isalpha() for letter in text)
    return masked(digits) if is_number else text
