import { expect, it } from "vitest";

import { selectionParams, emptySelection } from "../../app/selection";
import { allSeriesFilter, seriesFilters, seriesNames, sumHours, totalCalls } from "./series";

const hours = [
  { out: 1, out_failed: 2, in: 3, in_missed: 4 },
  { out: 10, out_failed: 20, in: 30, in_missed: 40 },
];

it("sums each series", () => {
  expect(sumHours(hours)).toEqual({ out: 11, out_failed: 22, in: 33, in_missed: 44 });
  expect(sumHours([])).toEqual({ out: 0, out_failed: 0, in: 0, in_missed: 0 });
});

it("sums all series", () => {
  expect(totalCalls(sumHours(hours))).toBe(110);
});

it.each([
  ["out", "direction=out&result=answered"],
  ["out_failed", "direction=out&result=no_answer&result=busy&result=other"],
  ["in", "direction=in&result=answered"],
  ["in_missed", "kind=missed"],
] as const)("the calls of %s are %s", (name, params) => {
  const selection = { ...emptySelection, ...seriesFilters[name] };
  expect(selectionParams(selection).toString()).toBe(params);
});

it("has a filter for each series and one for all", () => {
  expect(Object.keys(seriesFilters)).toEqual(seriesNames);
  expect(allSeriesFilter).toEqual({ direction: ["in", "out"] });
});
