const prefix = "fonoteka.";

/** Read a stored value; null if there is none or the browser forbids storage. */
export function getStored(key: string): string | null {
  try {
    return localStorage.getItem(prefix + key);
  } catch {
    return null;
  }
}

/** Store a value in this browser; null removes it. */
export function setStored(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(prefix + key);
    else localStorage.setItem(prefix + key, value);
  } catch {
    // Storage is forbidden or full: the value is lost when the page is closed.
  }
}
