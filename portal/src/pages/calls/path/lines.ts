import type { Call, PathStep } from "../../../api/model";
import { isBad } from "../../../i18n/quality";

/** The colour of a line's mark. */
export type Tone = "good" | "bad" | "rec" | "";

/** Phones that rang together and did not answer for the same cause. */
export interface Outcome {
  what: (typeof unanswered)[number];
  who: string[];
}

/**
 * One line of a call's path, made from one or more steps. `key` selects its words (words.ts),
 * `rounds` is how often its phones rang.
 */
export interface Line {
  at: string;
  key: string;
  tone: Tone;
  who: string[];
  by: string;
  reason: PathStep["reason"];
  quality: PathStep["quality"];
  lengthMs: number | null;
  rounds: number;
  outcomes: Outcome[];
}

const unanswered = ["busy", "no_answer", "fail"] as const;
const ringing: readonly string[] = ["ring", ...unanswered];
const soundSteps: readonly string[] = ["heard", "hears"];
const hangUps: readonly string[] = ["leave", "give_up"];
const tones: Record<string, Tone> = {
  answer: "good",
  back: "good",
  join: "good",
  fetch: "good",
  pick_up: "good",
  talk: "good",
  busy: "bad",
  no_answer: "bad",
  fail: "bad",
  give_up: "bad",
  voicemail: "bad",
  record: "rec",
  record_by_pbx: "rec",
  resume_record: "rec",
};

/**
 * The lines of a call's path. Phones that ring together or repeatedly are one line, and so is a hold
 * with its end. The end of a call is left out after its last party hung up. How the sound arrived
 * comes last.
 */
export function pathLines(steps: readonly PathStep[], call: Call): Line[] {
  const path = steps.filter((step) => !soundSteps.includes(step.what));
  const sound = steps.filter((step) => soundSteps.includes(step.what));
  return [...eventLines(path, call), ...sound.map(soundLine)];
}

function eventLines(path: readonly PathStep[], call: Call): Line[] {
  const lines: Line[] = [];
  for (let index = 0; index < path.length;) {
    const step = path[index] as PathStep;
    const run = ringing.includes(step.what) ? ringsFrom(path, index) : [step];
    const next = path[index + run.length];
    if (isGroup(run)) lines.push(groupLine(run));
    else if (step.what === "hold" && next?.what === "resume" && next.who === step.who) {
      lines.push({ ...stepLine(step, call), lengthMs: Date.parse(next.at) - Date.parse(step.at) });
      index += 1;
    } else if (step.what !== "end" || !hangUps.includes(path[index - 1]?.what ?? ""))
      lines.push(...run.map((ring) => stepLine(ring, call)));
    index += run.length;
  }
  return lines;
}

function ringsFrom(path: readonly PathStep[], from: number): PathStep[] {
  const by = path[from]?.by;
  let to = from;
  while (
    to < path.length &&
    ringing.includes(path[to]?.what ?? "") &&
    (path[to]?.what !== "ring" || path[to]?.by === by)
  )
    to += 1;
  return path.slice(from, Math.max(to, from + 1));
}

function isGroup(run: readonly PathStep[]): boolean {
  const rings = run.filter((step) => step.what === "ring");
  return rings.length > 2 || new Set(rings.map((step) => step.who)).size > 1;
}

function groupLine(run: readonly PathStep[]): Line {
  const rings = run.filter((step) => step.what === "ring");
  const who = [...new Set(rings.map((step) => step.who))];
  const most = Math.max(...who.map((phone) => rings.filter((step) => step.who === phone).length));
  const outcomes = unanswered.map((what) => ({
    what,
    who: [...new Set(run.filter((step) => step.what === what).map((step) => step.who))],
  }));
  const first = rings[0] as PathStep;
  const key = first.by === "" ? "rings" : "rings_by";
  return {
    ...emptyLine(first),
    key,
    who,
    by: first.by,
    rounds: most,
    outcomes: outcomes.filter((outcome) => outcome.who.length > 0),
  };
}

function stepLine(step: PathStep, call: Call): Line {
  const line = emptyLine(step);
  if (step.what === "arrive")
    return { ...line, key: call.direction === "in" ? "arrive_in" : "arrive_out", by: call.src };
  const key = step.by === "" ? step.what : `${step.what}_by`;
  return {
    ...line,
    key:
      step.who === "" && (step.what === "record" || step.what === "no_record")
        ? `${step.what}_nobody`
        : key,
  };
}

function soundLine(step: PathStep): Line {
  const bad = step.quality !== null && isBad(step.quality);
  const line = emptyLine(step);
  return { ...line, key: bad ? `${step.what}_bad` : step.what, tone: bad ? "bad" : "" };
}

function emptyLine(step: PathStep): Line {
  const { at, by, reason, quality } = step;
  return {
    at,
    key: step.what,
    tone: tones[step.what] ?? "",
    who: [step.who],
    by,
    reason,
    quality,
    lengthMs: null,
    rounds: 1,
    outcomes: [],
  };
}
