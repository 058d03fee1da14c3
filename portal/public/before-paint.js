// Runs before the first paint: a page chosen dark never flashes white; who looks, and what the page needs besides the portal
// itself, is asked for while the portal is under way.
(() => {
  const recalled = (key) => {
    try {
      return localStorage.getItem(`fonoteka.${key}`);
    } catch {
      return null; // storage may be forbidden
    }
  };
  const chosen = recalled("theme");
  const dark =
    chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  const known = recalled("session") !== null;
  if (known) {
    globalThis.askedEarly = fetch("/api/me");
    globalThis.askedEarly.catch(() => undefined); // whoever takes it is told
  }
})();
