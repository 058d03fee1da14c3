/** Which entries of the audit: the API's parameters, and the address's. Null and empty narrow nothing. */
export interface AuditFilter {
  from: string | null;
  to: string | null;
  action: string[];
  login: string;
  cursor: string | null;
  page: number;
}

export const allOfToday: AuditFilter = {
  from: null,
  to: null,
  action: [],
  login: "",
  cursor: null,
  page: 1,
};

function day(text: string | null): string | null {
  return text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) ? text : null;
}

/** What an address says; what it says wrongly is left out. */
export function auditFilterIn(given: URLSearchParams): AuditFilter {
  const cursor = given.get("cursor");
  const page = Number(given.get("page"));
  return {
    from: day(given.get("from")),
    to: day(given.get("to")),
    action: given.getAll("action").filter((one) => one !== ""),
    login: given.get("login") ?? "",
    cursor,
    page: cursor !== null && Number.isInteger(page) && page > 1 ? page : 1,
  };
}

/** The parameters of a filter, those that narrow nothing left out. */
export function auditParameters(filter: AuditFilter): URLSearchParams {
  const said = new URLSearchParams();
  for (const one of filter.action) said.append("action", one);
  for (const name of ["from", "to", "login", "cursor"] as const)
    if (filter[name]) said.set(name, filter[name]);
  if (filter.page > 1) said.set("page", String(filter.page));
  return said;
}
