import { beginsWithDay } from "../period/period";

/**
 * The filters of the audit page. The names are those of the API's parameters and of the portal's
 * addresses. Null and empty values do not filter.
 */
export interface AuditFilter {
  from: string | null;
  to: string | null;
  action: string[];
  login: string;
  /** The id of a call. */
  call: string;
  cursor: string | null;
  page: number;
}

export const emptyAuditFilter: AuditFilter = {
  from: null,
  to: null,
  action: [],
  login: "",
  call: "",
  cursor: null,
  page: 1,
};

function validDay(text: string | null): string | null {
  return text !== null && text.length === 10 && beginsWithDay(text) ? text : null;
}

/** Read the filters from the parameters of an address. Invalid values are ignored. */
export function parseAuditFilter(params: URLSearchParams): AuditFilter {
  const cursor = params.get("cursor");
  const page = Number(params.get("page"));
  return {
    from: validDay(params.get("from")),
    to: validDay(params.get("to")),
    action: params.getAll("action").filter((action) => action !== ""),
    login: params.get("login") ?? "",
    call: params.get("call") ?? "",
    cursor,
    page: cursor !== null && Number.isInteger(page) && page > 1 ? page : 1,
  };
}

/** The parameters of the filters for an address, without the default values. */
export function auditParams(filter: AuditFilter): URLSearchParams {
  const params = new URLSearchParams();
  for (const action of filter.action) params.append("action", action);
  for (const name of ["from", "to", "login", "call", "cursor"] as const) {
    if (filter[name]) params.set(name, filter[name]);
  }
  if (filter.page > 1) params.set("page", String(filter.page));
  return params;
}

/** The address of a CSV file with all entries of a filter. */
export function auditCsvUrl(filter: AuditFilter, language: string): string {
  const params = auditParams({ ...filter, cursor: null, page: 1 });
  params.set("lang", language);
  return `/api/audit.csv?${params.toString()}`;
}
