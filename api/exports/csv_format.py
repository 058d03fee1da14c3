"""Rows as CSV that spreadsheets open at a double click (RFC 4180; UTF-8 with a mark, which Excel needs to see Cyrillic).

Russian Excel takes `;` for the end of a cell, English `,`. Whoever calls chooses the text of some cells, and a spreadsheet
takes what begins with `=`, `+`, `-` or `@` for a formula, to be run: such a cell gets an apostrophe in front, which spreadsheets
take for «this is text». So does a piece behind anything that some program might take for the end of a cell, as a file
for Russian Excel may be opened by an English one. `+79131234567` alone is no formula but a number, and stays as it is.
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
# The wide ones become the plain ones in some Asian versions of Excel.
_FORMULA: Final = re.compile(r"""(^|[;,\t\r\n"])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")


def disarmed(text: str) -> str:
    """Text of which no spreadsheet makes a formula."""
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub(r"\1\2'", text)


def titles(words: Words, *more: str) -> bytes:
    """The first line, with the mark in front."""
    return BOM + _lines([(*words.columns, *more)], words)


def lines(rows: Iterable[Row], words: Words) -> bytes:
    """Rows as lines."""
    return _lines((cells(row, words) for row in rows), words)


def line(row: Row, words: Words, *more: str) -> bytes:
    """One row with more cells behind it."""
    return _lines([(*cells(row, words), *(disarmed(text) for text in more))], words)


def cells(row: Row, words: Words) -> tuple[str | int, ...]:
    """The ten cells of a row; a length is a number."""
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
    )


def _lines(rows: Iterable[Iterable[str | int]], words: Words) -> bytes:
    text = StringIO()
    csv.writer(text, delimiter=words.csv_delimiter, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
