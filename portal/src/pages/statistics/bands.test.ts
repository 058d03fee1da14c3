import { expect, it } from "vitest";

import { bandFilter, bandLabel } from "./bands";

it.each([
  [0, 30, "до 30 сек", "", "29"],
  [30, 60, "30–60 сек", "30", "59"],
  [60, 180, "1–3 мин", "60", "179"],
  [180, 600, "3–10 мин", "180", "599"],
  [600, null, "более 10 мин", "600", ""],
  [45, null, "более 45 сек", "45", ""],
])("from %s to %s s: %s", (from_s, to_s, label, talk_min_s, talk_max_s) => {
  expect(bandLabel({ from_s, to_s })).toBe(label);
  expect(bandFilter({ from_s, to_s })).toEqual({ direction: ["out"], talk_min_s, talk_max_s });
});
