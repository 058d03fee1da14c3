"""Selections as files: what becomes of a call's row (`columns`), in which words, as CSV, as a workbook, as an archive of sound."""
