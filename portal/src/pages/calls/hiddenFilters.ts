import type { Selection } from "../../app/route.svelte";

/** Whether a selection has conditions that no field of the page shows: a report's, which Chips.svelte then names. */
export function hasHidden({
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
