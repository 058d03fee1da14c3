import { describe, expect, it } from "vitest";

import { beginsWithDay, formatPeriod, parseDay, parseTime, periodOf, presetOf } from "./period";

const today = "2017-03-01";

describe("periodOf", () => {
  it.each([
    ["today", null, null],
    ["yesterday", "2017-02-28", "2017-02-28"],
    ["week", "2017-02-23", "2017-03-01"],
    ["month", "2017-01-31", "2017-03-01"],
  ] as const)("%s is %s to %s", (preset, from, to) => {
    expect(periodOf(preset, today)).toEqual({ from, to });
    expect(presetOf({ from, to }, today)).toBe(preset);
  });
});

describe("presetOf", () => {
  it("finds the preset of explicit days", () => {
    expect(presetOf({ from: today, to: today }, today)).toBe("today");
  });

  it("is null for other periods", () => {
    expect(presetOf({ from: "2017-02-22", to: today }, today)).toBeNull();
  });
});

describe("parseDay", () => {
  it.each([
    ["14.02.2017", "2017-02-14"],
    [" 14.2.17 ", "2017-02-14"],
    ["14/02/2017", "2017-02-14"],
    ["1-3-2017", "2017-03-01"],
    ["29.02.2016", "2016-02-29"],
    ["29.02.2017", null],
    ["31.04.2017", null],
    ["14.13.2017", null],
    ["2017-02-14", null],
    ["", null],
  ])("%j is %j", (text, day) => {
    expect(parseDay(text)).toBe(day);
  });
});

describe("parseTime", () => {
  it.each([
    ["9", "09:00"],
    ["930", "09:30"],
    ["9:30", "09:30"],
    ["09.30", "09:30"],
    [" 23 59 ", "23:59"],
    ["24:00", ""],
    ["9:60", ""],
    ["noon", ""],
    ["", ""],
  ])("%j is %j", (text, time) => {
    expect(parseTime(text)).toBe(time);
  });
});

describe("formatPeriod", () => {
  it.each([
    ["2017-02-01", "2017-02-14", "01.02.2017 – 14.02.2017"],
    ["2017-02-14", "2017-02-14", "14.02.2017"],
    ["2017-02-14", null, "14.02.2017 – 01.03.2017"],
    [null, null, "01.03.2017"],
  ])("%s to %s", (from, to, text) => {
    expect(formatPeriod({ from, to }, today)).toBe(text);
  });
});

describe("beginsWithDay", () => {
  it.each([
    ["2017-02-14", true],
    ["2017-02-14T09:00:00+07:00", true],
    ["2017-13-01", false],
    ["14.02.2017", false],
  ])("%s: %s", (text, expected) => {
    expect(beginsWithDay(text)).toBe(expected);
  });
});
