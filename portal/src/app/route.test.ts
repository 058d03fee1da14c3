import { describe, expect, it } from "vitest";

import { href, pageHref, parseRoute } from "./route";
import { callQuery, emptySelection, hasFilters } from "./selection";

const parse = (address: string) => parseRoute(new URL(address, "http://portal.example"));

describe("an address", () => {
  it.each([
    "/",
    "/?call=pbx-1",
    "/?from=2017-02-01&to=2017-02-14&kind=missed",
    "/?direction=in&direction=out&result=busy&user=421&user=130&number=739",
    "/?time_from=22%3A00&time_to=02%3A00&weekday=1&weekday=7&min_s=30&talk_max_s=59",
    "/?src=7913&employee=%D0%9F%D0%B5%D1%82%D1%80%D0%BE%D0%B2&employee_login=421&recorded=true",
    "/?sort=-duration_s&limit=100&cursor=abc&page=3",
    "/now",
    "/now?call=pbx-1",
    "/users",
    "/audit",
    "/audit?action=held&action=released&from=2017-02-01&to=2017-02-14&login=900",
    "/audit?cursor=abc&page=2",
    "/stats",
    "/stats?from=2017-02-01&to=2017-02-14&min_s=30&chart=bars&off=in&off=out&heat=in",
  ])("%s is the same after parsing", (address) => {
    expect(href(parse(address))).toBe(address);
  });

  it.each([
    ["/?kind=secret&sort=src&limit=7&weekday=8&recorded=maybe", "/"],
    ["/?from=yesterday&to=2017-13-01", "/"],
    ["/?page=3", "/"],
    ["/?cursor=abc&page=1.5", "/?cursor=abc"],
    ["/?unknown=1", "/"],
    ["/elsewhere?src=7913", "/?src=7913"],
    ["/audit?from=2017-02-01T10:00&action=", "/audit"],
    ["/users?call=pbx-1", "/users"],
  ])("%s without invalid values is %s", (address, expected) => {
    expect(href(parse(address))).toBe(expected);
  });
});

it("builds links to a page with filters", () => {
  expect(pageHref("calls", { user: ["421"] })).toBe("/?user=421");
  expect(pageHref("stats")).toBe("/stats");
});

describe("callQuery", () => {
  it("has only filters, with numbers and booleans", () => {
    const selection = {
      ...emptySelection,
      from: "2017-02-01",
      weekday: ["1", "7"],
      min_s: "30",
      talk_max_s: "59",
      recorded: "false" as const,
      page: 2,
      cursor: "abc",
    };
    expect(callQuery(selection)).toEqual({
      ...callQuery(emptySelection),
      from: "2017-02-01",
      weekday: [1, 7],
      min_s: 30,
      talk_max_s: 59,
      recorded: false,
      cursor: "abc",
    });
  });

  it("keeps the default order and page size", () => {
    expect(callQuery(emptySelection)).toMatchObject({
      sort: "-started_at",
      limit: 50,
      kind: "all",
    });
  });
});

it.each([
  [{}, false],
  [{ from: "2017-02-01", to: "2017-02-14", limit: 100 }, false],
  [{ src: "7913" }, true],
  [{ kind: "missed" as const }, true],
])("%j has filters: %s", (change, expected) => {
  expect(hasFilters({ ...emptySelection, ...change })).toBe(expected);
});
