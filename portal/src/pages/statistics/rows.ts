import type { Tone } from "../../charts/palette";
import type { Opens } from "./drillDown";

/** A number of calls that opens them; `what` says which they are. */
export interface Figure {
  count: number;
  opens: Opens;
  what: string;
}

/** A row of a block: who or what it is, its bar, and its figures; a figure in words opens nothing. */
export interface BarRow {
  key: string;
  name: string;
  note: string;
  whole: Figure;
  bar: readonly (Figure & { tone: Tone })[];
  figures: readonly (Figure | string)[];
}
