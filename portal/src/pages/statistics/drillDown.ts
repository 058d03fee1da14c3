import { navigate } from "../../app/navigation.svelte";
import { pageHref } from "../../app/route";
import { emptySelection, type Selection } from "../../app/selection";
import { saveScroll } from "./scrollPosition";

/** The filters that lead from a report to the calls of one figure; null if no filters can. */
export type CallFilter = Partial<Selection> | null;

/** The filters of a report: whole days, time of day and duration. Its page has no others. */
export function reportSelection(selection: Selection, today: string): Selection {
  const { time_from, time_to, min_s, max_s } = selection;
  const from = selection.from?.slice(0, 10) ?? null;
  const to = selection.to?.slice(0, 10) ?? null;
  const days = from === null && to === null ? { from, to } : { from: from ?? to, to: to ?? today };
  return { ...emptySelection, ...days, time_from, time_to, min_s, max_s };
}

/** The address of the calls of a figure. */
export function callsHref(selection: Selection, filter: Partial<Selection>): string {
  return pageHref("calls", { ...selection, ...filter });
}

/** Open the calls of a figure; with a modifier key in a new tab, as a link does. */
export function openCalls(
  event: MouseEvent,
  selection: Selection,
  filter: Partial<Selection>,
): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey) {
    open(callsHref(selection, filter), "_blank", "noopener");
    return;
  }
  saveScroll(event);
  const calls = { ...emptySelection, ...selection, ...filter };
  navigate({ page: "calls", call: null, selection: calls });
  scrollTo({ top: 0 });
}
