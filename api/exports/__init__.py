"""Exports: selections of calls as CSV, as an Excel workbook, as a ZIP archive with recordings."""
