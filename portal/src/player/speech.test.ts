import { describe, expect, it } from "vitest";

import { afterSilence, sides, silences, spokenBy } from "./speech";

// 0.5 s of the outside party, 0.5 s of both, 3 s of silence, 0.5 s of the employee, 1 s of silence.
const track = { per_second: 2, speech: "13000000200" };

describe("who spoke when", () => {
  it("is read for each side", () => {
    expect(spokenBy(track, sides.outside)).toEqual([{ fromS: 0, toS: 1 }]);
    expect(spokenBy(track, sides.employee)).toEqual([
      { fromS: 0.5, toS: 1 },
      { fromS: 4, toS: 4.5 },
    ]);
    expect(spokenBy({ per_second: 2, speech: "" }, sides.outside)).toEqual([]);
  });

  it("leaves out short silences, and keeps a moment of the long ones", () => {
    expect(silences(track)).toEqual([{ fromS: 1.3, toS: 3.7 }]);
    expect(silences({ per_second: 2, speech: "" })).toEqual([]);
  });
});

describe("a silence", () => {
  const within = [
    { fromS: 1, toS: 3 },
    { fromS: 10, toS: 20 },
  ];

  it.each([
    [0.9, null],
    [1, 3],
    [2.9, 3],
    [3, null],
    [15, 20],
    [25, null],
  ])("at second %d is left at %s", (second, to) => {
    expect(afterSilence(within, second)).toBe(to);
  });
});
