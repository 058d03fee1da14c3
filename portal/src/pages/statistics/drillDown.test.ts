import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { emptySelection } from "../../app/selection";
import { callsHref, openCalls, reportSelection } from "./drillDown";

const navigate = vi.hoisted(() => vi.fn());
vi.mock("../../app/navigation.svelte", () => ({ navigate }));

const report = { ...emptySelection, from: "2017-02-01", to: "2017-02-14", time_from: "08:00" };

describe("reportSelection", () => {
  it("keeps whole days, time of day and duration alone", () => {
    const selection = {
      ...report,
      from: "2017-02-01T10:00:00+07:00",
      min_s: "30",
      src: "421",
      user: ["421"],
      page: 3,
      cursor: "abc",
    };
    expect(reportSelection(selection, "2017-03-01")).toEqual({ ...report, min_s: "30" });
  });

  it.each([
    [null, null, null, null],
    ["2017-02-01", null, "2017-02-01", "2017-03-01"],
    [null, "2017-02-01", "2017-02-01", "2017-02-01"],
  ])("from %s to %s", (from, to, expectedFrom, expectedTo) => {
    const selection = reportSelection({ ...emptySelection, from, to }, "2017-03-01");
    expect([selection.from, selection.to]).toEqual([expectedFrom, expectedTo]);
  });
});

it("adds the filter of a figure to the filters of the report", () => {
  expect(callsHref(report, { direction: ["in"], time_from: "12:00", time_to: "13:00" })).toBe(
    "/?from=2017-02-01&to=2017-02-14&time_from=12%3A00&time_to=13%3A00&direction=in",
  );
});

describe("openCalls", () => {
  const click = { target: null, ctrlKey: false, metaKey: false, shiftKey: false } as MouseEvent;
  const history = { state: null as unknown, replaceState: (state: unknown) => save(state) };
  const open = vi.fn();
  const save = (state: unknown): void => {
    history.state = state;
  };

  beforeEach(() => {
    for (const [name, value] of Object.entries({ history, open, scrollTo: vi.fn(), scrollY: 840 }))
      vi.stubGlobal(name, value);
  });
  afterEach(() => {
    history.state = null;
    vi.unstubAllGlobals();
    vi.clearAllMocks();
  });

  it("goes to the calls and saves the scroll position", () => {
    openCalls(click, report, { kind: "missed" });
    const selection = { ...report, kind: "missed" };
    expect(navigate).toHaveBeenCalledWith({ page: "calls", call: null, selection });
    expect(history.state).toEqual({ scrolled: 840, block: null, top: 0 });
  });

  it("opens a new tab for a modifier key", () => {
    openCalls({ ...click, ctrlKey: true }, report, { kind: "missed" });
    expect(open).toHaveBeenCalledWith(callsHref(report, { kind: "missed" }), "_blank", "noopener");
    expect(navigate).not.toHaveBeenCalled();
  });
});
