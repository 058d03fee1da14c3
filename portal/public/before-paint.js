// Runs before the first paint. It sets the theme, so that a dark page does not flash white, and
// requests the logged-in user while the portal is still loading.
(() => {
  const getStored = (key) => {
    try {
      return localStorage.getItem(`fonoteka.${key}`);
    } catch {
      return null; // the browser forbids storage
    }
  };
  const theme = getStored("theme");
  const systemIsDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const dark = theme === "dark" || (theme !== "light" && systemIsDark);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  if (getStored("session") !== null) {
    globalThis.earlyMe = fetch("/api/me");
    globalThis.earlyMe.catch(() => undefined); // api/client.ts reports the failure
  }
})();
