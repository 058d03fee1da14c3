import { currentLanguage } from "../i18n/words.svelte";
import { cellText, type Cell, type Column, type Sheet } from "./sheet";

/**
 * What begins a formula, at the start or behind what the Excel of another language takes for the end of a cell; wide signs too, which
 * some Asian ones make plain. As api/exports/csv_text.py has it.
 */
const formula = /(^|[;,\t\r\n"])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g;

/**
 * A table as Excel opens it by itself: with a byte order mark, else it garbles Cyrillic, and with the separator of the
 * language's Excel. A text that a spreadsheet would take for a formula is given an apostrophe (a name may be an attack).
 */
export function asCsv(sheet: Sheet): string {
  const separator = currentLanguage() === "ru" ? ";" : ",";
  const rows = [
    sheet.columns.map((column) => quoted(column.title)),
    ...sheet.rows.map((row) =>
      row.map((cell, place) => written(cell, sheet.columns[place]?.kind ?? "text")),
    ),
  ];
  return `\ufeff${rows.map((row) => row.join(separator)).join("\r\n")}\r\n`;
}

function written(cell: Cell, kind: Column["kind"]): string {
  if (cell === null) return "";
  if (typeof cell === "number" && kind === "count") return String(cell);
  if (typeof cell === "number") return quoted(cellText(cell, kind).replace(/\s/g, ""));
  return quoted(cell.replace(formula, "$1$2'"));
}

function quoted(text: string): string {
  return /[",;\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
