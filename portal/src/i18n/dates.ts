/**
 * Dates are shown as the manual has them (14.02.2017, 09:43:27) whatever the browser's locale, and in the domain's zone:
 * the API's times carry that zone's offset, so the digits of the text are already the ones to show. No formatter of dates is made: the first one of a browser takes a telephone
 * a tenth of a second.
 */

import type { ClockOffset } from "../api/model";

/** `2017-02-14…` → `14.02.2017`. */
export function shownDate(iso: string): string {
  return `${iso.slice(8, 10)}.${iso.slice(5, 7)}.${iso.slice(0, 4)}`;
}

/** `…T09:43:27.123+07:00` → `09:43:27`. */
export function shownTime(iso: string): string {
  return iso.slice(11, 19);
}

/** A length in milliseconds as `1:05` or `1:02:03`. */
export function shownLength(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const minutes = Math.floor(seconds / 60);
  const tail = String(seconds % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${tail}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${tail}`;
}

/** The day that a clock shows at a moment (milliseconds since 1970), as `2017-02-14`; it goes on as the API has told of it at last. */
export function dayBy(clock: readonly ClockOffset[], moment: number): string {
  const told = clock.find(({ until }) => moment < Date.parse(until)) ?? clock.at(-1);
  return new Date(moment + (told?.offset_s ?? 0) * 1000).toISOString().slice(0, 10);
}

/** The day some days after (or before, when negative) an ISO day. */
export function daysAfter(day: string, days: number): string {
  const date = new Date(`${day}T12:00:00Z`);
  date.setUTCDate(date.getUTCDate() + days);
  return date.toISOString().slice(0, 10);
}

/** The calendar day that a local Date of the calendar stands for. */
export function isoDay(date: Date): string {
  return [
    date.getFullYear(),
    String(date.getMonth() + 1).padStart(2, "0"),
    String(date.getDate()).padStart(2, "0"),
  ].join("-");
}
