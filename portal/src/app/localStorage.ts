const prefix = "fonoteka.";

/** What this browser remembers between visits, or null; storage may be forbidden, and then nothing is remembered. */
export function recalled(key: string): string | null {
  try {
    return localStorage.getItem(prefix + key);
  } catch {
    return null;
  }
}

/** Remember a value in this browser; null forgets it. */
export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(prefix + key);
    else localStorage.setItem(prefix + key, value);
  } catch {
    // Storage is forbidden or full: the choice holds until the page is closed.
  }
}
