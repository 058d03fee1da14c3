import type { Tone } from "../../charts/palette";
import type { Selection } from "../../app/selection";
import { cellText, type Cell, type Column, type Sheet } from "../../exports/sheet";
import type { CallFilter } from "./drillDown";
import type { BarRow, Figure } from "./rows";

/** The calls of one queue, employee or hour, with their counts. An empty name is all calls. */
export interface Group<C> {
  key: string;
  name: string;
  note: string;
  filter: CallFilter;
  counts: C;
}

/** A figure of each group. */
export interface Measure<C> {
  title: string;
  kind: Exclude<Column["kind"], "text">;
  value: (counts: C) => number | null;
  /** The number of calls that the figure opens; by default the value. */
  calls?: (counts: C) => number;
  /** Those calls among the calls of the group. */
  filter: (counts: C) => Partial<Selection>;
  /** Its part of the bar. */
  tone?: Tone;
  /** Only the bar and the table of totals have it. */
  isDetail?: boolean;
}

type Table = Required<Pick<Sheet, "columns" | "rows" | "bars">>;

export function columnsOf<C>(first: string, measures: readonly Measure<C>[]): string[] {
  return [first, ...inColumns(measures).map(({ title }) => title)];
}

/** A row for each group, with a figure for each measure. */
export function groupRows<C>(
  groups: readonly Group<C>[],
  measures: readonly Measure<C>[],
): BarRow[] {
  return groups.map((group) => ({
    key: group.key,
    name: group.name,
    note: group.note,
    total: figureOf(group, measures[0] as Measure<C>),
    bar: barOf(group, measures),
    figures: inColumns(measures).map((measure) => figureOf(group, measure)),
  }));
}

/** A row for each measure, of all calls. */
export function totalRows<C>(counts: C, measures: readonly Measure<C>[]): BarRow[] {
  const group: Group<C> = { key: "", name: "", note: "", filter: {}, counts };
  return measures.map((measure) => {
    const figure = figureOf(group, measure);
    const bar = barOf(group, [measure]);
    return {
      key: measure.title,
      name: measure.title,
      note: "",
      total: figure,
      bar,
      figures: [figure],
    };
  });
}

/** The table of an export; `note` is the heading of the groups' notes, if they have any. */
export function groupTable<C>(
  first: string,
  note: string | undefined,
  groups: readonly Group<C>[],
  measures: readonly Measure<C>[],
): Table {
  return {
    columns: [
      { title: first, kind: "text" },
      ...(note === undefined ? [] : [{ title: note, kind: "text" } as const]),
      ...inColumns(measures),
    ],
    rows: groups.map((group) => [
      group.name,
      ...(note === undefined ? [] : [group.note]),
      ...inColumns(measures).map(({ value }) => value(group.counts)),
    ]),
    bars: barsOf(
      measures,
      groups.map(({ counts }) => counts),
    ),
  };
}

export function totalTable<C>(
  titles: readonly [first: string, value: string],
  counts: C,
  measures: readonly Measure<C>[],
): Table {
  const cellOf = ({ kind, value }: Measure<C>): Cell => {
    const found = value(counts);
    return kind === "count" ? found : cellText(found, kind);
  };
  return {
    columns: [
      { title: titles[0], kind: "text" },
      { title: titles[1], kind: "count" },
    ],
    rows: measures.map((measure) => [measure.title, cellOf(measure)]),
    bars: {
      tones: measures.map(({ tone }) => tone ?? "in"),
      rows: measures.map((measure) =>
        measures.map((other) => (other === measure && other.tone ? (other.value(counts) ?? 0) : 0)),
      ),
    },
  };
}

function figureOf<C>({ name, filter, counts }: Group<C>, measure: Measure<C>): Figure {
  const { title, kind, value, calls = value } = measure;
  const figure: Figure = {
    count: calls(counts) ?? 0,
    filter: filter === null ? null : { ...measure.filter(counts), ...filter },
    label: name === "" ? title : `${name}, ${title}`,
  };
  return kind === "count" ? figure : { ...figure, text: cellText(value(counts), kind) };
}

function inColumns<C>(measures: readonly Measure<C>[]): Measure<C>[] {
  return measures.filter(({ isDetail }) => isDetail !== true);
}

function inBar<C>(measures: readonly Measure<C>[]): (Measure<C> & { tone: Tone })[] {
  return measures.filter((measure) => measure.tone !== undefined) as (Measure<C> & {
    tone: Tone;
  })[];
}

function barOf<C>(group: Group<C>, measures: readonly Measure<C>[]): BarRow["bar"] {
  return inBar(measures).map((measure) => ({
    ...figureOf(group, measure),
    length: measure.value(group.counts) ?? 0,
    tone: measure.tone,
  }));
}

function barsOf<C>(measures: readonly Measure<C>[], counts: readonly C[]): Table["bars"] {
  const parts = inBar(measures);
  return {
    tones: parts.map(({ tone }) => tone),
    rows: counts.map((each) => parts.map(({ value }) => value(each) ?? 0)),
  };
}
