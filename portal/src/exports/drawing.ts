import type { Palette, Tone } from "../charts/palette";
import { cellText, type Sheet } from "./sheet";

const edge = 24;
const rowHeight = 22;
const headHeight = 26;
const titleHeight = 58;
const cellGap = 12;
const chartGap = 10;
const leastBarWidth = 120;
const mostNameWidth = 300;
const size = 11;

/** The width of a text at a font size, both in CSS pixels. */
export type Measure = (text: string, size: number) => number;

export interface Paper {
  palette: Palette;
  measure: Measure;
  width: number;
  /** The drawn chart and its height. */
  chart: { svg: string; height: number } | null;
}

function chartHeight(chart: Paper["chart"]): number {
  return chart === null ? 0 : chart.height + chartGap;
}

/** The height of a drawing with this number of rows. */
export function heightOf(sheet: Sheet, rows: number, chart: Paper["chart"]): number {
  return (
    edge * 2 +
    titleHeight +
    chartHeight(chart) +
    (sheet.columns.length > 0 ? headHeight + rows * rowHeight : 0)
  );
}

/** The number of rows that fit into a height below the title and the chart; at least one. */
export function rowsThatFit(height: number, chart: Paper["chart"]): number {
  return Math.max(
    1,
    Math.floor((height - edge * 2 - titleHeight - chartHeight(chart) - headHeight) / rowHeight),
  );
}

/**
 * Draw one page of a sheet as the text of an `<svg>`: title, chart, and the rows from `from` up to
 * but not including `to`. It has only shapes and texts, which every program draws: no style sheet,
 * script or foreign object.
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
  parts.push(...drawTable(tableOf(sheet, paper), from, to, y));
  if (foot !== "")
    parts.push(
      text(width - edge, height - 12, foot, { size: 10, fill: palette.muted, anchor: "end" }),
    );
  const family = escaped(palette.font);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${family}">${parts.join("")}</svg>`;
}

/** What the cells of a table need to know about the whole table. */
interface Table {
  sheet: Sheet;
  paper: Paper;
  edges: Edges;
  /** The sum of the longest bar and the count of the darkest cell; at least 1. */
  longestBar: number;
  highestCount: number;
}

function tableOf(sheet: Sheet, paper: Paper): Table {
  const bars = (sheet.bars?.rows ?? []).map((row) => row.reduce((sum, part) => sum + part, 0));
  const counts = sheet.heat === true ? sheet.rows.flatMap((row) => row.slice(1, -1)) : [];
  return {
    sheet,
    paper,
    edges: columnEdges(sheet, paper),
    longestBar: Math.max(1, ...bars),
    highestCount: Math.max(1, ...counts.map(Number)),
  };
}

function drawTable(table: Table, from: number, to: number, top: number): string[] {
  const { sheet, paper } = table;
  const { palette, width } = paper;
  const parts = sheet.columns.map(({ title }, column) =>
    drawCell(table, title, column, top + 17, palette.muted),
  );
  parts.push(line(edge, width - edge, top + headHeight - 1, palette.muted));
  sheet.rows.slice(from, to).forEach((_, offset) => {
    const y = top + headHeight + offset * rowHeight;
    parts.push(...drawRow(table, from + offset, y));
    parts.push(line(edge, width - edge, y + rowHeight - 0.5, palette.line));
  });
  return parts;
}

function drawRow(table: Table, row: number, y: number): string[] {
  const { sheet, paper } = table;
  const parts: string[] = [];
  const mark = sheet.marks?.[row] ?? null;
  if (mark !== null) parts.push(shape(mark, edge + 5, y + 11, paper.palette));
  parts.push(...drawBar(table, row, y));
  const cells = sheet.rows[row] ?? [];
  cells.forEach((value, column) => {
    const isCount = sheet.heat === true && column > 0 && column < cells.length - 1;
    if (isCount) parts.push(drawHeat(table, Number(value), column, y));
    const content = cellText(value, sheet.columns[column]?.kind ?? "text");
    parts.push(drawCell(table, content, column, y + 15, paper.palette.text));
  });
  return parts;
}

function drawBar({ sheet, paper, edges, longestBar }: Table, row: number, y: number): string[] {
  const { left, right } = edges.bar;
  let x = left;
  return (sheet.bars?.rows[row] ?? []).map((part, index) => {
    const length = (part / longestBar) * (right - left);
    const fill = paper.palette.tones[sheet.bars?.tones[index] ?? "out"];
    const bar = `<rect x="${x}" y="${y + 6}" width="${length}" height="10" fill="${fill}"/>`;
    x += length;
    return part > 0 ? bar : "";
  });
}

function drawHeat(table: Table, count: number, column: number, y: number): string {
  if (count === 0) return "";
  const { left = 0, right = 0 } = table.edges.columns[column] ?? {};
  const opacity = (0.06 + 0.66 * (count / table.highestCount)).toFixed(3);
  const box = `x="${left - 2}" y="${y + 1}" width="${right - left + 6}" height="${rowHeight - 2}"`;
  return `<rect ${box} fill="${table.paper.palette.accent}" fill-opacity="${opacity}"/>`;
}

function drawCell(table: Table, content: string, column: number, y: number, fill: string): string {
  const { left, right } = table.edges.columns[column] ?? { left: edge, right: edge };
  if (table.sheet.columns[column]?.kind !== "text") {
    return text(right, y, content, { fill, anchor: "end" });
  }
  return text(left, y, fitted(content, right - left, size, table.paper.measure), { fill });
}

interface Edges {
  columns: { left: number; right: number }[];
  bar: { left: number; right: number };
}

/**
 * The edges of the columns and of the bars. Numbers take the width they need, texts up to a limit,
 * the bars take the rest.
 */
function columnEdges(sheet: Sheet, { measure, width }: Paper): Edges {
  const indent = sheet.marks === undefined ? 0 : 16;
  const needed = sheet.columns.map(({ title, kind }, column) => {
    const texts = [title, ...sheet.rows.map((row) => cellText(row[column] ?? null, kind))];
    return Math.ceil(Math.max(...texts.map((content) => measure(content, size)))) + 2;
  });
  const named = sheet.columns.filter(({ kind }) => kind === "text").length;
  const widths = needed.map((width, column) =>
    sheet.columns[column]?.kind === "text" ? Math.min(width, mostNameWidth) : width,
  );
  const left = width - edge * 2 - indent - widths.reduce((sum, width) => sum + width, 0);
  const gap = Math.max(4, Math.min(cellGap, left / Math.max(1, widths.length)));
  const spare = left - gap * (widths.length - 1);
  const bars = sheet.bars === undefined ? 0 : Math.max(leastBarWidth, spare - gap);
  const even =
    sheet.bars === undefined ? Math.max(0, spare) / Math.max(1, widths.length - named) : 0;
  let x = edge + indent;
  let bar = { left: x, right: x };
  const columns = widths.map((width, column) => {
    const isText = sheet.columns[column]?.kind === "text";
    if (column === named && bars > 0) {
      bar = { left: x, right: x + bars };
      x += bars + gap;
    }
    const edges = { left: x, right: x + width + (isText ? 0 : even) };
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
  content: string,
  { fill, size: fontSize = size, anchor = "start", weight = "normal" }: Look,
): string {
  return `<text x="${x}" y="${y}" font-size="${fontSize}" fill="${fill}" text-anchor="${anchor}" font-weight="${weight}">${escaped(content)}</text>`;
}

function line(from: number, to: number, y: number, colour: string): string {
  return `<path d="M${from} ${y}H${to}" stroke="${colour}" stroke-width="0.7" fill="none"/>`;
}

/** The mark of a series, as in charts/marks.css. */
function shape(tone: Tone, x: number, y: number, palette: Palette): string {
  const drawn: Record<Tone, string> = {
    out: `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z`,
    out_failed: `M${x} ${y - 5}L${x + 5} ${y + 4}H${x - 5}z`,
    in: `M${x - 4} ${y - 4}h8v8h-8z`,
    in_missed: `M${x} ${y - 5}L${x + 5} ${y}L${x} ${y + 5}L${x - 5} ${y}z`,
  };
  return `<path d="${drawn[tone]}" fill="${palette.tones[tone]}"/>`;
}

/** Shorten a text with an ellipsis until it fits the width. */
function fitted(content: string, width: number, fontSize: number, measure: Measure): string {
  if (measure(content, fontSize) <= width) return content;
  let end = content.length;
  while (end > 1 && measure(`${content.slice(0, end)}…`, fontSize) > width) end -= 1;
  return `${content.slice(0, end).trimEnd()}…`;
}

function escaped(content: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return content
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "")
    .replace(/[&<>"]/g, (char) => names[char] ?? char);
}
