import { addressOf, everything, go, type Selection } from "../../app/route.svelte";

/** What narrows a report to the calls of one figure; null where no selection of calls says it. */
export type Opens = Partial<Selection> | null;

/** The report's own filters: the rest of a selection has no place on its page. Periods are whole days. */
export function reportOf(given: Selection, today: string): Selection {
  const { time_from, time_to, min_s, max_s } = given;
  const [from, to] = [given.from?.slice(0, 10) ?? null, given.to?.slice(0, 10) ?? null];
  const days = from === null && to === null ? { from, to } : { from: from ?? to, to: to ?? today };
  return { ...everything, ...days, time_from, time_to, min_s, max_s };
}

/** The address of the calls of a figure. */
export function callsAddress(of: Selection, opens: Partial<Selection>): string {
  return addressOf("calls", { ...of, ...opens });
}

/** Open the calls of a figure, in a new tab where the reader asks for one as they would of a link. */
export function openCalls(event: MouseEvent, of: Selection, opens: Partial<Selection>): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey) {
    open(callsAddress(of, opens), "_blank", "noopener");
    return;
  }
  history.replaceState({ scrolled: scrollY }, "");
  go({ page: "calls", call: null, selection: { ...everything, ...of, ...opens } });
  scrollTo({ top: 0 });
}

/** How far the report was scrolled when its calls were opened, once the reader is back. */
export function scrolledBefore(): number {
  const state: unknown = history.state;
  return typeof state === "object" && state !== null && "scrolled" in state
    ? Number(state.scrolled)
    : 0;
}
