import type { Tone } from "../../charts/palette";
import type { CallFilter } from "./drillDown";

/** A number of calls. A click on it opens the calls of `filter`; `label` describes them. */
export interface Figure {
  count: number;
  filter: CallFilter;
  label: string;
  /** What is shown instead of the number, such as a length of time. */
  text?: string;
}

/** A row of a table with bars. A figure that is a text opens no calls. */
export interface BarRow {
  key: string;
  name: string;
  note: string;
  total: Figure;
  /** A part without a `length` is as long as its number of calls; without parts there is no bar. */
  bar: readonly (Figure & { tone: Tone; length?: number })[];
  figures: readonly (Figure | string)[];
}
