import type { Selection } from "../../app/route.svelte";
import type { Counts } from "../../api/statistics";

export type Series = keyof Counts;

/** The four kinds of calls of «График вызовов», which are disjoint (manual, VII). */
export const seriesNames: readonly Series[] = ["out", "out_failed", "in", "in_missed"];

const unanswered: Selection["result"] = ["no_answer", "busy", "other"];

/** What narrows a list of calls to those that a figure of a series counts. */
export const opensSeries: Record<Series, Partial<Selection>> = {
  out: { direction: ["out"], result: ["answered"] },
  out_failed: { direction: ["out"], result: unanswered },
  in: { direction: ["in"], result: ["answered"] },
  in_missed: { kind: "missed" },
};

/** What narrows a list of calls to all with the outside: the four together. */
export const opensAll: Partial<Selection> = { direction: ["in", "out"] };

/** All calls of some hours, series by series. */
export function summed(rows: readonly Counts[]): Counts {
  const of = (name: Series): number => rows.reduce((sum, row) => sum + row[name], 0);
  return { out: of("out"), out_failed: of("out_failed"), in: of("in"), in_missed: of("in_missed") };
}

/** The four together. */
export function allOf(counts: Counts): number {
  return counts.out + counts.out_failed + counts.in + counts.in_missed;
}
