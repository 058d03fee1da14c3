"""Rows as a workbook of Excel: texts are texts, whatever they begin with; dates, times and lengths are numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from xlsxwriter import Workbook

from api.exports.columns import Row
from api.exports.labels import Words

ROWS_OF_A_SHEET: Final = 1_048_575  # 2^20 with the titles
_WIDTHS: Final = (26, 13, 14, 18, 18, 18, 11, 10, 14, 30)
_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "use_zip64": True,
}


class CallWorkbook:
    """Written row by row into files of `folder`, at last into `target`; for one thread at a time.

    End it with `finish`, and with `abandon` whatever happened.
    """

    def __init__(self, target: IO[bytes], folder: Path, words: Words, *, rows_of_a_sheet: int = ROWS_OF_A_SHEET) -> None:
        self._book = Workbook(target, _OPTIONS | {"tmpdir": str(folder)})
        self._words = words
        self._rows_of_a_sheet = rows_of_a_sheet
        self._title = self._book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "vcenter"})
        self._text = self._book.add_format({"num_format": "@"})
        self._date = self._book.add_format({"num_format": words.excel_date, "align": "left"})
        self._time = self._book.add_format({"num_format": "hh:mm:ss", "align": "left"})
        self._next_sheet()

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows, on the next sheet where one is full. Raises OSError."""
        for row in rows:
            if self._at > self._rows_of_a_sheet:
                self._finish_sheet()
                self._next_sheet()
            self._write(self._at, row)
            self._at += 1

    def finish(self) -> None:
        """Put the file together. Raises OSError."""
        self._finish_sheet()
        self._book.close()

    def abandon(self) -> None:
        """Let go of the files it writes, if it still holds any; they are the caller's to delete."""
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
        for column, (width, title) in enumerate(zip(_WIDTHS, self._words.columns, strict=True)):
            self._sheet.set_column(column, column, width)
            self._sheet.write_string(0, column, title, self._title)
        self._at = 1

    def _finish_sheet(self) -> None:
        self._sheet.autofilter(0, 0, self._at - 1, len(self._words.columns) - 1)

    def _write(self, at: int, row: Row) -> None:
        texts = (row.employee, row.direction, row.result, row.src, row.dst, row.answered_by)
        for column, text in enumerate(texts):
            if text:
                # Marked as text, a number stays one when somebody edits the cell.
                self._sheet.write_string(at, column, text, self._text if column > 2 else None)
        self._sheet.write_datetime(at, 6, row.started_at.date(), self._date)
        self._sheet.write_datetime(at, 7, row.started_at.time(), self._time)
        self._sheet.write_number(at, 8, row.duration_s)
        self._sheet.write_string(at, 9, row.recording)
