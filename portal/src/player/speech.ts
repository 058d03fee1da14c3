import type { Peaks } from "../api/model";

/** A stretch of time in seconds. */
export interface Span {
  fromS: number;
  toS: number;
}

/** The sides of a recording, as bits of the digits of `Peaks.speech`. */
export const sides = { outside: 1, employee: 2 } as const;

/** Shorter silence belongs to the talk; so does its first and last moment. */
const leastSilenceS = 2;
const keptS = 0.3;

type Track = Pick<Peaks, "per_second" | "speech">;

/** The stretches of digits of a track that pass a test, in seconds. */
function stretches({ speech, per_second }: Track, passes: (digit: number) => boolean): Span[] {
  const found: Span[] = [];
  let begin = -1;
  for (let at = 0; at <= speech.length; at += 1) {
    const inside = at < speech.length && passes(Number(speech[at]));
    if (inside && begin < 0) begin = at;
    if (!inside && begin >= 0) {
      found.push({ fromS: begin / per_second, toS: at / per_second });
      begin = -1;
    }
  }
  return found;
}

/** When a side spoke. */
export function spokenBy(track: Track, side: number): Span[] {
  return stretches(track, (digit) => (digit & side) !== 0);
}

/** The silences that are worth skipping. */
export function silences(track: Track): Span[] {
  return stretches(track, (digit) => digit === 0)
    .filter(({ fromS, toS }) => toS - fromS >= leastSilenceS)
    .map(({ fromS, toS }) => ({ fromS: fromS + keptS, toS: toS - keptS }));
}

/** The second at which to go on: after the silence in which `second` lies, if any. */
export function afterSilence(within: readonly Span[], second: number): number | null {
  let [low, high] = [0, within.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((within[middle]?.toS ?? Infinity) <= second) low = middle + 1;
    else high = middle;
  }
  const next = within[low];
  return next !== undefined && next.fromS <= second ? next.toS : null;
}
