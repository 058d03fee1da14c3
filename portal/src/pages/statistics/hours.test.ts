import { describe, expect, it } from "vitest";

import { hourFilter, hourLabel, hourSpan, hoursOf, timeRangeLabel } from "./hours";

const times = (time_from: string, time_to: string) => ({ time_from, time_to });
const wholeDay = times("", "");

describe("hoursOf", () => {
  it("has 24 hours without a time of day", () => {
    expect(hoursOf(wholeDay)).toEqual(Array.from({ length: 24 }, (_, hour) => hour));
  });

  it.each([
    ["08:00", "11:00", [8, 9, 10]],
    ["08:30", "10:15", [8, 9, 10]],
    ["22:00", "02:00", [0, 1, 22, 23]],
    ["22:00", "", [22, 23]],
    ["", "01:00", [0]],
    ["22:40", "22:20", Array.from({ length: 24 }, (_, hour) => hour)],
  ])("from %j to %j", (from, to, hours) => {
    expect(hoursOf(times(from, to))).toEqual(hours);
  });
});

describe("hourFilter", () => {
  it.each([
    [wholeDay, 12, times("12:00", "13:00")],
    [wholeDay, 23, times("23:00", "00:00")],
    [times("08:30", "10:15"), 8, times("08:30", "09:00")],
    [times("08:30", "10:15"), 10, times("10:00", "10:15")],
    [times("08:30:15", "10:15"), 8, times("08:30:15", "09:00")],
    [times("22:00", "02:00"), 23, times("23:00", "00:00")],
    [times("22:00", "02:00"), 1, times("01:00", "02:00")],
    [times("12:30", "12:30"), 12, times("12:00", "13:00")],
  ])("%j, hour %i", (report, hour, filter) => {
    expect(hourFilter(report, hour)).toEqual(filter);
  });

  it("is null for an hour outside the report", () => {
    expect(hourFilter(times("08:00", "10:00"), 12)).toBeNull();
  });

  it("is null for an hour of which the report has two parts", () => {
    expect(hourFilter(times("22:40", "22:20"), 22)).toBeNull();
  });
});

describe("labels", () => {
  it("names an hour by its end", () => {
    expect(hourLabel(12)).toBe("13:00");
    expect(hourSpan(12)).toBe("12:00–13:00");
  });

  it.each([
    ["", "", ["0:00", "24:00"]],
    ["08:00", "20:00", ["8:00", "20:00"]],
    ["08:30:15", "", ["8:30:15", "24:00"]],
  ])("from %j to %j", (from, to, label) => {
    expect(timeRangeLabel(times(from, to))).toEqual(label);
  });
});
