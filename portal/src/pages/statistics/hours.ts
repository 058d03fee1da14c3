import type { Selection } from "../../app/route.svelte";

const daySeconds = 86_400;
type Times = Pick<Selection, "time_from" | "time_to">;
type Stretch = readonly [from: number, to: number];

/** `08:30`, `08:30:15` → seconds since midnight; anything else, also none, is midnight. */
function secondsOf(text: string): number {
  const found = /^(\d{1,2}):(\d{2})(?::(\d{2}))?/.exec(text);
  return found === null
    ? 0
    : Number(found[1]) * 3600 + Number(found[2]) * 60 + Number(found[3] ?? 0);
}

function timeOf(seconds: number): string {
  const two = (part: number): string => String(part).padStart(2, "0");
  const [hour, minute, second] = [
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
    seconds % 60,
  ];
  return `${two(hour)}:${two(minute)}${second === 0 ? "" : `:${two(second)}`}`;
}

/** The time of day of a report as the API means it: over midnight, in two stretches, when `time_to` is not the later one. */
function stretches(times: Times): Stretch[] {
  const [from, to] = [secondsOf(times.time_from), secondsOf(times.time_to) % daySeconds];
  if (from < to) return [[from, to]];
  return to === 0
    ? [[from, daySeconds]]
    : [
        [from, daySeconds],
        [0, to],
      ];
}

function piecesOf(times: Times, hour: number): Stretch[] {
  const pieces = stretches(times)
    .map(([from, to]): Stretch => [Math.max(from, hour * 3600), Math.min(to, (hour + 1) * 3600)])
    .filter(([from, to]) => from < to)
    .sort(([one], [other]) => one - other);
  const [first, second] = pieces;
  return first !== undefined && second !== undefined && first[1] === second[0]
    ? [[first[0], second[1]]]
    : pieces;
}

/** The hours of the clock that a report's time of day touches, 0 to 23. */
export function hoursOf(times: Times): number[] {
  return Array.from({ length: 24 }, (_, hour) => hour).filter(
    (hour) => piecesOf(times, hour).length > 0,
  );
}

/**
 * What narrows the report to the part of an hour that it holds. Null when that part is two (a report from 22:40 over
 * midnight to 22:20): no selection of calls says that.
 */
export function opensHour(times: Times, hour: number): Times | null {
  const pieces = piecesOf(times, hour);
  const [piece] = pieces;
  return piece === undefined || pieces.length > 1
    ? null
    : { time_from: timeOf(piece[0]), time_to: timeOf(piece[1]) };
}

/** The label of an hour is its end: «13:00» are the calls from 12:00 to 13:00 (manual, VII). */
export function hourSaid(hour: number): string {
  return `${hour + 1}:00`;
}

/** `12:00–13:00`. */
export function hourSpan(hour: number): string {
  return `${hour}:00–${hour + 1}:00`;
}

/** The time of day as the title says it, `8:00` and `20:00`; a day whole is from 0:00 to 24:00. */
export function spanSaid(times: Times): [from: string, to: string] {
  const plain = (text: string): string => text.replace(/^0(\d)/, "$1");
  const end = secondsOf(times.time_to) % daySeconds;
  return [plain(timeOf(secondsOf(times.time_from))), end === 0 ? "24:00" : plain(timeOf(end))];
}
