import { describe, expect, it } from "vitest";

import type { PathStep } from "../../../api/model";
import { callWith } from "../../../testing/call";
import { pathLines, type Line } from "./lines";

const call = callWith();

/** A step at a second of the call, written as `what who by`; `-` is nobody. */
function step(second: number, text: string): PathStep {
  const [what = "", who = "-", by = "-"] = text.split(" ");
  const at = `2017-02-14T09:00:${String(second).padStart(2, "0")}.000+07:00`;
  return {
    at,
    what,
    who: who === "-" ? "" : who,
    by: by === "-" ? "" : by,
    reason: null,
    quality: null,
  };
}

function linesOf(...texts: string[]): Line[] {
  return pathLines(
    texts.map((text, second) => step(second, text)),
    call,
  );
}

const keysOf = (...texts: string[]): string[] => linesOf(...texts).map(({ key }) => key);

describe("the keys of lines", () => {
  it.each([
    [
      ["arrive 739", "ring 421", "answer 421"],
      ["arrive_in", "ring", "answer"],
    ],
    [["transfer 130 421"], ["transfer_by"]],
    [
      ["record", "no_record", "record 421"],
      ["record_nobody", "no_record_nobody", "record"],
    ],
    [
      ["answer 421", "leave 421", "end"],
      ["answer", "leave"],
    ],
    [
      ["answer 421", "end"],
      ["answer", "end"],
    ],
    [["give_up 7913", "end"], ["give_up"]],
    [
      ["leave 421", "heard 421", "end"],
      ["leave", "heard"],
    ],
  ])("%j", (steps, keys) => {
    expect(keysOf(...steps)).toEqual(keys);
  });

  it("depends on the direction of the call", () => {
    const [line] = pathLines([step(0, "arrive 739")], callWith({ direction: "out" }));
    expect(line).toMatchObject({ key: "arrive_out", who: ["739"], by: call.src });
  });
});

describe("how the sound arrived", () => {
  it.each([
    ["heard", 4, "heard", ""],
    ["heard", 3.99, "heard_bad", "bad"],
    ["hears", 1, "hears_bad", "bad"],
  ])("%s with a score of %d", (what, mos, key, tone) => {
    const quality = { mos, loss_pct: 7, jitter_ms: 4, rtt_ms: null };
    const [, line] = pathLines([{ ...step(0, `${what} 421`), quality }, step(1, "end")], call);
    expect(line).toMatchObject({ key, tone, who: ["421"], quality });
  });
});

describe("phones that ring together", () => {
  it("are one line with their outcomes", () => {
    const lines = linesOf(
      "ring 421",
      "ring 130",
      "ring 152",
      "busy 130",
      "no_answer 152",
      "answer 421",
    );
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({
      key: "rings",
      who: ["421", "130", "152"],
      rounds: 1,
      outcomes: [
        { what: "busy", who: ["130"] },
        { what: "no_answer", who: ["152"] },
      ],
    });
  });

  it("count their rounds", () => {
    const lines = linesOf("ring 421 500", "ring 130 500", "ring 421 500", "ring 130 500");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ key: "rings_by", who: ["421", "130"], by: "500", rounds: 2 });
  });

  it("are two lines if different parties call them", () => {
    expect(keysOf("ring 421 500", "ring 130 500", "ring 152 130")).toEqual(["rings_by", "ring_by"]);
  });

  it("keep a line for each step of a single phone", () => {
    expect(keysOf("ring 421", "busy 421")).toEqual(["ring", "busy"]);
  });
});

describe("a hold", () => {
  it("is one line with its length", () => {
    const lines = linesOf("hold 421", "resume 421", "leave 421");
    expect(lines.map(({ key, lengthMs }) => [key, lengthMs])).toEqual([
      ["hold", 1000],
      ["leave", null],
    ]);
  });

  it("has no length if another step follows", () => {
    expect(keysOf("hold 421", "leave 130", "resume 421")).toEqual(["hold", "leave", "resume"]);
  });
});

it("colours lines by their step", () => {
  const tones = linesOf("answer 421", "busy 130", "record 421", "leave 421").map(
    (line) => line.tone,
  );
  expect(tones).toEqual(["good", "bad", "rec", ""]);
});
