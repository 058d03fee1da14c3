import type { Counts } from "../../api/statistics";
import type { Selection } from "../../app/selection";

export type Series = keyof Counts;

/** The four series of «График вызовов». No call is in two of them (manual, VII). */
export const seriesNames: readonly Series[] = ["out", "out_failed", "in", "in_missed"];

const unanswered: Selection["result"] = ["no_answer", "busy", "other"];

/** The filters for the calls of each series. */
export const seriesFilters: Record<Series, Partial<Selection>> = {
  out: { direction: ["out"], result: ["answered"] },
  out_failed: { direction: ["out"], result: unanswered },
  in: { direction: ["in"], result: ["answered"] },
  in_missed: { kind: "missed" },
};

/** The filter for the calls of all four series. */
export const allSeriesFilter: Partial<Selection> = { direction: ["in", "out"] };

/** The sum of each series over some hours. */
export function sumHours(hours: readonly Counts[]): Counts {
  const sum = (name: Series): number => hours.reduce((total, counts) => total + counts[name], 0);
  return {
    out: sum("out"),
    out_failed: sum("out_failed"),
    in: sum("in"),
    in_missed: sum("in_missed"),
  };
}

/** The calls of all four series. */
export function totalCalls(counts: Counts): number {
  return counts.out + counts.out_failed + counts.in + counts.in_missed;
}
