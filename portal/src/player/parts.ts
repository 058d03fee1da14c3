import type { Recording } from "../api/model";

type Segment = Recording["segments"][number];

/** A stretch of a recording; its ends are from 0 to 1. */
export interface Stretch {
  from: number;
  to: number;
}

/** The segments at a moment: several where users were recorded together. */
function partsAt(segments: readonly Segment[], atMs: number): Segment[] {
  return segments.filter((part) => {
    return part.offset_ms <= atMs && atMs < part.offset_ms + part.duration_ms;
  });
}

/** The segment that began last at a moment of the recording. */
export function partAt(segments: readonly Segment[], atMs: number): Segment | null {
  const last = segments.findLast((part) => part.offset_ms <= atMs) ?? null;
  return partsAt(segments, atMs).at(-1) ?? last;
}

/** Whether the recording was paused at a moment; its audio is silent there. */
export function isMuted(segments: readonly Segment[], atMs: number): boolean {
  const parts = partsAt(segments, atMs);
  const muted = parts.filter((part) => {
    const within = atMs - part.offset_ms;
    return part.muted.some((span) => span.from_ms <= within && within < span.to_ms);
  });
  return parts.length > 0 && muted.length === parts.length;
}

/** The stretches where the recording was paused. */
export function mutedStretches(segments: readonly Segment[], lengthMs: number): Stretch[] {
  return segments.flatMap((part) =>
    part.muted.map((span) =>
      stretch(part.offset_ms + span.from_ms, part.offset_ms + span.to_ms, lengthMs),
    ),
  );
}

/**
 * The stretches of each user. Consecutive segments of the same user are one stretch. Where several
 * users were recorded together, the first one has it.
 */
export function userStretches(
  segments: readonly Segment[],
  lengthMs: number,
): (Stretch & { user: string })[] {
  const stretches: (Stretch & { user: string })[] = [];
  for (const part of segments) {
    const current = stretch(part.offset_ms, part.offset_ms + part.duration_ms, lengthMs);
    const last = stretches.at(-1);
    if (last?.user === part.user) last.to = Math.max(last.to, current.to);
    else if (last === undefined) stretches.push({ ...current, user: part.user });
    else if (current.to > last.to)
      stretches.push({ from: Math.max(current.from, last.to), to: current.to, user: part.user });
  }
  return stretches;
}

function stretch(fromMs: number, toMs: number, lengthMs: number): Stretch {
  const share = (ms: number): number => (lengthMs > 0 ? Math.min(1, ms / lengthMs) : 0);
  return { from: share(fromMs), to: share(toMs) };
}
