import type { Selection } from "../../app/selection";
import { formatCount } from "../../i18n/format";
import { words } from "../../i18n/words.svelte";
import type { CallList } from "./callList.svelte";

/**
 * Whether the list shows all calls of the selection, and which ones it shows: `51–100 из 1 234`.
 */
export function shownRange(
  list: CallList,
  selection: Selection,
): { isComplete: boolean; label: string } {
  const first = (selection.page - 1) * selection.limit + 1;
  const last = first + list.items.length - 1;
  return {
    isComplete: selection.page === 1 && list.next === null,
    label: words().pager.shown(first, last, totalLabel(list, last)),
  };
}

function totalLabel({ total, totalIsExact }: CallList, last: number): string {
  if (total === null) return `${formatCount(last)}+`;
  return totalIsExact ? formatCount(total) : words().pager.about(formatCount(total));
}
