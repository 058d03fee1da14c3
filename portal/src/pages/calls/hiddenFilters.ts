import type { Selection } from "../../app/selection";

const hidden = [
  "talk_min_s",
  "talk_max_s",
  "silence_min_s",
  "employee_share_min",
  "employee_login",
  "weekday",
  "trunk",
  "queue",
  "trunk_name",
  "queue_name",
  "wait_min_s",
  "wait_max_s",
  "mos_min",
  "mos_below",
] as const;

/**
 * Whether a selection has filters that have no field on the page, or that of a column which is not
 * always shown (see Chips.svelte).
 */
export function hasHiddenFilters(selection: Selection): boolean {
  return (
    hidden.some((name) => selection[name].length > 0) || selection.kind === "missed_called_back"
  );
}
