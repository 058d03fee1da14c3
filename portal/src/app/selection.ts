import type { CallQuery, Direction, Kind, Result, Sort } from "../api/model";
import { beginsWithDay } from "../period/period";

/**
 * The filters, order and page of the list of calls. The names are those of the parameters of
 * `/api/calls` and of the portal's addresses. Null and empty values do not filter.
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
  silence_min_s: string;
  employee_share_min: string;
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
  trunk: string;
  queue: string;
  trunk_name: string[];
  queue_name: string[];
  wait_min_s: string;
  wait_max_s: string;
  mos_min: string;
  mos_below: string;
  sort: Sort;
  limit: number;
  cursor: string | null;
  page: number;
}

export const newestFirst: Sort = "-started_at";
export const rowsPerPage = [50, 100, 200] as const;

export const emptySelection: Selection = {
  from: null,
  to: null,
  time_from: "",
  time_to: "",
  weekday: [],
  min_s: "",
  max_s: "",
  talk_min_s: "",
  talk_max_s: "",
  silence_min_s: "",
  employee_share_min: "",
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
  trunk: "",
  queue: "",
  trunk_name: [],
  queue_name: [],
  wait_min_s: "",
  wait_max_s: "",
  mos_min: "",
  mos_below: "",
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
  "silence_min_s",
  "employee_share_min",
  "src",
  "dst",
  "answered_by",
  "employee",
  "trunk",
  "queue",
  "wait_min_s",
  "wait_max_s",
  "mos_min",
  "mos_below",
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

function validDay(text: string | null): string | null {
  return text !== null && beginsWithDay(text) ? text : null;
}

function validValues<T extends string>(allowed: readonly T[], values: string[]): T[] {
  return allowed.filter((value) => values.includes(value));
}

/** Read a selection from the parameters of an address. Invalid values are ignored. */
export function parseSelection(params: URLSearchParams): Selection {
  const recorded = params.get("recorded");
  const limit = Number(params.get("limit"));
  const page = Number(params.get("page"));
  const cursor = params.get("cursor");
  const selection: Selection = {
    ...emptySelection,
    from: validDay(params.get("from")),
    to: validDay(params.get("to")),
    kind: validValues(kinds, params.getAll("kind"))[0] ?? "all",
    direction: validValues(directions, params.getAll("direction")),
    result: validValues(results, params.getAll("result")),
    weekday: validValues(weekdays, params.getAll("weekday")),
    user: params.getAll("user"),
    number: params.getAll("number"),
    employee_login: params.getAll("employee_login"),
    trunk_name: params.getAll("trunk_name"),
    queue_name: params.getAll("queue_name"),
    recorded: recorded === "true" || recorded === "false" ? recorded : "",
    sort: validValues(sorts, params.getAll("sort"))[0] ?? newestFirst,
    limit: rowsPerPage.find((rows) => rows === limit) ?? rowsPerPage[0],
    cursor,
    page: cursor !== null && Number.isInteger(page) && page > 1 ? page : 1,
  };
  for (const name of texts) selection[name] = params.get(name) ?? "";
  return selection;
}

/** The parameters of a selection for an address, without the default values. */
export function selectionParams(selection: Selection): URLSearchParams {
  const params = new URLSearchParams();
  const values = Object.entries(selection) as [keyof Selection, Selection[keyof Selection]][];
  for (const [name, value] of values) {
    if (Array.isArray(value)) for (const item of value) params.append(name, item);
    else if (value !== null && value !== emptySelection[name]) params.set(name, String(value));
  }
  return params;
}

/**
 * The query for `/api/calls`: only values that filter, as numbers and booleans where the API wants
 * them.
 */
export function callQuery(selection: Selection): CallQuery {
  const { page: _page, weekday, recorded, ...same } = selection;
  const query: CallQuery = Object.fromEntries(
    Object.entries(same)
      .filter(([, value]) => value !== null && value !== "")
      .map(([name, value]) => [name, /_s$|^mos_|share/.test(name) ? Number(value) : value]),
  );
  if (weekday.length > 0) query.weekday = weekday.map(Number);
  if (recorded !== "") query.recorded = recorded === "true";
  return query;
}

/** Whether any filter other than the period is set. */
export function hasFilters(selection: Selection): boolean {
  const unfiltered = ["from", "to", "sort", "limit", "cursor", "page"];
  return [...selectionParams(selection).keys()].some((name) => !unfiltered.includes(name));
}
