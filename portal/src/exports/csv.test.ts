import { afterEach, describe, expect, it, vi } from "vitest";

import { setLanguage } from "../i18n/words.svelte";
import { asCsv } from "./csv";
import type { Cell, Column } from "./sheet";

function csvOf(columns: Column[], rows: Cell[][]): string {
  return asCsv({ title: "Итоги", report: "Отчет", company: "Акме", columns, rows });
}

const name: Column = { title: "Имя", kind: "text" };
const count: Column = { title: "Звонки", kind: "count" };
const share: Column = { title: "Доля", kind: "share" };
const length: Column = { title: "Разговор", kind: "length" };

vi.stubGlobal("document", { documentElement: {} });
afterEach(() => setLanguage("ru"));

describe("asCsv", () => {
  it("begins with a byte order mark and ends each row with CRLF", () => {
    expect(csvOf([name, count], [["Петров", 2]])).toBe("\ufeffИмя;Звонки\r\nПетров;2\r\n");
  });

  it("separates cells with a comma in English", async () => {
    await setLanguage("en");
    expect(csvOf([name, count], [["Smith", 2]])).toBe("\ufeffИмя,Звонки\r\nSmith,2\r\n");
  });

  it("writes numbers without separators of thousands", () => {
    expect(csvOf([count], [[12_345]])).toContain("\r\n12345\r\n");
  });

  it("writes shares and lengths as on the screen, without spaces", () => {
    expect(csvOf([share, length], [[0.125, 65]])).toContain('\r\n"12,5%";1:05\r\n');
  });

  it("leaves missing values empty", () => {
    expect(csvOf([name, share], [["Петров", null]])).toContain("\r\nПетров;\r\n");
  });

  it.each([
    ["a;b", '"a;b"'],
    ["a,b", '"a,b"'],
    ['a "b"', '"a ""b"""'],
    ["a\nb", '"a\nb"'],
  ])("quotes %j", (text, cell) => {
    expect(csvOf([name], [[text]])).toBe(`\ufeffИмя\r\n${cell}\r\n`);
  });

  it.each([
    ["=1+1", "'=1+1"],
    [" =1", " '=1"],
    ["-5", "'-5"],
    ["\uff1d1", "'\uff1d1"],
    ["x,=cmd|' /C calc'!A0", "\"x,'=cmd|' /C calc'!A0\""],
    ["7-913", "7-913"],
    ["Петров П.П.", "Петров П.П."],
  ])("disarms the formula %j", (text, cell) => {
    expect(csvOf([name], [[text]])).toBe(`\ufeffИмя\r\n${cell}\r\n`);
  });
});
