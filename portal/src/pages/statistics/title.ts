import type { Selection } from "../../app/route.svelte";
import { daysAfter } from "../../i18n/dates";
import { said } from "../../i18n/statistics/words";
import { counted } from "../../i18n/words.svelte";
import { shownPeriod } from "../../period/period";
import { me, todayNow } from "../../app/session.svelte";
import { spanSaid } from "./hours";

/** How many days a report covers. */
function daysOf(of: Selection, today: string): number {
  return Math.round((Date.parse(of.to ?? today) - Date.parse(of.from ?? today)) / 86_400_000) + 1;
}

/** The period of the same length that ends where a report's begins. */
export function periodBefore(of: Selection, today: string): { from: string; to: string } {
  const from = of.from ?? today;
  return { from: daysAfter(from, -daysOf(of, today)), to: daysAfter(from, -1) };
}

/** «Отчет за день, период с 8:00–20:00 за» and «01.02.2017» (manual, VII), with the length of calls where it is narrowed. */
export function titleParts(
  of: Selection,
  today: string,
): { before: string; range: string; lengths: string } {
  const { report } = said();
  const days = daysOf(of, today);
  const whole = days === 1 ? report.ofDay : report.ofDays(counted(days, report.days));
  const { min_s: least, max_s: most } = of;
  const lengths =
    least !== "" && most !== ""
      ? report.lengths.between(least, most)
      : least !== ""
        ? report.lengths.from(least)
        : most !== ""
          ? report.lengths.to(most)
          : "";
  return {
    before: `${whole}, ${report.hours(...spanSaid(of))} ${report.on}`,
    range: shownPeriod(of, today),
    lengths,
  };
}

/** The title in one piece, for files and paper. */
function titleSaid(of: Selection): string {
  const { before, range, lengths } = titleParts(of, todayNow());
  return `${before} ${range}${lengths === "" ? "" : `, ${lengths}`}`;
}

/** What stands over every exported sheet. */
export function heading(of: Selection): { report: string; company: string } {
  return { report: titleSaid(of), company: me().domain.title };
}
