import { selectionParams, type Selection } from "../../app/selection";
import type { Language } from "../../i18n/words.svelte";

/** The file formats of a list of calls. */
export type FileKind = "xlsx" | "csv" | "zip";

/** The address of a file with all calls of a selection, in the order shown. */
export function exportUrl(kind: FileKind, selection: Selection, language: Language): string {
  const params = selectionParams(selection);
  for (const name of ["limit", "cursor", "page"]) params.delete(name);
  params.set("lang", language);
  return `/api/calls.${kind}?${params.toString()}`;
}
