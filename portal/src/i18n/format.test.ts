import { afterEach, describe, expect, it } from "vitest";

import {
  addDays,
  dayOf,
  formatCount,
  formatCounted,
  formatDate,
  formatDay,
  formatLength,
  formatPercent,
  formatTime,
  setTimeZone,
} from "./format";

afterEach(() => setTimeZone("UTC"));

describe("dates and times", () => {
  // Berlin: summer time from 29 March 02:00 to 25 October 03:00, 2026. Krasnoyarsk: always +07:00.
  it.each([
    ["Asia/Krasnoyarsk", "2017-02-14T09:43:27.123+07:00", "14.02.2017", "09:43:27", "2017-02-14"],
    ["Asia/Krasnoyarsk", "2017-02-14T17:00:00Z", "15.02.2017", "00:00:00", "2017-02-15"],
    ["Asia/Krasnoyarsk", "2016-12-31T16:59:59.999Z", "31.12.2016", "23:59:59", "2016-12-31"],
    ["Europe/Berlin", "2026-03-29T00:59:59Z", "29.03.2026", "01:59:59", "2026-03-29"],
    ["Europe/Berlin", "2026-03-29T01:00:00Z", "29.03.2026", "03:00:00", "2026-03-29"],
    ["Europe/Berlin", "2026-10-25T00:30:00Z", "25.10.2026", "02:30:00", "2026-10-25"],
    ["Europe/Berlin", "2026-10-25T01:30:00Z", "25.10.2026", "02:30:00", "2026-10-25"],
    ["Europe/Berlin", "2026-06-30T22:00:00Z", "01.07.2026", "00:00:00", "2026-07-01"],
    ["America/New_York", "2026-01-01T04:59:59Z", "31.12.2025", "23:59:59", "2025-12-31"],
    ["Asia/Kathmandu", "2026-01-01T18:15:00Z", "02.01.2026", "00:00:00", "2026-01-02"],
    ["UTC", "2017-02-14T00:00:00Z", "14.02.2017", "00:00:00", "2017-02-14"],
  ])("%s, %s", (timeZone, moment, date, time, day) => {
    expect(formatDate(moment, timeZone)).toBe(date);
    expect(formatTime(moment, timeZone)).toBe(time);
    expect(dayOf(moment, timeZone)).toBe(day);
    expect(dayOf(Date.parse(moment), timeZone)).toBe(day);
  });

  it("uses the time zone of the domain", () => {
    setTimeZone("Asia/Krasnoyarsk");
    expect(formatTime("2017-02-14T02:43:27Z")).toBe("09:43:27");
  });

  it("uses the browser's time zone if it does not know the domain's", () => {
    setTimeZone("Mars/Olympus_Mons");
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const moment = "2017-02-14T02:43:27Z";
    expect(formatTime(moment)).toBe(formatTime(moment, own));
  });

  it("does not move a day of the calendar", () => {
    setTimeZone("America/New_York");
    expect(formatDay("2017-02-14")).toBe("14.02.2017");
    expect(formatDay("2017-02-14T09:00:00")).toBe("14.02.2017");
  });

  it("agrees with the days of a whole year by the clock of the zone", () => {
    for (let hour = 0; hour < 365 * 24; hour += 5) {
      const moment = new Date(Date.UTC(2026, 0, 1, hour));
      const shifted = new Date(moment.getTime() + 7 * 3_600_000).toISOString();
      expect(dayOf(moment.getTime(), "Asia/Krasnoyarsk")).toBe(shifted.slice(0, 10));
      expect(formatTime(moment.toISOString(), "Asia/Krasnoyarsk")).toBe(shifted.slice(11, 19));
    }
  });
});

it.each([
  ["2017-02-28", 1, "2017-03-01"],
  ["2016-02-28", 1, "2016-02-29"],
  ["2017-01-01", -1, "2016-12-31"],
  ["2017-03-01", -29, "2017-01-31"],
])("%s and %i days are %s", (day, days, expected) => {
  expect(addDays(day, days)).toBe(expected);
});

it.each([
  [0, "0:00"],
  [999, "0:00"],
  [65_000, "1:05"],
  [3_599_999, "59:59"],
  [3_723_000, "1:02:03"],
  [-5, "0:00"],
])("%i ms are %s", (milliseconds, text) => {
  expect(formatLength(milliseconds)).toBe(text);
});

const nbsp = "\u00a0";

it.each([
  [0, "0", "0"],
  [999, "999", "999"],
  [1234, `1${nbsp}234`, "1,234"],
  [1_234_567, `1${nbsp}234${nbsp}567`, "1,234,567"],
])("the count %i", (count, ru, en) => {
  expect(formatCount(count, "ru")).toBe(ru);
  expect(formatCount(count, "en")).toBe(en);
});

it.each([
  [0, false, `0${nbsp}%`, "0%"],
  [0.0004, true, `0${nbsp}%`, "0%"],
  [0.125, false, `12,5${nbsp}%`, "12.5%"],
  [0.125, true, `+12,5${nbsp}%`, "+12.5%"],
  [-0.125, false, `−12,5${nbsp}%`, "−12.5%"],
  [1, false, `100${nbsp}%`, "100%"],
  [12.345, true, `+1${nbsp}234,5${nbsp}%`, "+1,234.5%"],
])("the share %d, signed: %s", (share, signed, ru, en) => {
  expect(formatPercent(share, signed, "ru")).toBe(ru);
  expect(formatPercent(share, signed, "en")).toBe(en);
});

const calls = ["звонок", "звонка", "звонков"];

it.each([
  [1, "1 звонок"],
  [2, "2 звонка"],
  [5, "5 звонков"],
  [11, "11 звонков"],
  [21, "21 звонок"],
  [1000, `1${nbsp}000 звонков`],
])("%i calls in Russian", (count, text) => {
  expect(formatCounted(count, calls, "ru")).toBe(text);
});

it.each([
  [1, "1 call"],
  [2, "2 calls"],
  [1000, "1,000 calls"],
])("%i calls in English", (count, text) => {
  expect(formatCounted(count, ["call", "calls", "calls"], "en")).toBe(text);
});
