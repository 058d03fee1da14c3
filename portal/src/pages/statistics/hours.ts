import type { Selection } from "../../app/selection";
import type { Group } from "./groups";

const hourSeconds = 3600;
const daySeconds = 86_400;
type Times = Pick<Selection, "time_from" | "time_to">;
/** A range of seconds since midnight. */
type Range = readonly [from: number, to: number];

/** The seconds since midnight of `08:30` or `08:30:15`; 0 for any other text. */
function secondsOf(text: string): number {
  const match = /^(\d{1,2}):(\d{2})(?::(\d{2}))?/.exec(text);
  if (match === null) return 0;
  return Number(match[1]) * hourSeconds + Number(match[2]) * 60 + Number(match[3] ?? 0);
}

function timeOf(seconds: number): string {
  const twoDigits = (part: number): string => String(part).padStart(2, "0");
  const hour = twoDigits(Math.floor(seconds / hourSeconds) % 24);
  const minute = twoDigits(Math.floor(seconds / 60) % 60);
  const second = seconds % 60;
  return `${hour}:${minute}${second === 0 ? "" : `:${twoDigits(second)}`}`;
}

/**
 * The ranges of a report's time of day. If `time_to` is not after `time_from`, it spans midnight.
 */
function rangesOf(times: Times): Range[] {
  const from = secondsOf(times.time_from);
  const to = secondsOf(times.time_to) % daySeconds;
  if (from < to) return [[from, to]];
  return to === 0
    ? [[from, daySeconds]]
    : [
        [from, daySeconds],
        [0, to],
      ];
}

/** The parts of an hour that belong to the report; adjacent parts are joined. */
function partsOfHour(times: Times, hour: number): Range[] {
  const parts = rangesOf(times)
    .map(([from, to]): Range => {
      return [Math.max(from, hour * hourSeconds), Math.min(to, (hour + 1) * hourSeconds)];
    })
    .filter(([from, to]) => from < to)
    .sort(([a], [b]) => a - b);
  const [first, second] = parts;
  const areAdjacent = first !== undefined && second !== undefined && first[1] === second[0];
  return areAdjacent ? [[first[0], second[1]]] : parts;
}

/** The hours, 0 to 23, that a report's time of day touches. */
export function hoursOf(times: Times): number[] {
  const hours = Array.from({ length: 24 }, (_, hour) => hour);
  return hours.filter((hour) => partsOfHour(times, hour).length > 0);
}

/**
 * The filter for the calls of one hour of a report. Null if the report has two parts of that hour
 * (such as from 22:40 over midnight to 22:20), as no filter selects both.
 */
export function hourFilter(times: Times, hour: number): Times | null {
  const [part, ...others] = partsOfHour(times, hour);
  if (part === undefined || others.length > 0) return null;
  return { time_from: timeOf(part[0]), time_to: timeOf(part[1]) };
}

/** The label of an hour is its end: «13:00» are the calls from 12:00 to 13:00 (manual, VII). */
export function hourLabel(hour: number): string {
  return `${hour + 1}:00`;
}

/** The range of an hour: `12:00–13:00`. */
export function hourSpan(hour: number): string {
  return `${hour}:00–${hour + 1}:00`;
}

/** The time of day for the title: `8:00` and `20:00`. The whole day is `0:00` and `24:00`. */
export function timeRangeLabel(times: Times): [from: string, to: string] {
  const withoutZero = (time: string): string => time.replace(/^0(\d)/, "$1");
  const end = secondsOf(times.time_to) % daySeconds;
  const from = withoutZero(timeOf(secondsOf(times.time_from)));
  return [from, end === 0 ? "24:00" : withoutZero(timeOf(end))];
}

/** A group for each hour of a report that has calls. */
export function hourGroups<C extends { hour: number; calls: number }>(
  selection: Times,
  hours: readonly C[],
): Group<C>[] {
  const shown = new Set(hoursOf(selection));
  return hours
    .filter(({ hour, calls }) => shown.has(hour) && calls > 0)
    .map((counts) => {
      const { hour } = counts;
      const filter = hourFilter(selection, hour);
      return { key: String(hour), name: hourSpan(hour), note: "", filter, counts };
    });
}
