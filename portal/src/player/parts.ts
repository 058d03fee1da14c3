import type { Recording } from "../api/model";

type Segment = Recording["segments"][number];

/** A stretch of a recording; its ends are from 0 to 1. */
export interface Stretch {
  from: number;
  to: number;
}

/** The segment at a moment of the recording. */
export function partAt(segments: readonly Segment[], atMs: number): Segment | null {
  return segments.findLast((part) => part.offset_ms <= atMs) ?? null;
}

/** Whether the recording was paused at a moment; its audio is silent there. */
export function isMuted(segments: readonly Segment[], atMs: number): boolean {
  const part = partAt(segments, atMs);
  const within = atMs - (part?.offset_ms ?? 0);
  return part?.muted.some((span) => span.from_ms <= within && within < span.to_ms) ?? false;
}

/** The stretches where the recording was paused. */
export function mutedStretches(segments: readonly Segment[], lengthMs: number): Stretch[] {
  return segments.flatMap((part) =>
    part.muted.map((span) =>
      stretch(part.offset_ms + span.from_ms, part.offset_ms + span.to_ms, lengthMs),
    ),
  );
}

/** The stretches of each user. Consecutive segments of the same user are one stretch. */
export function userStretches(
  segments: readonly Segment[],
  lengthMs: number,
): (Stretch & { user: string })[] {
  const stretches: (Stretch & { user: string })[] = [];
  for (const part of segments) {
    const current = stretch(part.offset_ms, part.offset_ms + part.duration_ms, lengthMs);
    const last = stretches.at(-1);
    if (last?.user === part.user) last.to = current.to;
    else stretches.push({ ...current, user: part.user });
  }
  return stretches;
}

function stretch(fromMs: number, toMs: number, lengthMs: number): Stretch {
  const share = (ms: number): number => (lengthMs > 0 ? Math.min(1, ms / lengthMs) : 0);
  return { from: share(fromMs), to: share(toMs) };
}
