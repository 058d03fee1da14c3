import type { Selection } from "../../app/selection";
import { shownExtras } from "./extraColumns.svelte";

/**
 * Whether a selection has a report's filters, which have no field on the page (see Chips.svelte).
 */
export function hasHiddenFilters(selection: Selection): boolean {
  const { employee_login, trunk_name, queue_name, weekday } = selection;
  return (
    selection.talk_min_s !== "" ||
    selection.talk_max_s !== "" ||
    [employee_login, trunk_name, queue_name, weekday].some((values) => values.length > 0) ||
    selection.kind === "missed_called_back" ||
    (selection.trunk !== "" && !shownExtras().includes("trunk")) ||
    (selection.queue !== "" && !shownExtras().includes("queue")) ||
    hidesWait(selection)
  );
}

/** Whether the wait filters and its column, with the fields, is not shown. */
export function hidesWait({ wait_min_s, wait_max_s }: Selection): boolean {
  return wait_min_s + wait_max_s !== "" && !shownExtras().includes("wait");
}
