import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { restoreScroll, saveScroll } from "./scrollPosition";

const page = { scrollY: 840, heightAbove: 1000 };
const block = {
  ariaLabel: "Waiting",
  isConnected: true,
  getBoundingClientRect: () => ({ top: page.heightAbove - page.scrollY }),
};
const history = { state: null as unknown, replaceState: vi.fn() };
let frames = 0;
/** The heights of what is above the block, by frame. */
let laidOut = new Map<number, number>();

beforeEach(() => {
  history.replaceState.mockImplementation((state: unknown) => (history.state = state));
  frames = 0;
  page.scrollY = 840;
  page.heightAbove = 1000;
  laidOut = new Map();
  vi.stubGlobal("history", history);
  vi.stubGlobal("document", { querySelectorAll: () => [block] });
  vi.stubGlobal("scrollTo", ({ top }: { top: number }) => (page.scrollY = top));
  vi.stubGlobal("scrollBy", ({ top }: { top: number }) => (page.scrollY += top));
  vi.stubGlobal("requestAnimationFrame", (next: () => void) => {
    frames += 1;
    page.heightAbove = laidOut.get(frames) ?? page.heightAbove;
    queueMicrotask(next);
  });
  vi.stubGlobal("scrollY", 840);
});
afterEach(() => {
  history.state = null;
  vi.unstubAllGlobals();
});

function click(): void {
  saveScroll({ target: { closest: () => block } as unknown } as MouseEvent);
  page.scrollY = 0;
}

it("has nothing to restore at first", async () => {
  await restoreScroll();
  expect([page.scrollY, frames]).toEqual([840, 0]);
});

it("scrolls to where the report was", async () => {
  click();
  await restoreScroll();
  expect([page.scrollY, frames]).toEqual([840, 3]);
});

it("follows a block that others move while they are laid out", async () => {
  click();
  laidOut = new Map([
    [1, 1119],
    [3, 1243],
  ]);
  await restoreScroll();
  expect(block.getBoundingClientRect().top).toBe(160);
  expect(page.scrollY).toBe(840 + 243);
});

it("ends where a block cannot get to its place", async () => {
  click();
  vi.stubGlobal("scrollBy", () => undefined);
  laidOut = new Map([[1, 1200]]);
  await restoreScroll();
  expect(frames).toBe(60);
});
