import type { Drawing } from "../charts/option";
import type { Palette, Tone } from "../charts/palette";
import { formatCount, formatLength, formatPercent } from "../i18n/format";

/** What a column holds: words, a number of calls, a share of 1, or a length in seconds. */
export interface Column {
  title: string;
  kind: "text" | "count" | "share" | "length";
}

export type Cell = string | number | null;

/** The figures of a block as they are on the screen, which every export is made of. */
export interface Sheet {
  title: string;
  /** The report's own title: what was formatCounted, and when. */
  report: string;
  company: string;
  columns: readonly Column[];
  rows: readonly (readonly Cell[])[];
  /** Each row's mark in the chart. */
  marks?: readonly (Tone | null)[];
  /** Each row's bar, in parts of these tones. */
  bars?: { tones: readonly Tone[]; rows: readonly (readonly number[])[] };
  /** Counts are painted the darker, the higher. */
  heat?: boolean;
  chart?: (palette: Palette) => Drawing;
}

/** A cell in words, as on the screen. */
export function cellText(cell: Cell, kind: Column["kind"]): string {
  if (cell === null) return "—";
  if (typeof cell === "string") return cell;
  if (kind === "share") return formatPercent(cell);
  return kind === "length" ? formatLength(cell * 1000) : formatCount(cell);
}

/** A name for the file: the title and the report's, without what file systems dislike. */
export function fileName(sheet: Sheet, ending: string): string {
  const plain = `${sheet.title} — ${sheet.report}`.replace(/:/g, ".").replace(/[\\/*?"<>|]+/g, " ");
  return `${plain.replace(/\s+/g, " ").trim().slice(0, 120)}.${ending}`;
}
