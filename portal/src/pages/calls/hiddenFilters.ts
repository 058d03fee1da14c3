import type { Selection } from "../../app/selection";

/**
 * Whether a selection has a report's filters, which have no field on the page (see Chips.svelte).
 */
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
