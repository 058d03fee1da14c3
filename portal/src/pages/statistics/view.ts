import { navigate, route } from "../../app/navigation.svelte";
import { seriesNames, type Series } from "./series";

/** The settings of the report that its address holds besides the selection. */
export interface View {
  chart: "line" | "bars";
  /** The series that the chart does not show. */
  off: Series[];
  /** The seconds of «Длительность более»; empty for none. */
  longer_than: string;
  compare: boolean;
  heat: Heat;
  /** The seconds within which a call ought to be answered. */
  within: string;
}

/** The kind of calls that the map of weekdays and hours counts. */
export type Heat = "all" | "in" | "out" | "in_missed";
export const heats: readonly Heat[] = ["all", "in", "out", "in_missed"];

const usualWithin = "20";

/** Read the view from a query string. Invalid values are ignored. */
export function parseView(text: string): View {
  const params = new URLSearchParams(text);
  const longer = params.get("longer_than") ?? "";
  const within = params.get("within") ?? "";
  return {
    chart: params.get("chart") === "bars" ? "bars" : "line",
    off: seriesNames.filter((name) => params.getAll("off").includes(name)),
    longer_than: /^\d{1,6}$/.test(longer) ? String(Number(longer)) : "",
    compare: params.get("compare") === "1",
    heat: heats.find((heat) => heat === params.get("heat")) ?? "all",
    within: /^\d{1,6}$/.test(within) ? String(Number(within)) : usualWithin,
  };
}

/** Change the view. Back undoes the change. */
export function updateView(change: Partial<View>): void {
  const current = route();
  const view = { ...parseView(current.view ?? ""), ...change };
  const params = new URLSearchParams();
  if (view.chart === "bars") params.set("chart", view.chart);
  for (const name of view.off) params.append("off", name);
  if (view.longer_than !== "") params.set("longer_than", view.longer_than);
  if (view.compare) params.set("compare", "1");
  if (view.heat !== "all") params.set("heat", view.heat);
  if (view.within !== usualWithin) params.set("within", view.within);
  navigate({ ...current, view: params.toString() });
}
