/**
 * Keyset pages only know the way on; the way back is what was turned in this visit. A cursor that came in a link has no
 * page before it but the first.
 */
const came = new Map<string, string | null>();

/** Remember that the page of `cursor` was reached from the page of `from` (null: the first). */
export function turnedTo(cursor: string, from: string | null): void {
  came.set(cursor, from);
}

/** The cursor of the page before; null for the first page. */
export function before(cursor: string | null): string | null {
  return cursor === null ? null : (came.get(cursor) ?? null);
}
