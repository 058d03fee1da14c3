/**
 * The API's cursors lead only forward. This map remembers, for each cursor, the page from which the
 * user came to it. A cursor from a link has no page before it except the first.
 */
const previous = new Map<string, string | null>();

/**
 * Remember that the page of `cursor` was reached from the page of `from` (null: the first page).
 */
export function recordPage(cursor: string, from: string | null): void {
  previous.set(cursor, from);
}

/** The cursor of the page before; null for the first page. */
export function previousCursor(cursor: string | null): string | null {
  return cursor === null ? null : (previous.get(cursor) ?? null);
}
