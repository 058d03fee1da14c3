"""Write rows as CSV for spreadsheets (RFC 4180; UTF-8 with a BOM, which Excel needs for Cyrillic).

Excel separates cells with `;` in Russian, with `,` in English. Callers choose the text of some
cells, and a spreadsheet runs text that begins with `=`, `+`, `-` or `@` as a formula. Such text
gets an apostrophe in front, which marks it as text. So does text behind any character that some
program takes for a separator: a Russian file may be opened in English Excel. `+79131234567` is a
number, no formula, and stays as it is.
"""

import csv
import re
from collections.abc import Iterable
from io import StringIO
from typing import Final

from api.exports.columns import Row
from api.exports.labels import Words

BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}".encode()
_NUMBER: Final = re.compile(r"\+[0-9]{1,40}", re.ASCII)
# Some Asian versions of Excel treat fullwidth characters as the plain ones.
_FORMULA: Final = re.compile(r"""(^|[;,\t\r\n"])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")


def disarmed(text: str) -> str:
    """Mark text that a spreadsheet would run as a formula."""
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub(r"\1\2'", text)


def titles(words: Words, *more: str) -> bytes:
    """Return the BOM and the header line; `more` are further columns."""
    return BOM + formatted([(*words.titles, *more)], words)


def lines(rows: Iterable[Row], words: Words) -> bytes:
    """Return rows as lines."""
    return formatted((cells(row, words) for row in rows), words)


def line(row: Row, words: Words, *more: str) -> bytes:
    """Return a row as a line; `more` are further cells."""
    return formatted([(*cells(row, words), *(disarmed(text) for text in more))], words)


def cells(row: Row, words: Words) -> tuple[str | int, ...]:
    """Return the cells of a row; durations are numbers, unknown values are empty."""
    return (
        disarmed(row.employee),
        row.direction,
        row.result,
        disarmed(row.src),
        disarmed(row.dst),
        disarmed(row.answered_by),
        row.started_at.strftime(words.csv_date),
        row.started_at.strftime("%H:%M:%S"),
        row.duration_s,
        row.recording,
        disarmed(row.trunk),
        disarmed(row.queue),
        *("" if number is None else _number(number, words) for number in row.numbers),
    )


def _number(number: float, words: Words) -> str | int:
    """Write a fraction as spreadsheets of the language read it: to Russian ones 4.3 is a date."""
    return number if isinstance(number, int) else str(number).replace(".", words.csv_decimal)


def formatted(rows: Iterable[Iterable[str | int]], words: Words) -> bytes:
    """Return cells, text of callers disarmed, as lines."""
    text = StringIO()
    csv.writer(text, delimiter=words.csv_delimiter, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
