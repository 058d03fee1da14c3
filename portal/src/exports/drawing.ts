import type { Palette, Tone } from "../charts/palette";
import { cellText, type Sheet } from "./sheet";

const edge = 24;
const rowHeight = 22;
const headHeight = 26;
const titleHeight = 58;
const cellGap = 12;
const chartGap = 10;
const barLeast = 120;
const nameMost = 300;
const size = 11;

/** How wide a text is, in CSS pixels at the size given. */
export type Measure = (text: string, size: number) => number;

export interface Paper {
  palette: Palette;
  measure: Measure;
  width: number;
  /** The chart as drawn already, with its height. */
  chart: { svg: string; height: number } | null;
}

function chartHeight(chart: Paper["chart"]): number {
  return chart === null ? 0 : chart.height + chartGap;
}

/** How high a sheet is on paper, with so many of its rows. */
export function heightOf(sheet: Sheet, rows: number, chart: Paper["chart"]): number {
  return (
    edge * 2 +
    titleHeight +
    chartHeight(chart) +
    (sheet.columns.length > 0 ? headHeight + rows * rowHeight : 0)
  );
}

/** How many rows fit under the title (and the chart) in a height. */
export function rowsThatFit(height: number, chart: Paper["chart"]): number {
  return Math.max(
    1,
    Math.floor((height - edge * 2 - titleHeight - chartHeight(chart) - headHeight) / rowHeight),
  );
}

/**
 * A sheet as the text of an `<svg>`: title, chart, table; `rows` are those of one page (from, to). Plain shapes and texts
 * alone, which any reader of SVG draws: no style sheet, no script, no foreign object.
 */
export function drawSheet(
  sheet: Sheet,
  paper: Paper,
  [from, to]: readonly [number, number],
  foot: string,
  height: number,
): string {
  const { palette, width, chart } = paper;
  const parts = [
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(edge, edge + 16, sheet.title, { size: 17, fill: palette.text, weight: "bold" }),
    text(
      edge,
      edge + 36,
      fitted(`${sheet.company}. ${sheet.report}`, width - edge * 2, 12, paper.measure),
      { size: 12, fill: palette.muted },
    ),
  ];
  let y = edge + titleHeight;
  if (chart !== null) {
    parts.push(chart.svg.replace("<svg ", `<svg x="${edge}" y="${y}" `));
    y += chart.height + chartGap;
  }
  parts.push(...table(sheet, paper, from, to, y));
  if (foot !== "")
    parts.push(
      text(width - edge, height - 12, foot, { size: 10, fill: palette.muted, anchor: "end" }),
    );
  const family = escaped(palette.font);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${family}">${parts.join("")}</svg>`;
}

function table(sheet: Sheet, paper: Paper, from: number, to: number, top: number): string[] {
  const { palette, width } = paper;
  const edges = columnEdges(sheet, paper);
  const most = Math.max(
    1,
    ...(sheet.bars?.rows ?? []).map((row) => row.reduce((sum, part) => sum + part, 0)),
  );
  const hottest = Math.max(
    1,
    ...sheet.rows.flatMap((row) => row.slice(1, sheet.heat === true ? -1 : 1).map(Number)),
  );
  const parts: string[] = [];
  const cell = (said: string, place: number, y: number, how: Look): void => {
    const { left, right } = edges.columns[place] ?? { left: edge, right: edge };
    const asText = sheet.columns[place]?.kind === "text";
    const shown = asText ? fitted(said, right - left, size, paper.measure) : said;
    parts.push(
      text(asText ? left : right, y, shown, { size, anchor: asText ? "start" : "end", ...how }),
    );
  };
  sheet.columns.forEach((column, place) =>
    cell(column.title, place, top + 17, { fill: palette.muted }),
  );
  parts.push(line(edge, width - edge, top + headHeight - 1, palette.muted));
  sheet.rows.slice(from, to).forEach((row, offset) => {
    const [y, at] = [top + headHeight + offset * rowHeight, from + offset];
    const mark = sheet.marks?.[at];
    if (mark !== undefined && mark !== null) parts.push(shape(mark, edge + 5, y + 11, palette));
    let x = edges.bar.left;
    sheet.bars?.rows[at]?.forEach((part, which) => {
      const length = (part / most) * (edges.bar.right - edges.bar.left);
      if (part > 0)
        parts.push(
          `<rect x="${x}" y="${y + 6}" width="${length}" height="10" fill="${palette.tones[sheet.bars?.tones[which] ?? "out"]}"/>`,
        );
      x += length;
    });
    row.forEach((value, place) => {
      const heat =
        sheet.heat === true && place > 0 && place < row.length - 1 ? Number(value) / hottest : 0;
      const { left = 0, right = 0 } = edges.columns[place] ?? {};
      if (heat > 0)
        parts.push(
          `<rect x="${left - 2}" y="${y + 1}" width="${right - left + 6}" height="${rowHeight - 2}" fill="${palette.accent}" fill-opacity="${(0.06 + 0.66 * heat).toFixed(3)}"/>`,
        );
      cell(cellText(value, sheet.columns[place]?.kind ?? "text"), place, y + 15, {
        fill: palette.text,
      });
    });
    parts.push(line(edge, width - edge, y + rowHeight - 0.5, palette.line));
  });
  return parts;
}

interface Edges {
  columns: { left: number; right: number }[];
  bar: { left: number; right: number };
}

/** Where each column is: numbers as wide as they need, names up to a limit, the bars (or the last name) what is left. */
function columnEdges(sheet: Sheet, { measure, width }: Paper): Edges {
  const indent = sheet.marks === undefined ? 0 : 16;
  const needed = sheet.columns.map(({ title, kind }, place) => {
    const said = [title, ...sheet.rows.map((row) => cellText(row[place] ?? null, kind))];
    return Math.ceil(Math.max(...said.map((one) => measure(one, size)))) + 2;
  });
  const named = sheet.columns.filter(({ kind }) => kind === "text").length;
  const wide = needed.map((one, place) =>
    sheet.columns[place]?.kind === "text" ? Math.min(one, nameMost) : one,
  );
  const left = width - edge * 2 - indent - wide.reduce((sum, one) => sum + one, 0);
  const gap = Math.max(4, Math.min(cellGap, left / Math.max(1, wide.length)));
  const spare = left - gap * (wide.length - 1);
  const bars = sheet.bars === undefined ? 0 : Math.max(barLeast, spare - gap);
  const even = sheet.bars === undefined ? Math.max(0, spare) / Math.max(1, wide.length - named) : 0;
  let x = edge + indent;
  let bar = { left: x, right: x };
  const columns = wide.map((one, place) => {
    const isText = sheet.columns[place]?.kind === "text";
    if (place === named && bars > 0) {
      bar = { left: x, right: x + bars };
      x += bars + gap;
    }
    const edges = { left: x, right: x + one + (isText ? 0 : even) };
    x = edges.right + gap;
    return edges;
  });
  return { columns, bar };
}

interface Look {
  fill: string;
  size?: number;
  anchor?: "start" | "end";
  weight?: "normal" | "bold";
}

function text(
  x: number,
  y: number,
  said: string,
  { fill, size: high = size, anchor = "start", weight = "normal" }: Look,
): string {
  return `<text x="${x}" y="${y}" font-size="${high}" fill="${fill}" text-anchor="${anchor}" font-weight="${weight}">${escaped(said)}</text>`;
}

function line(from: number, to: number, y: number, colour: string): string {
  return `<path d="M${from} ${y}H${to}" stroke="${colour}" stroke-width="0.7" fill="none"/>`;
}

/** The marks of the chart's series, as charts/marks.css draws them. */
function shape(tone: Tone, x: number, y: number, palette: Palette): string {
  const drawn: Record<Tone, string> = {
    out: `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z`,
    out_failed: `M${x} ${y - 5}L${x + 5} ${y + 4}H${x - 5}z`,
    in: `M${x - 4} ${y - 4}h8v8h-8z`,
    in_missed: `M${x} ${y - 5}L${x + 5} ${y}L${x} ${y + 5}L${x - 5} ${y}z`,
  };
  return `<path d="${drawn[tone]}" fill="${palette.tones[tone]}"/>`;
}

/** A text that fits a width, its end given up for an ellipsis where it must be. */
function fitted(said: string, width: number, high: number, measure: Measure): string {
  if (measure(said, high) <= width) return said;
  let kept = said.length;
  while (kept > 1 && measure(`${said.slice(0, kept)}…`, high) > width) kept -= 1;
  return `${said.slice(0, kept).trimEnd()}…`;
}

function escaped(said: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return said
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "")
    .replace(/[&<>"]/g, (one) => names[one] ?? one);
}
