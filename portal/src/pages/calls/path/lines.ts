import type { Call, PathStep } from "../../../api/model";

/** The colour of a station's mark. */
export type Tone = "good" | "bad" | "rec" | "";

/** How some of those who were rung together did not answer. */
export interface Outcome {
  what: string;
  who: string[];
}

/** One line of the story: several steps may have become one. `key` names its words; `rounds` is how often all were rung. */
export interface Line {
  at: string;
  key: string;
  tone: Tone;
  who: string[];
  by: string;
  reason: PathStep["reason"];
  lengthMs: number | null;
  rounds: number;
  outcomes: Outcome[];
}

const unanswered: readonly string[] = ["busy", "no_answer", "fail"];
const ringing: readonly string[] = ["ring", ...unanswered];
const said: readonly string[] = ["leave", "give_up"];
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
  record: "rec",
  resume_record: "rec",
};

/**
 * The steps as lines to be read: telephones that ring together (or again and again) are one line, so is a hold with its end,
 * and nobody needs to be told that a call is over whose last party has hung up.
 */
export function pathLines(path: readonly PathStep[], call: Call): Line[] {
  const lines: Line[] = [];
  for (let index = 0; index < path.length;) {
    const step = path[index] as PathStep;
    const run = ringing.includes(step.what) ? runFrom(path, index) : [step];
    const next = path[index + run.length];
    if (isCrowd(run)) lines.push(crowd(run));
    else if (step.what === "hold" && next?.what === "resume" && next.who === step.who) {
      lines.push({ ...plain(step, call), lengthMs: Date.parse(next.at) - Date.parse(step.at) });
      index += 1;
    } else if (step.what !== "end" || !said.includes(path[index - 1]?.what ?? ""))
      lines.push(...run.map((one) => plain(one, call)));
    index += run.length;
  }
  return lines;
}

function runFrom(path: readonly PathStep[], from: number): PathStep[] {
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

function isCrowd(run: readonly PathStep[]): boolean {
  const rings = run.filter((step) => step.what === "ring");
  return rings.length > 2 || new Set(rings.map((step) => step.who)).size > 1;
}

function crowd(run: readonly PathStep[]): Line {
  const rings = run.filter((step) => step.what === "ring");
  const who = [...new Set(rings.map((step) => step.who))];
  const most = Math.max(...who.map((one) => rings.filter((step) => step.who === one).length));
  const outcomes = unanswered.map((what) => ({
    what,
    who: [...new Set(run.filter((step) => step.what === what).map((step) => step.who))],
  }));
  const first = rings[0] as PathStep;
  const key = first.by === "" ? "rings" : "rings_by";
  return {
    ...bare(first),
    key,
    who,
    by: first.by,
    rounds: most,
    outcomes: outcomes.filter((one) => one.who.length > 0),
  };
}

function plain(step: PathStep, call: Call): Line {
  const line = bare(step);
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

function bare(step: PathStep): Line {
  const { at, by, reason } = step;
  return {
    at,
    key: step.what,
    tone: tones[step.what] ?? "",
    who: [step.who],
    by,
    reason,
    lengthMs: null,
    rounds: 1,
    outcomes: [],
  };
}
