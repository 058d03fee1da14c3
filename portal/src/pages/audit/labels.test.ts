import { describe, expect, it } from "vitest";

import type { AuditEntry } from "../../api/model";
import { en } from "../../i18n/en";
import { ru } from "../../i18n/ru";
import { actionLabel, actorLabel, detailLabel, subjectLabel } from "./labels";
import { en as enAudit, ru as ruAudit } from "./words";

const entryWith = (action: string, detail: AuditEntry["detail"]): AuditEntry => ({
  at: "2026-11-22T23:43:42.123+07:00",
  login: "152",
  name: "Петров П.П.",
  address: "127.0.0.1",
  action,
  subject: "x",
  detail,
  call: null,
});

it.each([
  ["system", "", "Сервер, автоматически"],
  ["", "", "Оператор сервера"],
  ["*", "*", "Неизвестные логины"],
])("an entry of %s is shown as %s", (login, address, label) => {
  const entry = { ...entryWith("calls_expired", {}), login, address, name: null };
  expect(actorLabel(entry, ruAudit)).toBe(label);
});

it("a subject that is no call has a label", () => {
  expect(["calls", "audit", "152"].map((subject) => subjectLabel(subject, enAudit))).toEqual([
    "Calls",
    "Journal",
    "152",
  ]);
});

describe("detailLabel", () => {
  const parts = Array.from({ length: 7 }, (_, place) => [place * 10_000, place * 10_000 + 5_000]);

  it.each([
    [
      "listened",
      { heard_ms: [[0, 130_000]], of_ms: 180_000 },
      "0:00–2:10 из 3:00",
      "0:00–2:10 of 3:00",
    ],
    [
      "listened",
      {
        peaks: true,
        heard_ms: [
          [0, 5_000],
          [60_000, 61_000],
        ],
        of_ms: 3_723_000,
      },
      "0:00–0:05, 1:00–1:01 из 1:02:03",
      "0:00–0:05, 1:00–1:01 of 1:02:03",
    ],
    [
      "domain_changed",
      { objects: "changed" },
      "Место записей изменено",
      "Place of recordings changed",
    ],
    [
      "listened",
      { heard_ms: parts, of_ms: 70_000 },
      "0:00–0:05, 0:10–0:15, 0:20–0:25, 0:30–0:35, 0:40–0:45, … из 1:10",
      "0:00–0:05, 0:10–0:15, 0:20–0:25, 0:30–0:35, 0:40–0:45, … of 1:10",
    ],
    [
      "calls_expired",
      { calls_retention_days: 30, calls: 2, ids: ["a", "b"] },
      "Срок хранения звонков, дней: 30; Звонков: 2",
      "Calls kept for, days: 30; Calls: 2",
    ],
    ["listened", { peaks: true }, "Только график звука", "Only the waveform"],
    [
      "downloaded",
      { heard_ms: [[0, 5_000]], of_ms: 5_000, format: "mp3" },
      "0:00–0:05 из 0:05; Формат: mp3",
      "0:00–0:05 of 0:05; Format: mp3",
    ],
    ["downloaded", { format: "mp3" }, "Формат: mp3", "Format: mp3"],
    ["listened", {}, "", ""],
    [
      "recordings_expired",
      { retention_days: 30, calls: 1, recordings: 2, size_bytes: 9, ids: ["x"] },
      "Срок хранения записей, дней: 30; Звонков: 1; Записей: 2; Байт: 9",
      "Recordings kept for, days: 30; Calls: 1; Recordings: 2; Bytes: 9",
    ],
    ["login_failed", { count: 1 }, "", ""],
    ["login_failed", { count: 3, addresses: 1 }, "Попыток: 3", "Attempts: 3"],
    [
      "login_failed",
      { count: 30, addresses: 2 },
      "Попыток: 30; адресов: 2",
      "Attempts: 30; addresses: 2",
    ],
  ])("%s %o", (action, detail, inRussian, inEnglish) => {
    expect(detailLabel(entryWith(action, detail), ruAudit, ru)).toBe(inRussian);
    expect(detailLabel(entryWith(action, detail), enAudit, en)).toBe(inEnglish);
  });
});

it("names logouts, and the failures at unknown logins", () => {
  expect(actionLabel("logged_out", ruAudit)).toBe("Выход");
  expect(actorLabel({ ...entryWith("login_failed", {}), login: "*", name: null }, ruAudit)).toBe(
    "Неизвестные логины",
  );
});
