import type { CallQuery, Direction, Kind, Result, Sort } from "../api/model";
import { auditFilterIn, auditParameters, type AuditFilter } from "../api/auditFilter";

/**
 * The selection of calls. Its names are those of the API's parameters, and of the address: what `/api/calls` is asked
 * can be read in the address bar, sent as a link and gone back to. Null and empty mean «not narrowed».
 */
export interface Selection {
  from: string | null;
  to: string | null;
  time_from: string;
  time_to: string;
  weekday: string[];
  min_s: string;
  max_s: string;
  talk_min_s: string;
  talk_max_s: string;
  kind: Kind;
  direction: Direction[];
  result: Result[];
  user: string[];
  number: string[];
  src: string;
  dst: string;
  answered_by: string;
  employee: string;
  employee_login: string[];
  recorded: "" | "true" | "false";
  sort: Sort;
  limit: number;
  cursor: string | null;
  page: number;
}

/** Where the reader is: a page, the selection on it, the call that is open, and what else the page keeps in the address. */
export interface Place {
  page: "calls" | "stats" | "now" | "users" | "audit";
  selection: Selection;
  call: string | null;
  /** Parameters of the page alone, as a query string that the page itself reads and writes. */
  view?: string;
  /** On the page of the audit. */
  audit?: AuditFilter;
}

export const newestFirst: Sort = "-started_at";
export const rowsPerPage = [50, 100, 200] as const;

export const everything: Selection = {
  from: null,
  to: null,
  time_from: "",
  time_to: "",
  weekday: [],
  min_s: "",
  max_s: "",
  talk_min_s: "",
  talk_max_s: "",
  kind: "all",
  direction: [],
  result: [],
  user: [],
  number: [],
  src: "",
  dst: "",
  answered_by: "",
  employee: "",
  employee_login: [],
  recorded: "",
  sort: newestFirst,
  limit: rowsPerPage[0],
  cursor: null,
  page: 1,
};

const texts = [
  "time_from",
  "time_to",
  "min_s",
  "max_s",
  "talk_min_s",
  "talk_max_s",
  "src",
  "dst",
  "answered_by",
  "employee",
] as const;
const kinds: readonly Kind[] = [
  "all",
  "in",
  "out",
  "internal",
  "missed",
  "missed_called_back",
  "missed_not_called_back",
  "recorded",
];
const directions: readonly Direction[] = ["in", "out", "internal"];
const weekdays = ["1", "2", "3", "4", "5", "6", "7"] as const;
const results: readonly Result[] = ["answered", "no_answer", "busy", "other"];
const sorts: readonly Sort[] = ["-started_at", "started_at", "duration_s", "-duration_s"];

function day(text: string | null): string | null {
  return text !== null && /^\d{4}-\d{2}-\d{2}/.test(text) ? text : null;
}

function among<T extends string>(known: readonly T[], found: string[]): T[] {
  return known.filter((one) => found.includes(one));
}

/** What an address says; what it says wrongly is left out. */
function parsed(url: URL): Place {
  const given = url.searchParams;
  const recorded = given.get("recorded");
  const limit = Number(given.get("limit"));
  const page = Number(given.get("page"));
  const cursor = given.get("cursor");
  const selection: Selection = {
    ...everything,
    from: day(given.get("from")),
    to: day(given.get("to")),
    kind: among(kinds, given.getAll("kind"))[0] ?? "all",
    direction: among(directions, given.getAll("direction")),
    result: among(results, given.getAll("result")),
    weekday: among(weekdays, given.getAll("weekday")),
    user: given.getAll("user"),
    number: given.getAll("number"),
    employee_login: given.getAll("employee_login"),
    recorded: recorded === "true" || recorded === "false" ? recorded : "",
    sort: among(sorts, given.getAll("sort"))[0] ?? newestFirst,
    limit: rowsPerPage.find((rows) => rows === limit) ?? rowsPerPage[0],
    cursor,
    page: cursor !== null && Number.isInteger(page) && page > 1 ? page : 1,
  };
  for (const name of texts) selection[name] = given.get(name) ?? "";
  const at = url.pathname.slice(1);
  if (at === "audit")
    return { page: at, selection: everything, call: null, audit: auditFilterIn(given) };
  const known = at === "users" || at === "now" || at === "stats" ? at : "calls";
  return {
    page: known,
    selection,
    call: given.get("call"),
    view: at === "stats" ? ownOf(given) : "",
  };
}

function ownOf(given: URLSearchParams): string {
  return new URLSearchParams(
    [...given].filter(([name]) => !(name in everything) && name !== "call"),
  ).toString();
}

/** The parameters of a selection, those that narrow nothing left out. */
export function parameters(selection: Selection): URLSearchParams {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(selection)) {
    if (Array.isArray(value)) for (const one of value) said.append(name, one);
    else if (value !== null && value !== everything[name as keyof Selection])
      said.set(name, String(value));
  }
  return said;
}

/** The selection as the API's query: only what narrows it, numbers and truths as such. */
export function asQuery(selection: Selection): CallQuery {
  const {
    page: _page,
    weekday,
    min_s,
    max_s,
    talk_min_s,
    talk_max_s,
    recorded,
    ...same
  } = selection;
  const query: CallQuery = Object.fromEntries(
    Object.entries(same).filter(([, value]) => value !== null && value !== ""),
  );
  if (weekday.length > 0) query.weekday = weekday.map(Number);
  if (min_s !== "") query.min_s = Number(min_s);
  if (max_s !== "") query.max_s = Number(max_s);
  if (talk_min_s !== "") query.talk_min_s = Number(talk_min_s);
  if (talk_max_s !== "") query.talk_max_s = Number(talk_max_s);
  if (recorded !== "") query.recorded = recorded === "true";
  return query;
}

/** Whether a filter other than the period narrows the selection. */
export function isNarrowed(selection: Selection): boolean {
  const said = parameters(selection);
  return [...said.keys()].some(
    (name) => !["from", "to", "sort", "limit", "cursor", "page"].includes(name),
  );
}

const paths = {
  calls: "/",
  stats: "/stats",
  now: "/now",
  users: "/users",
  audit: "/audit",
} as const;

/** The address of a place. */
export function href(place: Place): string {
  if (place.page === "users") return paths.users;
  if (place.page === "audit") {
    const narrowed = place.audit === undefined ? "" : auditParameters(place.audit).toString();
    return narrowed === "" ? paths.audit : `${paths.audit}?${narrowed}`;
  }
  const said = place.page === "now" ? new URLSearchParams() : parameters(place.selection);
  if (place.call !== null) said.set("call", place.call);
  if (place.page === "stats")
    for (const [name, value] of new URLSearchParams(place.view)) said.append(name, value);
  const text = said.toString();
  return text === "" ? paths[place.page] : `${paths[place.page]}?${text}`;
}

let here = $state.raw<Place>(parsed(new URL(location.href)));
addEventListener("popstate", () => {
  here = parsed(new URL(location.href));
});

/** Where the reader is now. */
export function place(): Place {
  return here;
}

/** Go somewhere; `replace` when it is a refinement of the last step (typing on in one field), which Back need not undo. */
export function go(next: Place, how: "push" | "replace" = "push"): void {
  const address = href(next);
  here = next;
  if (address === location.pathname + location.search) return;
  if (how === "push") history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

/**
 * Narrow or widen the selection, of the calls or of the report: any change but of the page itself starts again at the first
 * page with no call open.
 */
export function select(change: Partial<Selection>, how: "push" | "replace" = "push"): void {
  const selection = { ...here.selection, cursor: null, page: 1, ...change };
  go(
    {
      page: here.page === "stats" ? "stats" : "calls",
      call: null,
      selection,
      view: here.view ?? "",
    },
    how,
  );
}

/** The address of a place, for links. */
export function addressOf(page: Place["page"], change: Partial<Selection> = {}): string {
  return href({ page, call: null, selection: { ...everything, ...change } });
}
