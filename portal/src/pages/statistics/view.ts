import { go, place } from "../../app/route.svelte";
import { seriesNames, type Series } from "./series";

/** What the report keeps in the address besides the selection. */
export interface View {
  chart: "line" | "bars";
  /** Series taken away from the chart. */
  off: Series[];
  /** «Длительность более», in seconds; empty for none. */
  longer_than: string;
  compare: boolean;
  heat: Heat;
}

/** Which calls the map of weekdays and hours counts. */
export type Heat = "all" | "in" | "out" | "in_missed";
export const heats: readonly Heat[] = ["all", "in", "out", "in_missed"];

/** What the address says of the view; what it says wrongly is left out. */
export function viewOf(text: string): View {
  const given = new URLSearchParams(text);
  const longer = given.get("longer_than") ?? "";
  return {
    chart: given.get("chart") === "bars" ? "bars" : "line",
    off: seriesNames.filter((one) => given.getAll("off").includes(one)),
    longer_than: /^\d{1,6}$/.test(longer) ? String(Number(longer)) : "",
    compare: given.get("compare") === "1",
    heat: heats.find((one) => one === given.get("heat")) ?? "all",
  };
}

/** Change the view, as a step that Back undoes. */
export function show(change: Partial<View>): void {
  const here = place();
  const view = { ...viewOf(here.view ?? ""), ...change };
  const text = new URLSearchParams();
  if (view.chart === "bars") text.set("chart", view.chart);
  for (const one of view.off) text.append("off", one);
  if (view.longer_than !== "") text.set("longer_than", view.longer_than);
  if (view.compare) text.set("compare", "1");
  if (view.heat !== "all") text.set("heat", view.heat);
  go({ ...here, view: text.toString() });
}
