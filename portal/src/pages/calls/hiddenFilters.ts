import type { Selection } from "../../app/selection";

/** Whether a selection has filters without a field on the page: those of a report. FilterChips shows them. */
export function hasHiddenFilters({
  talk_min_s,
  talk_max_s,
  employee_login,
  weekday,
  kind,
}: Selection): boolean {
  return (
    talk_min_s !== "" ||
    talk_max_s !== "" ||
    employee_login.length > 0 ||
    weekday.length > 0 ||
    kind === "missed_called_back"
  );
}
