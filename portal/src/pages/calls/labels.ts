import type { Call, Reason, Recording, Result } from "../../api/model";
import { formatDate, formatTime } from "../../i18n/format";
import type { Words } from "../../i18n/ru";

/** The colour of a badge; `live` is a call that goes on. */
export type Tone = "good" | "bad" | "warn" | "live" | "";

/** Whether there is sound to play: only then is there a play button. */
export function hasAudio(recording: Recording): boolean {
  return recording.state === "ready" || recording.state === "partial";
}

/** What became of a recording, in words: the reason where there is one, else the state; of a partial one both. */
export function recordingLabel(recording: Recording, words: Words): string {
  const state = words.recording.state[recording.state];
  if (recording.reason === null) return state;
  if (recording.state === "partial")
    return `${words.recording.partial}: ${reasonLabel(recording.reason, words)}`;
  return words.recording.reason[recording.reason];
}

/** Why something is not recorded, in words for the middle of a sentence. */
export function reasonLabel(reason: Reason, words: Words): string {
  const said = words.recording.reason[reason];
  return said.charAt(0).toLowerCase() + said.slice(1);
}

/** A caller's number in the middle of a sentence; a withheld one is said to be. */
export function callerLabel(number: string, words: Words): string {
  return /^(anonymous)?$/i.test(number) ? words.path.hidden : number;
}

/** For how long a part's recording was paused. */
export function mutedMs(segment: Recording["segments"][number]): number {
  return segment.muted.reduce((sum, span) => sum + span.to_ms - span.from_ms, 0);
}

/** Whether the call is going on. */
export function isOngoing(call: Call): boolean {
  return call.ended_at === null;
}

const tones: Record<Result, Tone> = { answered: "good", no_answer: "bad", busy: "warn", other: "" };

/** How a call's result (or, while it goes on, its state) is worded and toned. */
export function resultLabel(call: Call, words: Words): { text: string; tone: Tone } {
  if (isOngoing(call))
    return {
      text: call.answered_at === null ? words.going.ringing : words.going.talking,
      tone: "live",
    };
  return { text: words.result[call.result], tone: tones[call.result] };
}

/** The call's length in whole seconds; of a call that goes on, until `nowMs`. */
export function durationNow(call: Call, nowMs: number): number {
  return isOngoing(call)
    ? Math.max(0, Math.floor((nowMs - Date.parse(call.started_at)) / 1000))
    : call.duration_s;
}

/** When somebody of the company first reached a missed caller, and how long that took; null: nobody has yet. */
export function calledBackLabel(call: Call, words: Words): string | null {
  const at = call.called_back_at;
  if (at === null) return null;
  const time = formatTime(at).slice(0, 5);
  const sameDay = formatDate(at) === formatDate(call.started_at);
  const when = sameDay ? words.path.at(time) : words.path.onDay(formatDate(at), time);
  return words.path.calledBack(
    when,
    waitLabel(Date.parse(at) - Date.parse(call.started_at), words),
  );
}

function waitLabel(waitMs: number, words: Words): string {
  const minutes = Math.floor(waitMs / 60_000);
  if (minutes < 1) return words.path.afterSeconds;
  if (minutes < 60) return words.path.afterMinutes(minutes);
  if (minutes < 48 * 60) return words.path.afterHours(Math.floor(minutes / 60), minutes % 60);
  return words.path.afterDays(Math.floor(minutes / (24 * 60)));
}
