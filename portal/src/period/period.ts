import { daysAfter, shownDate } from "../i18n/dates";

export type Preset = "today" | "yesterday" | "week" | "month";

/** A stretch of whole days, both included; null means today, so that a page left open overnight is on the new day. */
export interface Period {
  from: string | null;
  to: string | null;
}

export const presets: readonly Preset[] = ["today", "yesterday", "week", "month"];

/** The days a preset stands for: a week and a month are the last 7 and 30 days, today included. */
export function periodOf(preset: Preset, today: string): Period {
  if (preset === "today") return { from: null, to: null };
  if (preset === "yesterday") return { from: daysAfter(today, -1), to: daysAfter(today, -1) };
  return { from: daysAfter(today, preset === "week" ? -6 : -29), to: today };
}

/** Which preset a period is, or null. */
export function presetOf(period: Period, today: string): Preset | null {
  const [from, to] = [period.from ?? today, period.to ?? today];
  const same = (preset: Preset): boolean => {
    const days = periodOf(preset, today);
    return (days.from ?? today) === from && (days.to ?? today) === to;
  };
  return presets.find(same) ?? null;
}

/** `14.02.2017` (or `14.2.17`, `14/02/2017`) typed by hand → `2017-02-14`; null when it is no day of the calendar. */
export function typedDay(text: string): string | null {
  const found = /^\s*(\d{1,2})[./-](\d{1,2})[./-](\d{2}|\d{4})\s*$/.exec(text);
  if (found === null) return null;
  const [, day = "", month = "", year = ""] = found;
  const iso = `${year.length === 2 ? `20${year}` : year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}`;
  const date = new Date(`${iso}T12:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(iso) ? iso : null;
}

/** `01.02.2017 – 14.02.2017`, or one day alone. */
export function shownPeriod(period: Period, today: string): string {
  const [from, to] = [shownDate(period.from ?? today), shownDate(period.to ?? today)];
  return from === to ? from : `${from} – ${to}`;
}

/** `9`, `930`, `9:30`, `09.30` typed by hand → `09:30`; empty for no time of day. */
export function typedTime(text: string): string {
  const found = /^\s*(\d{1,2})(?:[:.\s]?(\d{2}))?\s*$/.exec(text);
  if (found === null) return "";
  const [hour, minute] = [Number(found[1]), Number(found[2] ?? "0")];
  return hour < 24 && minute < 60
    ? `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`
    : "";
}
