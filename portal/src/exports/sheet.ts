import type { Drawing } from "../charts/option";
import type { Palette, Tone } from "../charts/palette";
import { formatCount, formatLength, formatPercent } from "../i18n/format";
import { formatMos } from "../i18n/quality";

/** A column: texts, numbers of calls, shares of 1, lengths in seconds, or scores (MOS). */
export interface Column {
  title: string;
  kind: "text" | "count" | "share" | "length" | "score";
}

export type Cell = string | number | null;

/** The content of a block as shown on the screen. Every export is made from it. */
export interface Sheet {
  title: string;
  /** The title of the report: the period and the filters. */
  report: string;
  company: string;
  columns: readonly Column[];
  rows: readonly (readonly Cell[])[];
  /** The mark of each row in the chart. */
  marks?: readonly (Tone | null)[];
  /** The bar of each row, in parts of these tones. */
  bars?: { tones: readonly Tone[]; rows: readonly (readonly number[])[] };
  /** Paint the background of higher counts darker. */
  heat?: boolean;
  chart?: (palette: Palette) => Drawing;
}

/** The text of a cell, as on the screen. */
export function cellText(cell: Cell, kind: Column["kind"]): string {
  if (cell === null) return "—";
  if (typeof cell === "string") return cell;
  if (kind === "share") return formatPercent(cell);
  if (kind === "score") return formatMos(cell);
  return kind === "length" ? formatLength(cell * 1000) : formatCount(cell);
}

/** The name of the file: both titles, without characters that file systems forbid. */
export function fileName(sheet: Sheet, ending: string): string {
  const plain = `${sheet.title} — ${sheet.report}`.replace(/:/g, ".").replace(/[\\/*?"<>|]+/g, " ");
  return `${plain.replace(/\s+/g, " ").trim().slice(0, 120)}.${ending}`;
}
