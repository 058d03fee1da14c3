import { href, parseRoute, type Route } from "./route";
import type { Selection } from "./selection";

type HistoryEntry = "push" | "replace";

let current = $state.raw<Route>(parseRoute(new URL(location.href)));
addEventListener("popstate", () => {
  current = parseRoute(new URL(location.href));
});

/** The current route. */
export function route(): Route {
  return current;
}

/**
 * Go to a route. Use `replace` for a change that Back should not undo separately, such as the next
 * letter typed into the same field.
 */
export function navigate(next: Route, entry: HistoryEntry = "push"): void {
  const address = href(next);
  current = next;
  if (address === location.pathname + location.search) return;
  if (entry === "push") history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

/**
 * Change the filters of the list of calls or of the report. Any change starts at the first page of
 * the list, with no call open.
 */
export function select(change: Partial<Selection>, entry: HistoryEntry = "push"): void {
  const selection = { ...current.selection, cursor: null, page: 1, ...change };
  const page = current.page === "stats" ? "stats" : "calls";
  navigate({ page, call: null, selection, view: current.view ?? "" }, entry);
}
