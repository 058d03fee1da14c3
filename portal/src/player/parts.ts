import type { Recording } from "../api/model";

type Segment = Recording["segments"][number];

/** A stretch of a recording, as shares (0…1) of its length. */
export interface Stretch {
  from: number;
  to: number;
}

/** The part that is heard at a moment of the recording. */
export function partAt(segments: readonly Segment[], atMs: number): Segment | null {
  return segments.findLast((part) => part.offset_ms <= atMs) ?? null;
}

/** Whether the recording was paused at a moment: what is heard there is silence. */
export function isMuted(segments: readonly Segment[], atMs: number): boolean {
  const part = partAt(segments, atMs);
  const within = atMs - (part?.offset_ms ?? 0);
  return part?.muted.some((span) => span.from_ms <= within && within < span.to_ms) ?? false;
}

/** Where the recording was paused. */
export function mutedStretches(segments: readonly Segment[], lengthMs: number): Stretch[] {
  return segments.flatMap((part) =>
    part.muted.map((span) =>
      stretch(part.offset_ms + span.from_ms, part.offset_ms + span.to_ms, lengthMs),
    ),
  );
}

/** Whose talk it is from where to where; parts of one person that follow each other are one. */
export function userStretches(
  segments: readonly Segment[],
  lengthMs: number,
): (Stretch & { user: string })[] {
  const found: (Stretch & { user: string })[] = [];
  for (const part of segments) {
    const here = stretch(part.offset_ms, part.offset_ms + part.duration_ms, lengthMs);
    const last = found.at(-1);
    if (last?.user === part.user) last.to = here.to;
    else found.push({ ...here, user: part.user });
  }
  return found;
}

function stretch(fromMs: number, toMs: number, lengthMs: number): Stretch {
  const share = (ms: number): number => (lengthMs > 0 ? Math.min(1, ms / lengthMs) : 0);
  return { from: share(fromMs), to: share(toMs) };
}
