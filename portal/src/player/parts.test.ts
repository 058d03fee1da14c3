import { expect, it } from "vitest";

import { isMuted, partAt, userStretches } from "./parts";

const part = (
  user: string,
  offset_ms: number,
  duration_ms: number,
  muted: [number, number][] = [],
) => ({
  user,
  offset_ms,
  duration_ms,
  muted: muted.map(([from_ms, to_ms]) => ({ from_ms, to_ms })),
});

const transfer = [part("152", 0, 6000), part("421", 6000, 4000)];
const enquiry = [part("152", 0, 6000), part("152", 4000, 1000), part("421", 6000, 4000)];
const conference = [part("152", 0, 6000, [[1000, 5000]]), part("421", 3000, 7000, [[1000, 4000]])];

it.each([
  ["one after the other", transfer],
  ["an enquiry while the customer is on hold", enquiry],
  ["together: the first one as long as they are there", conference],
])("shows each moment once: %s", (_, segments) => {
  expect(userStretches(segments, 10_000)).toEqual([
    { from: 0, to: 0.6, user: "152" },
    { from: 0.6, to: 1, user: "421" },
  ]);
});

it("knows the part of a moment", () => {
  expect(
    [3000, 4500, 5500, 6500, 12_000].map((at) => enquiry.indexOf(partAt(enquiry, at)!)),
  ).toEqual([0, 1, 0, 2, 2]);
  expect(partAt([], 0)).toBeNull();
});

it("is silent where all who were recorded had paused", () => {
  expect([500, 2000, 3500, 4500, 5500, 6500, 7500].map((at) => isMuted(conference, at))).toEqual([
    false,
    true,
    false,
    true,
    false,
    true,
    false,
  ]);
});
