import type { Selection } from "../../app/selection";
import { currentDay, me } from "../../app/session.svelte";
import { addDays, formatCounted } from "../../i18n/format";
import { rangeLabel, reportWords } from "../../i18n/statistics/words";
import { formatPeriod } from "../../period/period";
import { timeRangeLabel } from "./hours";

const dayMs = 86_400_000;

/** The number of days of a report. */
function dayCount({ from, to }: Selection, today: string): number {
  return Math.round((Date.parse(to ?? today) - Date.parse(from ?? today)) / dayMs) + 1;
}

/** The period of the same length that ends the day before a report begins. */
export function previousPeriod(selection: Selection, today: string): { from: string; to: string } {
  const from = selection.from ?? today;
  return { from: addDays(from, -dayCount(selection, today)), to: addDays(from, -1) };
}

interface Title {
  beginning: string;
  period: string;
  /** The filter of durations; empty if there is none. */
  durations: string;
}

/**
 * The parts of a report's title: «Отчет за день, период с 8:00–20:00 за», «01.02.2017» (manual,
 * VII).
 */
export function titleParts(selection: Selection, today: string): Title {
  const { report } = reportWords();
  const days = dayCount(selection, today);
  const name = days === 1 ? report.ofDay : report.ofDays(formatCounted(days, report.days));
  return {
    beginning: `${name}, ${report.hours(...timeRangeLabel(selection))} ${report.on}`,
    period: formatPeriod(selection, today),
    durations: rangeLabel(report.lengths, selection.min_s, selection.max_s),
  };
}

/** The headings of every exported sheet: the title of the report and of the domain. */
export function sheetHeading(selection: Selection): { report: string; company: string } {
  const { beginning, period, durations } = titleParts(selection, currentDay());
  const report = `${beginning} ${period}${durations === "" ? "" : `, ${durations}`}`;
  return { report, company: me().domain.title };
}
