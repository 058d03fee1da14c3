import { auditParams, parseAuditFilter, type AuditFilter } from "../api/auditFilter";
import { emptySelection, parseSelection, selectionParams, type Selection } from "./selection";

/** What an address of the portal says: the page, its filters, and the call whose path is open. */
export interface Route {
  page: "calls" | "stats" | "now" | "users" | "audit";
  selection: Selection;
  call: string | null;
  /** The page's own parameters (pages/statistics/view.ts), as a query string. */
  view?: string;
  /** The filters of the audit page. */
  audit?: AuditFilter;
}

const paths = {
  calls: "/",
  stats: "/stats",
  now: "/now",
  users: "/users",
  audit: "/audit",
} as const;

/**
 * Read a route from an address. Invalid values are ignored; an unknown path is the page of calls.
 */
export function parseRoute(url: URL): Route {
  const params = url.searchParams;
  const path = url.pathname.slice(1);
  if (path === "audit") {
    return { page: path, selection: emptySelection, call: null, audit: parseAuditFilter(params) };
  }
  const page = path === "users" || path === "now" || path === "stats" ? path : "calls";
  const view = page === "stats" ? viewParams(params) : "";
  return { page, selection: parseSelection(params), call: params.get("call"), view };
}

/** The parameters that belong neither to the selection nor to the open call. */
function viewParams(params: URLSearchParams): string {
  const own = [...params].filter(([name]) => !(name in emptySelection) && name !== "call");
  return new URLSearchParams(own).toString();
}

/** The address of a route. */
export function href(route: Route): string {
  const text = routeParams(route).toString();
  return text === "" ? paths[route.page] : `${paths[route.page]}?${text}`;
}

function routeParams(route: Route): URLSearchParams {
  if (route.page === "users") return new URLSearchParams();
  if (route.page === "audit") {
    return route.audit === undefined ? new URLSearchParams() : auditParams(route.audit);
  }
  const params = route.page === "now" ? new URLSearchParams() : selectionParams(route.selection);
  if (route.call !== null) params.set("call", route.call);
  if (route.page === "stats") {
    for (const [name, value] of new URLSearchParams(route.view)) params.append(name, value);
  }
  return params;
}

/** The address of a page with some filters, for links. */
export function pageHref(page: Route["page"], filters: Partial<Selection> = {}): string {
  return href({ page, call: null, selection: { ...emptySelection, ...filters } });
}
