import { addDays, formatDay } from "../i18n/format";

export type Preset = "today" | "yesterday" | "week" | "month";

/**
 * A range of whole days, both included. Null is the current day, so that a page left open overnight
 * shows the new day.
 */
export interface Period {
  from: string | null;
  to: string | null;
}

export const presets: readonly Preset[] = ["today", "yesterday", "week", "month"];

/** The days of a preset. A week and a month are the last 7 and 30 days, including today. */
export function periodOf(preset: Preset, today: string): Period {
  if (preset === "today") return { from: null, to: null };
  if (preset === "yesterday") return { from: addDays(today, -1), to: addDays(today, -1) };
  return { from: addDays(today, preset === "week" ? -6 : -29), to: today };
}

/** The preset with the same days as a period, or null. */
export function presetOf(period: Period, today: string): Preset | null {
  const [from, to] = [period.from ?? today, period.to ?? today];
  const hasSameDays = (preset: Preset): boolean => {
    const days = periodOf(preset, today);
    return (days.from ?? today) === from && (days.to ?? today) === to;
  };
  return presets.find(hasSameDays) ?? null;
}

/** Whether a text begins with a day in ISO 8601. */
export function beginsWithDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(Date.parse(text.slice(0, 10)));
}

/**
 * Read a typed day, `14.02.2017`, `14.2.17` or `14/02/2017`, as `2017-02-14`; null if it is none.
 */
export function parseDay(text: string): string | null {
  const match = /^\s*(\d{1,2})[./-](\d{1,2})[./-](\d{2}|\d{4})\s*$/.exec(text);
  if (match === null) return null;
  const [, day = "", month = "", year = ""] = match;
  const fullYear = year.length === 2 ? `20${year}` : year;
  const iso = `${fullYear}-${month.padStart(2, "0")}-${day.padStart(2, "0")}`;
  const date = new Date(`${iso}T12:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(iso) ? iso : null;
}

/** The days of a period: `01.02.2017 – 14.02.2017`, or a single day. */
export function formatPeriod(period: Period, today: string): string {
  const [from, to] = [formatDay(period.from ?? today), formatDay(period.to ?? today)];
  return from === to ? from : `${from} – ${to}`;
}

/** Read a typed time of day, `9`, `930`, `9:30` or `09.30`, as `09:30`; empty if it is none. */
export function parseTime(text: string): string {
  const match = /^\s*(\d{1,2})(?:[:.\s]?(\d{2}))?\s*$/.exec(text);
  if (match === null) return "";
  const [hour, minute] = [Number(match[1]), Number(match[2] ?? "0")];
  if (hour >= 24 || minute >= 60) return "";
  return `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
}
