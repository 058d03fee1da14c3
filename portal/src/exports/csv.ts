import { currentLanguage } from "../i18n/words.svelte";
import { cellText, type Cell, type Column, type Sheet } from "./sheet";

/**
 * The beginning of a formula: at the start of a cell, or after a character that ends a cell in the
 * Excel of another language. Some Asian versions read full-width signs as plain ones. The API uses
 * the same expression (api/exports/csv_format.py).
 */
const formula = /(^|[;,\t\r\n"])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g;

/**
 * A sheet as CSV for Excel: with a byte order mark, without which Excel garbles Cyrillic, and with
 * the separator of the language's Excel. A text that looks like a formula gets an apostrophe, as a
 * name may be an attack.
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
