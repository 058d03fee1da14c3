import { parameters, type Selection } from "../../app/route.svelte";
import type { Language } from "../../i18n/words.svelte";

/** What a selection can be had as. */
export type FileKind = "xlsx" | "csv" | "zip";

/** Where a whole selection is as a file, in the order shown, whatever page of it is on the screen. */
export function exportAddress(kind: FileKind, selection: Selection, language: Language): string {
  const said = parameters(selection);
  for (const ofThePage of ["limit", "cursor", "page"]) said.delete(ofThePage);
  said.set("lang", language);
  return `/api/calls.${kind}?${said.toString()}`;
}
