import { beforeAll, describe, expect, it } from "vitest";

import type { Recording } from "../../api/model";
import { en } from "../../i18n/en";
import { setTimeZone } from "../../i18n/format";
import { ru } from "../../i18n/ru";
import { callWith } from "../../testing/call";
import {
  callerLabel,
  calledBackLabel,
  durationNow,
  hasAudio,
  keptLabel,
  mutedMs,
  reasonLabel,
  recordingLabel,
  resultLabel,
} from "./labels";

beforeAll(() => setTimeZone("Asia/Krasnoyarsk"));

const recordingWith = (changes: Partial<Recording>): Recording => ({
  ...callWith().recording,
  ...changes,
});

describe("recordingLabel", () => {
  it.each([
    ["none", null, "Записи нет"],
    ["none", "user_off", "Запись выключена"],
    ["failed", "disk_full", "Не хватило места на диске"],
    ["partial", "disk_full", "Запись неполная: не хватило места на диске"],
    ["ready", null, "Готова"],
  ] as const)("%s, %s: %s", (state, reason, label) => {
    expect(recordingLabel(recordingWith({ state, reason }), ru)).toBe(label);
  });

  it("writes a reason in the middle of a sentence in lower case", () => {
    expect(reasonLabel("user_off", en)).toBe("recording is off");
    expect(reasonLabel("asterisk_failed", en)).toBe("the PBX failed");
    expect(reasonLabel("asterisk_failed", ru)).toBe("сбой АТС");
  });
});

describe("keptLabel", () => {
  const until = "2026-05-28T09:00:00.000+07:00";

  it.each([
    [{ state: "ready", expires_at: until }, "Запись хранится до 28.05.2026"],
    [{ state: "partial", reason: "disk_full", expires_at: until }, "Запись хранится до 28.05.2026"],
    [{ state: "partial", reason: "retention", expires_at: until }, "Запись хранится до 28.05.2026"],
    [{ state: "ready", held: true }, "Хранится бессрочно"],
    [{ state: "expired", reason: "retention" }, "Запись удалена по сроку хранения"],
    [{ state: "expired", reason: "retention", held: true }, "Запись удалена по сроку хранения"],
    [{ state: "none", reason: "user_off" }, null],
    [{ state: "recording" }, null],
  ] as const)("%o: %s", (changes, label) => {
    expect(keptLabel(recordingWith(changes), ru)).toBe(label);
  });

  it("is translated", () => {
    const label = keptLabel(recordingWith({ expires_at: until }), en);
    expect(label).toBe("The recording is kept until 28.05.2026");
  });
});

it.each([
  ["ready", true],
  ["partial", true],
  ["processing", false],
  ["expired", false],
] as const)("a recording that is %s has audio: %s", (state, expected) => {
  expect(hasAudio(recordingWith({ state }))).toBe(expected);
});

it.each([
  ["", "Номер скрыт"],
  ["Anonymous", "Номер скрыт"],
  ["79130000001", "79130000001"],
])("the caller %j is %s", (number, label) => {
  expect(callerLabel(number, ru)).toBe(label);
});

it("sums the pauses of a segment", () => {
  const muted = [
    { from_ms: 1000, to_ms: 1500 },
    { from_ms: 4000, to_ms: 6000 },
  ];
  expect(mutedMs({ user: "421", offset_ms: 0, duration_ms: 10_000, muted })).toBe(2500);
});

it.each([
  [callWith(), "Успешный", "good"],
  [callWith({ result: "busy" }), "Занят", "warn"],
  [callWith({ ended_at: null }), "Разговор", "live"],
  [callWith({ ended_at: null, answered_at: null }), "Звонит", "live"],
] as const)("the result of call %#", (call, text, tone) => {
  expect(resultLabel(call, ru)).toEqual({ text, tone });
});

it("counts the seconds of a call in progress", () => {
  const nowMs = Date.parse("2017-02-14T02:00:07.900Z");
  expect(durationNow(callWith({ ended_at: null }), nowMs)).toBe(7);
  expect(durationNow(callWith(), nowMs)).toBe(60);
});

describe("calledBackLabel", () => {
  it.each([
    ["2017-02-14T09:00:40.000+07:00", "Перезвонили в 09:00, меньше чем через минуту"],
    ["2017-02-14T09:59:59.000+07:00", "Перезвонили в 09:59, через 59 мин"],
    ["2017-02-14T11:05:00.000+07:00", "Перезвонили в 11:05, через 2 ч 5 мин"],
    ["2017-02-15T08:30:00.000+07:00", "Перезвонили 15.02.2017 в 08:30, через 23 ч 30 мин"],
    ["2017-02-17T09:00:00.000+07:00", "Перезвонили 17.02.2017 в 09:00, через 3 дн."],
  ])("at %s", (called_back_at, label) => {
    expect(calledBackLabel(callWith({ called_back_at }), ru)).toBe(label);
  });

  it("is null before the call back", () => {
    expect(calledBackLabel(callWith(), ru)).toBeNull();
  });
});
