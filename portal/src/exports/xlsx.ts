// The browser build needs a worker from a blob, which the portal's content security policy forbids.
import writeXlsxFile, { type Cell as Written } from "write-excel-file/universal";

import type { Cell, Column, Sheet } from "./sheet";

const widest = 60;

/** A workbook with one sheet: both titles and the table. Texts are never read as formulas. */
export async function asXlsx(sheet: Sheet): Promise<Blob> {
  const sheetHeading = sheet.columns.map(({ title, kind }): Written => ({
    value: title,
    type: String,
    fontWeight: "bold",
    align: kind === "text" ? "left" : "right",
    bottomBorderStyle: "thin",
    wrap: true,
  }));
  const rows = [
    [{ value: sheet.title, type: String, fontWeight: "bold", fontSize: 14 }],
    [{ value: `${sheet.company}. ${sheet.report}`, type: String }],
    [null],
    sheetHeading,
    ...sheet.rows.map((row) =>
      row.map((cell, place) => written(cell, sheet.columns[place]?.kind ?? "text")),
    ),
  ] satisfies Written[][];
  const columns = sheet.columns.map(({ title, kind }, place) => {
    const longest = Math.max(
      title.length,
      ...sheet.rows.map((row) => String(row[place] ?? "").length),
    );
    return {
      width:
        kind === "text"
          ? Math.min(widest, longest + 3)
          : Math.max(8, Math.min(18, title.length + 2)),
    };
  });
  return writeXlsxFile(rows, {
    columns,
    sheet: sheet.title.replace(/[\\/*?:[\]]/g, " ").slice(0, 31),
  }).toBlob();
}

function written(cell: Cell, kind: Column["kind"]): Written {
  if (cell === null) return null;
  if (typeof cell === "string") return { value: cell, type: String };
  if (kind === "share") return { value: cell, type: Number, format: "0.0%" };
  if (kind === "score") return { value: cell, type: Number, format: "0.00" };
  if (kind === "length") return { value: cell / 86_400, type: Number, format: "[h]:mm:ss" };
  return { value: cell, type: Number, format: "#,##0" };
}
