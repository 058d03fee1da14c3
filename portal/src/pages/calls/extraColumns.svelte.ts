import { getStored, setStored } from "../../app/localStorage";

/** The columns that are not shown until a user switches them on; this browser remembers them. */
export const extraColumns = ["trunk", "queue", "wait", "quality", "silence", "share"] as const;
export type ExtraColumn = (typeof extraColumns)[number];

const stored = getStored("columns")?.split(" ") ?? [];
let shown = $state(extraColumns.filter((name) => stored.includes(name)));

export function shownExtras(): readonly ExtraColumn[] {
  return shown;
}

export function toggleExtra(name: ExtraColumn): void {
  shown = extraColumns.filter((other) => shown.includes(other) !== (other === name));
  setStored("columns", shown.length > 0 ? shown.join(" ") : null);
}
