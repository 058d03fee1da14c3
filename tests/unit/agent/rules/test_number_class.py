"""Numbers as they are dialled in Krasnoyarsk (391)."""

import pytest

from agent.rules.number_class import NumberKind, classify
from fonoteka.core.phone_numbers import normalise

DIALLED = [
    ("152", None, NumberKind.SHORT),
    ("112", None, NumberKind.SHORT),
    ("2458152", "+73912458152", NumberKind.CITY),
    ("83912458888", "+73912458888", NumberKind.CITY),
    ("+7 (391) 245-88-88", "+73912458888", NumberKind.CITY),
    ("84951234567", "+74951234567", NumberKind.LONG_DISTANCE),
    ("74951234567", "+74951234567", NumberKind.LONG_DISTANCE),
    ("89131234567", "+79131234567", NumberKind.MOBILE),
    ("79131234567", "+79131234567", NumberKind.MOBILE),
    ("88007755117", "+78007755117", NumberKind.TOLL_FREE),
    ("8108613912345678", "+8613912345678", NumberKind.INTERNATIONAL),
    ("+4930123456", "+4930123456", NumberKind.INTERNATIONAL),
    ("87172123456", "+77172123456", NumberKind.INTERNATIONAL),  # Astana: the same +7, another country
    ("anonymous", None, NumberKind.UNKNOWN),
    ("*3", None, NumberKind.UNKNOWN),
    ("1234567890123456", None, NumberKind.UNKNOWN),
    ("", None, NumberKind.UNKNOWN),
    ("8495'; DROP TABLE", None, NumberKind.UNKNOWN),
]


@pytest.mark.parametrize(("dialled", "plain", "kind"), DIALLED)
def test_a_dialled_number(dialled: str, plain: str | None, kind: NumberKind) -> None:
    assert normalise(dialled, "RU", ("391",)) == plain
    assert classify(dialled, "RU", ("391",)) is kind
