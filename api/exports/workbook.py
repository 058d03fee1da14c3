"""Write rows as an Excel workbook: text is never a formula; dates and times are numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from xlsxwriter import Workbook

from api.exports.columns import Row
from api.exports.labels import Words

MAX_ROWS_OF_A_SHEET: Final = 1_048_575  # 2^20 with the titles
_WIDTHS: Final = (26, 13, 14, 18, 18, 18, 11, 10, 14, 30, 18, 14, 11, 11, 11, 12, 12, 11, 13)
_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "use_zip64": True,
}


class CallWorkbook:
    """A workbook that is written row by row into files in `folder`, at last into `target`.

    Not thread-safe. Call `finish` at the end, then `close` in any case.
    """

    def __init__(self, target: IO[bytes], folder: Path, words: Words, *, rows_of_a_sheet: int = MAX_ROWS_OF_A_SHEET) -> None:
        self._book = Workbook(target, _OPTIONS | {"tmpdir": str(folder)})
        self._words = words
        self._rows_of_a_sheet = rows_of_a_sheet
        self._title = self._book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "vcenter"})
        self._text = self._book.add_format({"num_format": "@"})
        self._date = self._book.add_format({"num_format": words.excel_date, "align": "left"})
        self._time = self._book.add_format({"num_format": "hh:mm:ss", "align": "left"})
        self._next_sheet()

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows; begin a new sheet when one is full. Raises OSError."""
        for row in rows:
            if self._at > self._rows_of_a_sheet:
                self._finish_sheet()
                self._next_sheet()
            self._write(self._at, row)
            self._at += 1

    def finish(self) -> None:
        """Write the sheets into the target. Raises OSError."""
        self._finish_sheet()
        self._book.close()

    def close(self) -> None:
        """Close the files in `folder` that are still open; the caller deletes them."""
        for sheet in self._book.worksheets():
            sheet._opt_close()

    def _next_sheet(self) -> None:
        number = len(self._book.worksheets()) + 1
        self._sheet = self._book.add_worksheet(self._words.calls if number == 1 else f"{self._words.calls} {number}")
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_landscape()
        self._sheet.set_paper(9)  # A4
        self._sheet.fit_to_pages(1, 0)
        self._sheet.repeat_rows(0)
        for column, (width, title) in enumerate(zip(_WIDTHS, self._words.titles, strict=True)):
            self._sheet.set_column(column, column, width)
            self._sheet.write_string(0, column, title, self._title)
        self._at = 1

    def _finish_sheet(self) -> None:
        self._sheet.autofilter(0, 0, self._at - 1, len(self._words.titles) - 1)

    def _write(self, at: int, row: Row) -> None:
        texts = (row.employee, row.direction, row.result, row.src, row.dst, row.answered_by)
        for column, text in enumerate(texts):
            if text:
                # In a cell of text, a telephone number stays as it is when the cell is edited.
                self._sheet.write_string(at, column, text, self._text if column > 2 else None)
        self._sheet.write_datetime(at, 6, row.started_at.date(), self._date)
        self._sheet.write_datetime(at, 7, row.started_at.time(), self._time)
        self._sheet.write_number(at, 8, row.duration_s)
        self._sheet.write_string(at, 9, row.recording)
        for column, text in enumerate((row.trunk, row.queue), start=10):
            if text:
                self._sheet.write_string(at, column, text, self._text)
        for column, number in enumerate(row.numbers, start=12):
            if number is not None:
                self._sheet.write_number(at, column, number)
