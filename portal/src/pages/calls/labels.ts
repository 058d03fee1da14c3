import type { Call, Reason, Recording, Result } from "../../api/model";
import { formatDate, formatTime } from "../../i18n/format";
import type { Words } from "../../i18n/ru";

/** The colour of a badge; `live` is a call in progress. */
export type Tone = "good" | "bad" | "warn" | "live" | "";

/** Whether a recording can be played. */
export function hasAudio(recording: Recording): boolean {
  return recording.state === "ready" || recording.state === "partial";
}

/**
 * The label of a recording: its reason if there is one, otherwise its state; both if it is partial.
 */
export function recordingLabel(recording: Recording, words: Words): string {
  const state = words.recording.state[recording.state];
  if (recording.reason === null) return state;
  if (recording.state === "partial")
    return `${words.recording.partial}: ${reasonLabel(recording.reason, words)}`;
  return words.recording.reason[recording.reason];
}

/**
 * Until when a recording is kept, or that it is kept for good or was deleted by its age; null where
 * there was none.
 */
export function keptLabel(recording: Recording, words: Words): string | null {
  if (recording.reason === "retention" && !hasAudio(recording)) return words.recording.deletedByAge;
  if (recording.held) return words.recording.held;
  if (recording.expires_at === null) return null;
  return words.recording.keptUntil(formatDate(recording.expires_at));
}

/** The label of a reason, for the middle of a sentence. */
export function reasonLabel(reason: Reason, words: Words): string {
  const label = words.recording.reason[reason];
  return label.charAt(0).toLowerCase() + label.slice(1);
}

/** The label of a caller's number, which may be withheld. */
export function callerLabel(number: string, words: Words): string {
  return /^(anonymous)?$/i.test(number) ? words.path.hidden : number;
}

/** How long the recording of a segment was paused. */
export function mutedMs(segment: Recording["segments"][number]): number {
  return segment.muted.reduce((sum, span) => sum + span.to_ms - span.from_ms, 0);
}

/** Whether a call is in progress. */
export function isOngoing(call: Call): boolean {
  return call.ended_at === null;
}

const tones: Record<Result, Tone> = { answered: "good", no_answer: "bad", busy: "warn", other: "" };

/** The label and colour of a call's result; of its state while it is in progress. */
export function resultLabel(call: Call, words: Words): { text: string; tone: Tone } {
  if (isOngoing(call))
    return {
      text: call.answered_at === null ? words.going.ringing : words.going.talking,
      tone: "live",
    };
  return { text: words.result[call.result], tone: tones[call.result] };
}

/** The length of a call in whole seconds; until `nowMs` if it is in progress. */
export function durationNow(call: Call, nowMs: number): number {
  return isOngoing(call)
    ? Math.max(0, Math.floor((nowMs - Date.parse(call.started_at)) / 1000))
    : call.duration_s;
}

/** When a missed caller was first called back, and after how long; null if not yet. */
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
