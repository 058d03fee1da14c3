import type { Selection } from "../../app/route.svelte";
import { grouped, words } from "../../i18n/words.svelte";
import type { CallList } from "./callList.svelte";

/** How much of a selection is shown: whether all of it, and if not, which rows of how many in words (`51–100 из 1 234`). */
export function extent(list: CallList, selection: Selection): { whole: boolean; said: string } {
  const first = (selection.page - 1) * selection.limit + 1;
  const last = first + list.items.length - 1;
  const total =
    list.total === null
      ? `${grouped(last)}+`
      : list.totalIsExact
        ? grouped(list.total)
        : words().pager.about(grouped(list.total));
  return {
    whole: selection.page === 1 && list.next === null,
    said: words().pager.shown(first, last, total),
  };
}
